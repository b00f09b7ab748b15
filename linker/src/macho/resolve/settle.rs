//! After resolution: commons get room, special names their meaning, weak copies that lost give way,
//! libraries their numbers, and every name whether the loader looks it up. Must not load anything.

use crate::format::macho::ordinal;
use crate::input::{Name, Pattern};
use rustc_hash::FxHashMap;

use crate::macho::link::{BINDER, Bound, Def, Library, Link};
use crate::macho::object::{Atom, Home, NONE};
use crate::macho::options::{Kind, Options, Take, Undefined, is_glob};
use crate::object::SymId;

/// Settles every name.
pub(super) fn settle(link: &mut Link<'_>) {
    make_commons(link);
    define_bounds(link);
    give_way(link);
    undefined(link);
    number_libraries(link);
    decide(link);
}

fn make_commons(link: &mut Link<'_>) {
    for global in &mut link.globals {
        let Some((size, align)) = global.common.filter(|_| global.def == Def::None) else {
            continue;
        };
        global.def = Def::Made(link.atoms.len() as u32);
        link.atoms.push(Atom {
            file: NONE,
            section: NONE,
            start: 0,
            size,
            align,
            live: true,
            forward: NONE,
            forward_at: 0,
            out: NONE,
            addr: 0,
        });
    }
}

/// Names that stand for places of the image.
fn define_bounds(link: &mut Link<'_>) {
    let header = header(link.options.kind);
    for at in 0..link.globals.len() {
        if link.globals[at].def != Def::None {
            continue;
        }
        let bound = match link.names.get(SymId(at as u32)) {
            b"___dso_handle" => Bound::Base,
            name if name == header => Bound::Base,
            name => match bound(name).or_else(|| crate::macho::mode::bound(link.options, name)) {
                Some(bound) => bound,
                None => continue,
            },
        };
        let global = &mut link.globals[at];
        global.def = Def::Bound(link.bounds.len() as u32);
        global.private = true;
        link.bounds.push(bound);
    }
}

/// `section$start$SEG$sect`, `segment$end$SEG`.
fn bound(name: &[u8]) -> Option<Bound> {
    let mut parts = name.split(|&byte| byte == b'$');
    let what = parts.next()?;
    let end = match parts.next()? {
        b"start" => false,
        b"end" => true,
        _ => return None,
    };
    let segment = parts.next()?.to_vec();
    match (what, parts.next()) {
        (b"section", Some(section)) => Some(Bound::Section(segment, section.to_vec(), end)),
        (b"segment", None) => Some(Bound::Segment(segment, end)),
        _ => None,
    }
}

/// Atoms all of whose names stand for others go; what refers to them gets the winner.
fn give_way(link: &mut Link<'_>) {
    for file in 0..link.files.len() {
        let object = &link.files[file];
        let mut lost: Vec<(u32, SymId)> = Vec::new();
        let mut stays = rustc_hash::FxHashSet::default();
        for (index, symbol) in object.symbols.iter().enumerate() {
            let Home::Atom(atom, offset) = symbol.home else { continue };
            let mine = Def::Object(file as u32, index as u32);
            if symbol.is_global() && link.globals[symbol.id.i()].def != mine && offset == 0 {
                lost.push((atom, symbol.id));
            } else if symbol.is_global() || !symbol.name.starts_with(b"l") {
                stays.insert(atom);
            }
        }
        for (atom, id) in lost {
            if stays.contains(&atom) {
                continue;
            }
            let loser = link.files[file].first_atom + atom;
            let winner = link.atom_of(crate::macho::link::Ref::Name(id));
            let winner = winner.filter(|winner| winner.0 != loser);
            let loser = &mut link.atoms[loser as usize];
            if let Some((winner, at)) = winner {
                (loser.forward, loser.forward_at) = (winner, at);
            }
            loser.live = false;
        }
    }
}

/// What nothing has is looked up at run time, if that is wished.
fn undefined(link: &mut Link<'_>) {
    let options = link.options;
    for at in 0..link.globals.len() {
        let global = &link.globals[at];
        if global.def != Def::None || !(global.strong_ref || global.weak_ref) {
            continue;
        }
        let name = link.name(SymId(at as u32));
        let allowed = options.allowed.iter().any(|allowed| **allowed == *name);
        if !allowed && options.undefined == Undefined::Error {
            continue;
        }
        if !allowed && options.undefined == Undefined::Warning {
            link.warnings.push(format!("undefined symbol: {name}"));
        }
        link.globals[at].def = Def::Lookup;
    }
}

/// The library that every image of the system needs.
const SYSTEM: &[u8] = b"/usr/lib/libSystem.B.dylib";

/// From this SDK on dyld wants a library: 15.4.
const ALONE: u32 = 15 << 16 | 4 << 8;

