//! What each symbol is to the rest of the link: winners and options → attributes, exports and
//! version indexes, and the definitions the linker adds. No name is added below.

mod defsym;
mod order;
mod specials;
mod versions;
mod weak;

pub use defsym::compute as compute_defsyms;
pub(crate) use order::Order as DefsymOrder;
pub use specials::define_specials;

use rayon::prelude::*;

use crate::error::{Error, ErrorKind, Errors, Site};
use crate::input::{Assignment, PatternSet, VersionMatcher};
use crate::layout::SecPlace;
use crate::link::{Link, Special, attr};
use crate::object::{Home, SymId, Symbol, bind, kind, vis};
use crate::options::{OutputKind, Symbolic, Unresolved};
use crate::resolve::{Def, File, mention};

/// Whether a name leaves the module, and by which version.
pub(crate) struct Exports<'o> {
    matcher: Option<VersionMatcher<'o>>,
    list: Option<PatternSet<'o>>,
    symbols: PatternSet<'o>,
    /// What each named version itself exports and hides.
    nodes: rustc_hash::FxHashMap<&'o [u8], [PatternSet<'o>; 2]>,
}

impl<'o> Exports<'o> {
    /// What `options` say.
    pub(crate) fn new(options: &'o crate::Options) -> Self {
        Self {
            matcher: options.version_script.as_ref().map(VersionMatcher::new),
            list: options.dynamic_list.as_deref().map(PatternSet::new),
            symbols: PatternSet::new(&options.export_dynamic_symbols),
            nodes: options
                .version_script
                .iter()
                .flat_map(|script| &script.nodes)
                .filter_map(|node| {
                    let sets = [PatternSet::new(&node.globals), PatternSet::new(&node.locals)];
                    Some((node.name.as_ref()?.as_bytes(), sets))
                })
                .collect(),
        }
    }

    /// Whether `name`, which an object gives `version`, is hidden by that version's own `local:`.
    fn hide(&self, name: &[u8], version: &[u8]) -> bool {
        let base = memchr::memchr(b'@', name).filter(|at| *at > 0);
        let base = base.map_or(name, |at| &name[..at]);
        let node = self.nodes.get(version);
        node.is_some_and(|[globals, locals]| !globals.matches(base) && locals.matches(base))
    }

    /// Whether the definition of `id` is exported.
    pub(crate) fn contain(&self, link: &Link<'_>, id: SymId) -> bool {
        let (mentions, visibility) = (link.res.mentions[id.i()], link.res.visibility[id.i()]);
        exported(link, self, id, mentions, visibility).0
    }
}

/// Fills in attributes and version indexes.
///
/// Errors: `undefined-version`.
pub fn classify(link: &mut Link<'_>) -> Result<(), Errors> {
    let options = link.options;
    let exports = Exports::new(options);
    let count = link.res.names.len();
    let link_ref = &*link;
    let both: Vec<(u16, u16)> = (0..count)
        .into_par_iter()
        .with_min_len(1024)
        .map(|at| global(link_ref, &exports, SymId(at as u32)))
        .collect();
    let locals: Vec<Vec<u16>> = link
        .res
        .files
        .par_iter()
        .map(|file| match file {
            File::Object(object) => {
                (0..object.first_global).map(|at| local(link_ref, object, at)).collect()
            }
            _ => Vec::new(),
        })
        .collect();
    link.version_of = both.iter().map(|b| b.1).collect();
    link.attrs = both.iter().map(|b| b.0).chain(locals.into_iter().flatten()).collect();
    weak::settle(link);
    warn_undefined(link);
    versions::check(link)
}

fn local(link: &Link<'_>, object: &crate::object::Object<'_>, index: u32) -> u16 {
    let symbol = object.symbols.get(index);
    let mut bits = of_kind(link, &symbol);
    match symbol.home {
        Home::Absolute => bits |= attr::ABSOLUTE,
        Home::Section(s) => bits |= in_section(link, object, s, symbol.kind),
        _ => bits |= attr::ABSOLUTE,
    }
    bits
}

