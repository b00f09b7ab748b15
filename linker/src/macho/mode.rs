//! Build modes as darwin has them: what `--buildmode` stands for among ld64's options, what it adds to a link, and the
//! order of a plugin's data.
//!
//! What is added is an object like any other. dyld looks up zero-sized symbols in the wrong image, so a plugin's
//! markers are data of their own: the head of a section has a size, the tail is its last symbol, between them symbols
//! lie by size. After the Go linker (`fixZeroSizedSymbols`, `dodataSect`).

mod made;
mod module;
#[cfg(test)]
mod tests;

use super::link::{Bound, Def, Link};
use super::object::Target;
use super::options::{Kind, Options};
use crate::format::macho::kind as section;
use crate::mode::{Addition, DATA, Mode, OWN, START, usage};
use crate::object::{SymId, hash_name};
use crate::options::OutputKind;
use crate::{Error, ErrorKind, Result};

pub use made::{Init, Place, init};

/// The system of Mach-O inputs.
pub const SYSTEM: &str = "darwin";

/// A row of [`MARKERS`].
type Marker = (&'static str, &'static str, &'static str, &'static str, bool);

/// Section bounds by their names: start, end, segment, section, and whether symbols between lie by size.
pub static MARKERS: &[Marker] = &[
    ("runtime.text", "runtime.etext", "__TEXT", "__text", false),
    ("runtime.rodata", "runtime.erodata", "__TEXT", "__rodata", true),
    ("runtime.types", "runtime.etypes", "__DATA_CONST", "__go_type", true),
    ("runtime.noptrdata", "runtime.enoptrdata", "__DATA", "__noptrdata", true),
    ("runtime.data", "runtime.edata", "__DATA", "__data", true),
    ("runtime.bss", "runtime.ebss", "__DATA", "__bss", true),
    ("runtime.noptrbss", "runtime.enoptrbss", "__DATA", "__noptrbss", true),
];

/// Room for the load command of the debug information that Go adds to a plugin.
const HEADERPAD: u64 = 0x1144;

/// The mode in ld64's options.
pub fn flags(mode: &Mode) -> &'static str {
    match (mode.kind, mode.is_guest) {
        (OutputKind::Shared, true) => {
            "-dylib -flat_namespace -bind_at_load -headerpad 1144 -no_fixup_chains"
        }
        (OutputKind::Shared, false) => "-dylib",
        _ => "-execute",
    }
}

/// What a mode makes.
fn kind(mode: &Mode) -> Kind {
    if mode.kind == OutputKind::Shared { Kind::Dylib } else { Kind::Execute }
}

/// What the mode asks for, before any option is read: options may change it again.
pub fn apply(mode: &'static Mode, options: &mut Options) {
    options.kind = kind(mode);
    if mode.is_guest {
        options.flat = true;
        options.bind_at_load = true;
        options.headerpad = Some(HEADERPAD);
        options.chained = Some(false);
    }
    options.build.mode = Some(mode);
}

/// `GOARCH` of the machine that `-arch` calls `name`.
fn goarch(name: &str) -> &str {
    if name == "x86_64" { "amd64" } else { name }
}

/// Checks what the options say of the mode and of the target.
///
/// Errors: `usage`; `wrong-machine` for a `--goarch` that is not `-arch`'s.
pub fn check(options: &Options) -> Result<()> {
    let build = &options.build;
    let Some(mode) = build.mode else {
        return match build.goos.is_some() || build.goarch.is_some() {
            true => Err(usage("--goos and --goarch go with --buildmode".into())),
            false => Ok(()),
        };
    };
    if options.kind != kind(mode) {
        return Err(mode.contradicts(match options.kind {
            Kind::Execute => "-execute",
            Kind::Dylib => "-dylib",
            Kind::Bundle => "-bundle",
        }));
    }
    let own = goarch(options.arch().name);
    let goos = build.goos.as_deref().unwrap_or(SYSTEM);
    let said = build.goarch.as_deref().unwrap_or(own);
    mode.check(goos, said)?;
    if goos != SYSTEM {
        return Err(usage(format!("--goos={goos}: the inputs are Mach-O")));
    }
    if said != own {
        let text = format!("--goarch={said}: -arch is {}", options.arch().name);
        return Err(Error::new(ErrorKind::WrongMachine, text));
    }
    Ok(())
}