/// Counts the libraries that stay.
fn number_libraries(link: &mut Link<'_>) {
    for global in &link.globals {
        if let Def::Library(number) = global.def {
            let library = &mut link.libraries[number as usize];
            library.used = true;
            library.strongly |= global.strong_ref;
        }
    }
    share(&mut link.libraries);
    let strip = link.options.dead_strip_dylibs;
    let mut count = 0;
    let mut seen: Vec<(Vec<u8>, i32)> = Vec::new();
    for library in &mut link.libraries {
        // An image without any library is none that dyld loads.
        let system = library.install_name == SYSTEM;
        let keep = library.used || library.take.needed || library.take.reexport;
        if library.is_loader {
            library.ordinal = ordinal::MAIN;
        } else if keep || !(strip && !system || library.auto) {
            // Two files may have the same install name: the loader takes it once.
            let old = seen.iter().find(|(name, _)| *name == library.install_name);
            library.ordinal = old.map_or(count + 1, |&(_, ordinal)| ordinal);
            if library.ordinal > count {
                count += 1;
                seen.push((library.install_name.clone(), count));
            }
        }
    }
    if count == 0 && link.options.sdk >= ALONE {
        let text = "no library is linked: dyld refuses what is made with SDK 15.4 or newer so";
        link.warnings.push(text.to_owned());
    }
}

/// Files with the same install name are one library: it is taken, and used, as any of them is.
fn share(libraries: &mut [Library]) {
    let mut all: FxHashMap<Vec<u8>, (Take, bool, bool)> = FxHashMap::default();
    for library in &*libraries {
        let (take, used, strongly) = all.entry(library.install_name.clone()).or_default();
        take.add(library.take);
        *used |= library.used;
        *strongly |= library.strongly;
    }
    for library in libraries {
        (library.take, library.used, library.strongly) = all[&library.install_name];
    }
}

/// What is exported, and what the loader looks up.
fn decide(link: &mut Link<'_>) {
    let options = link.options;
    let exported = options.exported.as_ref().map(|list| Patterns::new(list));
    let unexported = Patterns::new(&options.unexported);
    let interposable = options.flat && options.kind != Kind::Execute;
    for at in 0..link.globals.len() {
        let name = link.names.get(SymId(at as u32));
        let global = &mut link.globals[at];
        global.weak_import = global.weak_ref && !global.strong_ref;
        match global.def {
            Def::Library(number) => {
                let library = &link.libraries[number as usize];
                global.weak_import |= library.take.weak;
                // What another has is passed on if it is asked for.
                let listed = exported.as_ref().is_some_and(|list| list.has(name));
                global.reexported = listed && library.ordinal > 0 && name != BINDER;
                global.ordinal = Some(match options.flat {
                    _ if global.weak && link.chained => ordinal::WEAK,
                    true => ordinal::FLAT,
                    false => library.ordinal,
                });
            }
            Def::Lookup => global.ordinal = Some(ordinal::FLAT),
            Def::Object(..) | Def::Made(_) => {
                global.private |= global.can_hide && exported.is_none();
                let listed = exported.as_ref().is_none_or(|list| list.has(name));
                global.exported = !global.private && listed && !unexported.has(name);
                if global.exported && global.weak {
                    global.ordinal = Some(ordinal::WEAK);
                } else if global.exported && interposable {
                    global.ordinal = Some(ordinal::FLAT);
                }
            }
            Def::None | Def::Bound(_) => {}
        }
    }
    // Numbers are never bound: the loader would move them.
    for at in 0..link.globals.len() {
        if link.is_absolute(crate::macho::link::Ref::Name(SymId(at as u32))) {
            link.globals[at].ordinal = None;
        }
    }
}

/// The name of a program's header.
pub const HEADER: &[u8] = b"__mh_execute_header";

/// The name of an image's header.
fn header(kind: Kind) -> &'static [u8] {
    match kind {
        Kind::Execute => HEADER,
        Kind::Dylib => b"__mh_dylib_header",
        Kind::Bundle => b"__mh_bundle_header",
    }
}

/// Whether the header is exported: every program's, unless the options say otherwise.
pub fn exports_header(options: &Options) -> bool {
    let listed = options.exported.as_ref().is_none_or(|list| Patterns::new(list).has(HEADER));
    options.kind == Kind::Execute && listed && !Patterns::new(&options.unexported).has(HEADER)
}

/// Names, some of them with `*`, `?` and `[…]`.
struct Patterns<'p> {
    plain: rustc_hash::FxHashSet<&'p [u8]>,
    globs: Vec<Pattern>,
}

impl<'p> Patterns<'p> {
    fn new(list: &'p [String]) -> Self {
        let globs = list.iter().filter(|name| is_glob(name));
        Self {
            plain: list.iter().map(String::as_bytes).collect(),
            // The options have none that is wrong.
            globs: globs.filter_map(|name| Pattern::glob(name).ok()).collect(),
        }
    }

    fn has(&self, name: &[u8]) -> bool {
        let name_of = Name::new(name);
        self.plain.contains(name) || self.globs.iter().any(|glob| glob.matches(&name_of))
    }
}