fn in_section(link: &Link<'_>, object: &crate::object::Object<'_>, index: u32, of: u8) -> u16 {
    if index == 0 {
        return attr::ABSOLUTE;
    }
    let out = link.sec_out[object.sec(index).i()];
    if out == SecPlace::NOWHERE && object.dead[index as usize] {
        return attr::DISCARDED;
    }
    // What carries no type of its own is what its section is.
    if matches!(of, kind::SECTION | kind::NOTYPE) {
        let tls = object.sections.get(index).flags & crate::format::elf::SHF_TLS != 0;
        let merged = out.is_merged() && of == kind::SECTION;
        return if tls { attr::TLS } else { 0 } | if merged { attr::MERGED } else { 0 };
    }
    0
}

fn of_kind(link: &Link<'_>, symbol: &Symbol) -> u16 {
    let kind = match symbol.kind {
        kind::FUNC => attr::FUNC,
        kind::IFUNC => attr::FUNC | attr::IFUNC,
        kind::TLS => attr::TLS,
        _ => 0,
    };
    let state = link.arch.two_states && kind & attr::FUNC != 0 && symbol.value & 1 != 0;
    kind | if state { attr::STATE } else { 0 }
}

fn global(link: &Link<'_>, exports: &Exports<'_>, id: SymId) -> (u16, u16) {
    let def = link.res.defs[id.i()];
    let mentions = link.res.mentions[id.i()];
    let visibility = link.res.visibility[id.i()];
    if !def.is_local() {
        return (imported(link, id, def, mentions, visibility), 1);
    }
    let mut bits = 0;
    if let Some(symbol) = link.res.winner(id) {
        bits |= of_kind(link, &symbol);
        match symbol.home {
            Home::Absolute => bits |= attr::ABSOLUTE,
            Home::Section(s) => {
                bits |= in_section(link, link.object(def.file()), s, symbol.kind);
            }
            _ => {}
        }
    } else if let Some(special) = def.as_special() {
        let special = &link.specials[special];
        bits |= match special {
            Special::TlsModuleBase => attr::TLS,
            Special::Alias(target, _) => {
                link.res.winner(*target).as_ref().map_or(0, |s| of_kind(link, s)) & !attr::IFUNC
            }
            _ => 0,
        };
        bits |= if defsym::moves(link, special) { 0 } else { attr::ABSOLUTE };
    }
    let name = link.res.names.get(id);
    let (exported, version) = exported(link, exports, id, mentions, visibility);
    if exported && bits & attr::DISCARDED == 0 {
        bits |= attr::EXPORT;
        if preemptible(link, exports, name, visibility, bits, def) {
            bits |= attr::DYNAMIC;
            bits &= !attr::IFUNC;
        }
    }
    (bits, version)
}