/// A name as objects have it.
fn mangled(name: &str) -> Vec<u8> {
    format!("_{name}").into_bytes()
}

/// What `link` says of `name`: nothing, if nobody mentions it.
fn find(link: &Link<'_>, name: &str) -> Option<SymId> {
    let name = mangled(name);
    link.names.find(&name, hash_name(&name))
}

/// Whether something refers to `name`, and nothing has it.
fn is_wanted(link: &Link<'_>, name: &str) -> bool {
    find(link, name).is_some_and(|id| {
        let global = &link.globals[id.i()];
        let referred = global.strong_ref || global.weak_ref;
        let open = matches!(global.def, Def::None | Def::Lookup | Def::Bound(_));
        referred && open && global.common.is_none()
    })
}

/// Whether an object after the first `own` ones has `name`.
fn is_others(link: &Link<'_>, own: usize, name: &str) -> bool {
    find(link, name).is_some_and(|id| {
        let global = &link.globals[id.i()];
        let object = matches!(global.def, Def::Object(file, _) if file as usize >= own);
        object || global.common.is_some()
    })
}

/// A name that all objects of a link see, wherever it is, and nobody else does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shared {
    name: Vec<u8>,
    /// One object alone defines it, for itself. Else a local symbol of this name is another thing.
    is_local: bool,
}

impl Shared {
    fn new(name: &str, is_local: bool) -> Self {
        Self { name: mangled(name), is_local }
    }

    /// Whether a symbol that is called `name`, and is global or not, is what is shared.
    pub fn is(&self, name: &[u8], is_global: bool) -> bool {
        (is_global || self.is_local) && self.name == name
    }
}

/// What a mode adds to one link.
#[derive(PartialEq, Eq, Debug)]
pub struct Added {
    what: Addition,
    /// Each with the name of the symbol to make.
    markers: Vec<(&'static Marker, &'static str)>,
    /// The runtime's list ends in a common block: its size and alignment.
    common: Option<(u64, u8)>,
    /// The object, which goes before all others.
    pub object: Vec<u8>,
    /// What all objects of the link see.
    pub shared: Vec<Shared>,
}

/// What the mode adds to `link`; none if that is no Go module.
///
/// `before` is what was added to it already, which may have pulled the runtime out of an archive: the answer is
/// none, too, if that is still right.
///
/// Errors: `undefined-symbol` for what has no address, `mode-conflict` for what each thread has, `duplicate-symbol` for
/// what is in several places, `internal`.
pub fn add(link: &Link<'_>, before: Option<&Added>) -> Result<Option<Added>> {
    let Some(mode) = link.options.build.mode else { return Ok(None) };
    let own = usize::from(before.is_some());
    // The Go linker's own output for another linker: it has done all this.
    let is_complete = module::locals(link, made::ENTRY).any(|(file, _)| file >= own);
    if is_complete && before.is_none() {
        return Ok(None);
    }
    let mut common = before.and_then(|before| before.common).or_else(|| module::common(link));
    let is_local = |place: (usize, usize)| !link.files[place.0].symbols[place.1].is_global();
    let look = |name: &str| {
        let found = module::defined(link, name)?.map(|place| !is_local(place));
        Ok(found.or((name == made::LAST && common.is_some()).then_some(true)))
    };
    let mut what = match is_complete {
        true => Addition::default(),
        false => Addition::find(mode, (SYSTEM, goarch(link.machine.name)), look)?,
    };
    let mut shared = before.map_or(Vec::new(), |before| before.shared.clone());
    if let Some(data) = what.data() {
        module::refuse_number(link, data, DATA)?;
        module::refuse_threads(link, data, DATA)?;
        let local = module::defined(link, data)?.is_some_and(is_local);
        shared.extend((data == OWN || local).then(|| Shared::new(data, local)));
    }
    if let Some(start) = &what.start
        && let Some(place) = module::defined(link, start)?
    {
        if module::is_init(link, start) || module::is_called(link, place) {
            what.start = None;
        } else {
            module::refuse_number(link, start, START)?;
            module::refuse_threads(link, start, START)?;
            shared.extend(is_local(place).then(|| Shared::new(start, true)));
        }
    }
    let announced = before.is_some_and(|before| before.what.announce.is_some());
    what.pulls = announced && what.announce.is_none();
    // Those that are there are no longer wanted.
    let made = |row: &Marker| before.is_some_and(|b| b.markers.iter().any(|made| made.0 == row));
    let wanted = |row: &Marker| is_wanted(link, row.0) || is_wanted(link, row.1);
    let rows = MARKERS.iter().filter(|row| mode.is_guest && (made(row) || wanted(row)));
    // Head and tail, unless the module has one of its own.
    let both = rows.flat_map(|row| [(row, row.0), (row, row.1)]);
    let markers: Vec<_> = both.filter(|(_, name)| !is_others(link, own, name)).collect();
    let is_known = match before {
        Some(before) => before.what == what && before.markers == markers,
        None => what.is_empty() && markers.is_empty(),
    };
    if is_known {
        return Ok(None);
    }
    common = common.filter(|_| what.list.is_some());
    common.map_or(Ok(()), |(size, _)| module::check_common(size))?;
    let object = made::object(&what, &markers, common, link.machine)?;
    Ok(Some(Added { what, markers, common, object, shared }))
}