fn imported(link: &Link<'_>, id: SymId, def: Def, mentions: u8, visibility: u8) -> u16 {
    let strong = mentions & mention::STRONG != 0;
    if def.is_shared() {
        let symbol = link.res.winner(id);
        let mut bits =
            attr::DYNAMIC | attr::IMPORT | symbol.as_ref().map_or(0, |s| of_kind(link, s));
        bits &= !(attr::IFUNC | attr::STATE);
        if symbol.is_some_and(|s| s.vis == vis::PROTECTED) {
            bits |= attr::PROTECTED_IMPORT;
        }
        // A hidden reference can't be met from outside.
        if visibility != vis::DEFAULT {
            bits = if strong { attr::UNDEFINED } else { attr::WEAK_UNDEF | attr::ABSOLUTE };
        }
        return bits;
    }
    let tls = if mentions & mention::TLS != 0 { attr::TLS } else { 0 };
    let outside = visibility == vis::DEFAULT && link.is_dynamic();
    if !strong {
        // In a program, where something looks it up; `weak` has more to say of that.
        let loaded = !link.options.no_dynamic_linker && !link.options.is_static;
        let usual = || link.is_shared() || (loaded && tls == 0);
        if outside && link.options.z.dynamic_undefined_weak.unwrap_or_else(usual) {
            return tls | attr::DYNAMIC | attr::IMPORT | attr::WEAK_UNDEF;
        }
        return tls | attr::ABSOLUTE | attr::WEAK_UNDEF;
    }
    let tolerated = match link.options.unresolved {
        Unresolved::IgnoreAll | Unresolved::IgnoreInObjectFiles => true,
        _ => link.is_shared() && link.options.defs != Some(true),
    };
    if visibility == vis::DEFAULT && (tolerated || link.options.warn_unresolved) {
        if outside {
            return tls | attr::DYNAMIC | attr::IMPORT;
        }
        return tls | attr::ABSOLUTE | attr::WEAK_UNDEF;
    }
    tls | attr::UNDEFINED
}

fn exported(
    link: &Link<'_>,
    exports: &Exports<'_>,
    id: SymId,
    mentions: u8,
    visibility: u8,
) -> (bool, u16) {
    let name = link.res.names.get(id);
    if !link.is_dynamic() || matches!(visibility, vis::HIDDEN | vis::INTERNAL) {
        return (false, 0);
    }
    let assigned = exports.matcher.as_ref().and_then(|m| m.assign(name));
    let own = link.res.versions.get(&id);
    let version = match assigned {
        // A version given in the object is not another version's to take away.
        // Its own version's, for `foo@V`: bfd and lld; for `foo@@V`, lld and mold don't.
        _ if own.is_some_and(|v| !v.1 && exports.hide(name, v.0)) => return (false, 0),
        Some(Assignment::Local) if own.is_some() => 1,
        Some(Assignment::Local) => return (false, 0),
        Some(Assignment::Global(node)) => {
            let script = link.options.version_script.as_ref();
            let named = script.is_some_and(|s| s.nodes.get(node).is_some_and(|n| n.name.is_some()));
            if named { (node as u16).wrapping_add(2) } else { 1 }
        }
        None => 1,
    };
    let listed =
        || exports.symbols.matches(name) || exports.list.as_ref().is_some_and(|l| l.matches(name));
    let out = match link.options.kind {
        OutputKind::Shared => mentions & mention::HIDE == 0,
        _ => {
            link.options.export_dynamic && mentions & mention::HIDE == 0
                || mentions & (mention::LIBRARY | mention::LIBRARY_DEF) != 0
                || listed()
        }
    };
    (out, version)
}

fn preemptible(
    link: &Link<'_>,
    exports: &Exports<'_>,
    name: &[u8],
    visibility: u8,
    bits: u16,
    def: Def,
) -> bool {
    if !link.is_shared() || visibility != vis::DEFAULT {
        return false;
    }
    if exports.list.as_ref().is_some_and(|l| l.matches(name)) {
        return true;
    }
    let weak = def.rank() == crate::resolve::rank::WEAK;
    let function = bits & attr::FUNC != 0;
    // A dynamic list binds what it does not name, whatever -Bsymbolic says.
    let bound = exports.list.is_some()
        || match link.options.symbolic {
            Symbolic::None => false,
            Symbolic::All => true,
            Symbolic::Functions => function,
            Symbolic::NonWeakFunctions => function && !weak,
            Symbolic::NonWeak => !weak,
        };
    !bound
}

/// The error of an undefined symbol used at `site`.
pub fn undefined(link: &Link<'_>, id: SymId, site: Site) -> Error {
    let name = link.name(id);
    let text = if link.res.defs[id.i()].is_shared() {
        format!("hidden symbol is defined only in a library: {name}")
    } else {
        match link.res.visibility[id.i()] {
            vis::DEFAULT => format!("undefined symbol: {name}"),
            vis::PROTECTED => format!("undefined protected symbol: {name}"),
            _ => format!("undefined hidden symbol: {name}"),
        }
    };
    Error::new(ErrorKind::UndefinedSymbol, text).at(site)
}