/// What is left to do once every name is known: the runtime's list starts with the module's own data.
///
/// Errors: `bad-input` if the list has no place for an address.
pub fn finish(link: &mut Link<'_>, added: &Added) -> Result<()> {
    added.what.list.map_or(Ok(()), |data| module::point(link, data))
}

/// What a marker bounds, where it is no symbol of its own.
pub(super) fn bound(options: &Options, name: &[u8]) -> Option<Bound> {
    options.build.mode?;
    let name = name.strip_prefix(b"_")?;
    let row = MARKERS.iter().find(|row| [row.0, row.1].iter().any(|n| n.as_bytes() == name))?;
    let end = row.1.as_bytes() == name;
    Some(Bound::Section(row.2.as_bytes().to_vec(), row.3.as_bytes().to_vec(), end))
}

/// Where a read-only section goes in a plugin: what has addresses in it is written when it is loaded.
pub(super) fn segment<'s>(link: &Link<'_>, file: u32, section: u32, segment: &'s [u8]) -> &'s [u8] {
    let guest = link.options.build.mode.is_some_and(|mode| mode.is_guest);
    let Some(object) = link.files.get(file as usize).filter(|_| guest) else { return segment };
    let section = &object.sections[section as usize];
    let plain = section.header.kind() == section::REGULAR && section.header.flags & !0xff == 0;
    let address = section.relocs.iter().any(|reloc| {
        reloc.kind == link.machine.unsigned && reloc.size == 8 && reloc.minus == Target::None
    });
    match segment == b"__TEXT" && plain && address {
        true if link.options.has_const() => b"__DATA_CONST",
        true => b"__DATA",
        false => segment,
    }
}

/// Orders a Go plugin's sections: the head, symbols by size and then as they came, the tail.
pub fn arrange(link: &mut Link<'_>) {
    let guest = link.options.build.mode.is_some_and(|mode| mode.is_guest);
    // Others are ordinary libraries.
    if !guest || link.files.first().is_none_or(|file| *file.name != *crate::mode::OBJECT) {
        return;
    }
    let marker = |link: &Link<'_>, name: &str| {
        let id = find(link, name)?;
        link.atom_of(super::link::Ref::Name(id)).map(|(atom, _)| atom)
    };
    for (start, end, segment, section, by_size) in MARKERS {
        let is = |out: &super::link::Out| {
            (&*out.segment, &*out.name) == (segment.as_bytes(), section.as_bytes())
        };
        let Some(at) = link.outs.iter().position(is) else { continue };
        let (head, tail) = (marker(link, start), marker(link, end));
        let mut atoms = std::mem::take(&mut link.outs[at].atoms);
        atoms.sort_by_key(|&atom| {
            let place = match atom {
                _ if Some(atom) == head => 0,
                _ if Some(atom) == tail => 2,
                _ => 1,
            };
            let size = if *by_size { link.atoms[atom as usize].size } else { 0 };
            (place, size)
        });
        link.outs[at].atoms = atoms;
    }
}