/// `--warn-unresolved-symbols`: says once for each what would be an error without it.
pub fn warn_undefined(link: &mut Link<'_>) {
    let options = link.options;
    let error = !link.is_shared() || options.defs == Some(true);
    if !options.warn_unresolved || !error || options.unresolved == Unresolved::IgnoreAll {
        return;
    }
    let mut seen = rustc_hash::FxHashSet::default();
    let mut warnings = Vec::new();
    for (_, object) in link.res.objects() {
        for (at, &id) in (0..).zip(&object.globals) {
            let symbol = object.symbols.get(object.first_global + at);
            let wanted = symbol.home == Home::Undefined && symbol.bind != bind::WEAK;
            if wanted && link.res.defs[id.i()] == Def::NONE && seen.insert(id) {
                warnings.push(format!("{}: undefined symbol: {}", object.name, link.name(id)));
            }
        }
    }
    link.warnings.append(&mut warnings);
}

/// Chooses where the program starts.
///
/// Errors: `undefined-symbol` for names that must be defined.
pub fn choose_entry(link: &mut Link<'_>) -> Result<(), Errors> {
    let options = link.options;
    let name = options.entry.as_deref().unwrap_or("_start");
    let entry = link.res.find(name.as_bytes()).filter(|id| link.res.defs[id.i()].is_local());
    let number = options.entry.as_deref().and_then(crate::options::number);
    link.plan.entry_number = number.filter(|_| entry.is_none()).unwrap_or(0);
    if entry.is_none() && number.is_none() && options.kind.is_executable() {
        link.warnings.push(format!("no entry symbol {name}: the program can't be started"));
    }
    let wanted = options.kind.is_executable() || options.entry.is_some();
    link.plan.entry = entry.filter(|_| wanted);
    let mut errors = Vec::new();
    for name in &options.require_defined {
        let found = link.res.find(name.as_bytes());
        if found.is_none_or(|id| link.res.defs[id.i()] == Def::NONE) {
            let text = format!("required symbol is not defined: {name}");
            errors.push(Error::new(ErrorKind::UndefinedSymbol, text));
        }
    }
    Errors::collect(errors).map_or(Ok(()), Err)
}

/// Names that a library of an executable wants and nothing has, as far as the link can see: all
/// that the library itself needs must be part of the link.
pub fn check_libraries(link: &Link<'_>) -> Result<(), Errors> {
    let options = link.options;
    let lax = options.allow_shlib_undefined.unwrap_or(link.is_shared())
        || matches!(options.unresolved, Unresolved::IgnoreAll | Unresolved::IgnoreInSharedLibs);
    if lax || options.warn_unresolved {
        return Ok(());
    }
    let known: rustc_hash::FxHashSet<&[u8]> = link.res.libraries().map(|l| l.1.soname).collect();
    let mut errors = Vec::new();
    for (_, library) in link.res.libraries().filter(|l| l.1.used) {
        if !library.needed.iter().all(|n| known.contains(n)) {
            continue;
        }
        for want in library.undefined.iter().filter(|want| !want.weak) {
            let found = link.res.names.find(want.name, want.hash).is_some_and(|id| {
                link.res.defs[id.i()] != Def::NONE
                    || link.res.mentions[id.i()] & mention::LIBRARY_DEF != 0
            });
            if !found {
                let error = crate::resolve::symbol_error(
                    ErrorKind::UndefinedSymbol,
                    "undefined symbol of a library",
                    want.name,
                );
                errors.push(error.in_file(&library.name));
            }
        }
    }
    Errors::collect(errors).map_or(Ok(()), Err)
}
