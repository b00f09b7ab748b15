//! Go modules for darwin, as they come and as a mode leaves them, written here so that no assembler is needed.

use object::macho as m;
use object::write::{Object, Relocation, SectionId, Symbol, SymbolId, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, RelocationFlags, SectionFlags, SectionKind,
    SymbolFlags, SymbolKind, SymbolScope,
};

use crate::desugar::OBJECT;
use crate::{Arch, File, Mode, Request, Target};

const SYSTEM: &str = "--- !tapi-tbd\ntbd-version: 4\ntargets: [ x86_64-macos, arm64-macos ]\n\
    install-name: /usr/lib/libSystem.B.dylib\nexports:\n  - targets: [ x86_64-macos, arm64-macos ]\n    \
    symbols: [ dyld_stub_binder ]\n...\n";

/// Which module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Made {
    /// A plugin, with a host's runtime.
    Guest,
    /// A library that starts a runtime.
    Start,
    /// A library that has one.
    List,
}

/// How the module comes to the linker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Change {
    /// As the Go compiler leaves it: the mode has all to do.
    Unlinked,
    /// All is done.
    None,
    NoEntry,
    TwoEntries,
    EntryMoved,
    DataMoved,
    OwnCall,
    Private,
    Bare,
    BuildId,
    Text,
    HeadLate,
    TailEarly,
    HeadEmpty,
    CodeFirst,
    CodeLast,
    MarkersMoved,
    Unsorted,
    Ties,
}

/// A segment and a section.
type Within = (&'static str, &'static str);

/// A symbol with what it names: where, its size, what its first word refers to with an addend.
struct Atom {
    place: Within,
    name: &'static str,
    size: usize,
    to: Option<(&'static str, i64)>,
    private: bool,
}

const TEXT: Within = ("__TEXT", "__text");
const DATA: Within = ("__DATA", "__data");
const INIT: Within = ("__DATA", "__mod_init_func");
const FUNCTION: &str = "go:link.addmoduledata";
const APPEND: &str = "runtime.addmoduledata";

fn atom(place: Within, name: &'static str, size: usize) -> Atom {
    Atom { place, name, size, to: None, private: false }
}

impl Atom {
    fn to(self, name: &'static str, by: i64) -> Self {
        Self { to: Some((name, by)), ..self }
    }

    fn private(self) -> Self {
        Self { private: true, ..self }
    }
}

/// The link of a module, with the mode or as it is before.
pub(super) fn link(target: Target, made: Made, change: Change) -> Request {
    let arch = target.arch;
    let module = match made {
        Made::Guest => guest(change),
        Made::Start => {
            vec![atom(TEXT, start(arch), 16), atom(DATA, "type.T", 16).to("type.T", 0)]
        }
        Made::List => vec![
            atom(TEXT, APPEND, 16),
            atom(DATA, "runtime.firstmoduledata", 16),
            atom(DATA, "runtime.lastmoduledatap", 8),
        ],
    };
    let first = if change == Change::Unlinked { OBJECT } else { "./first.o" };
    let [heads, tails] = added(arch, made, change);
    let mut own = object(arch, &module);
    if change == Change::Bare {
        rename(&mut own, b"_type.T\0", b"type.T\0\0");
    }
    let mut objects = vec![(first, heads), ("a.o", own)];
    objects.extend((made == Made::Guest && first != OBJECT).then_some(("./last.o", tails)));
    let mut args: Vec<String> = objects.iter().map(|(name, _)| (*name).to_owned()).collect();
    args.extend(["libSystem.tbd", "-U", "_runtime.addmoduledata"].map(String::from));
    objects.push(("libSystem.tbd", SYSTEM.as_bytes().to_vec()));
    let file = |(name, bytes): (&str, Vec<u8>)| File { name: name.into(), bytes: bytes.into() };
    Request {
        target,
        mode: if made == Made::Guest { Mode::Plugin } else { Mode::CShared },
        args,
        files: objects.into_iter().map(file).collect(),
        goos: None,
    }
}

/// Writes `new` over the name `old`.
fn rename(bytes: &mut [u8], old: &[u8; 8], new: &[u8; 8]) {
    if let Some(at) = memchr::memmem::rfind(bytes, old) {
        bytes[at..at + new.len()].copy_from_slice(new);
    }
}

fn start(arch: Arch) -> &'static str {
    match arch {
        Arch::Arm64 => "_rt0_arm64_darwin_lib",
        _ => "_rt0_amd64_darwin_lib",
    }
}

/// The plugin's own atoms: by size, unless that is left to the linker.
fn guest(change: Change) -> Vec<Atom> {
    let word = atom(DATA, "word", 8);
    let mut shared = atom(DATA, "type.T", 16).to("type.T", 0);
    shared.private = change == Change::Private;
    let (pair, large) = (atom(DATA, "pair", 16), atom(DATA, "large", 32));
    let own = atom(DATA, "local.moduledata", 40).private();
    let mut list = vec![atom(TEXT, "f", 16)];
    // A second name of the first symbol.
    let empty = change == Change::HeadEmpty;
    list.extend(empty.then(|| atom(DATA, "runtime.data", 0).private()));
    list.extend(match change {
        Change::Unlinked | Change::Unsorted => [large, shared, pair, own, word],
        Change::Ties => [word, pair, shared, large, own],
        _ => [word, shared, pair, large, own],
    });
    let by = i64::from(change == Change::MarkersMoved);
    for (name, to) in [
        ("head", "runtime.data"),
        ("tail", "runtime.edata"),
        ("code", "runtime.text"),
        ("end", "runtime.etext"),
    ] {
        list.push(atom(("__DATA", "__table"), name, 8).to(to, by));
    }
    let fixed = match change {
        Change::Unlinked | Change::Text => "__TEXT",
        _ => "__DATA_CONST",
    };
    list.push(atom((fixed, "__rodata"), "fixed", 16).to("word", 0));
    list
}

/// What the mode adds, in an object before the module and one behind it; all in the first where the linker knows
/// the mode.
fn added(arch: Arch, made: Made, change: Change) -> [Vec<u8>; 2] {
    let target = if made == Made::Guest { FUNCTION } else { start(arch) };
    let entries = match (made, change) {
        (Made::List, _) | (_, Change::NoEntry) => 0,
        (_, Change::TwoEntries) => 2,
        _ => 1,
    };
    let by = if change == Change::EntryMoved { 8 } else { 0 };
    let names = ["go:link.init", "go:link.init.again"].into_iter().take(entries);
    let entries = names.map(|name| atom(INIT, name, 8).to(target, by).private());
    if made != Made::Guest {
        return [object(arch, &entries.collect::<Vec<_>>()), Vec::new()];
    }
    let marker = |place, name| atom(place, name, 8).private();
    let (head, tail) = (marker(DATA, "runtime.data"), marker(DATA, "runtime.edata"));
    let (code, end) = (marker(TEXT, "runtime.text"), marker(TEXT, "runtime.etext"));
    let [mut heads, mut tails] = match change {
        Change::Unlinked => [vec![head, tail, code, end], vec![]],
        Change::HeadLate => [vec![code], vec![head, tail, end]],
        Change::HeadEmpty => [vec![code], vec![tail, end]],
        Change::CodeFirst => [vec![head], vec![code, tail, end]],
        Change::BuildId => {
            [vec![head, atom(TEXT, "go:buildid", 16).private(), code], vec![tail, end]]
        }
        Change::TailEarly => [vec![head, tail, code], vec![end]],
        Change::CodeLast => [vec![head, code, end], vec![tail]],
        _ => [vec![head, code], vec![tail, end]],
    };
    heads.extend(entries);
    if change == Change::OwnCall {
        tails.insert(0, marker(TEXT, APPEND));
    }
    let moved = change == Change::DataMoved;
    [announcing(arch, &heads, moved), object(arch, &tails)]
}

struct Maker {
    object: Object<'static>,
    sections: Vec<(Within, SectionId)>,
}

impl Maker {
    fn section(&mut self, place: Within) -> SectionId {
        if let Some(found) = self.sections.iter().find(|found| found.0 == place) {
            return found.1;
        }
        let (kind, flags) = match place {
            TEXT => (SectionKind::Text, 0x8000_0400),
            INIT => (SectionKind::Data, 9),
            _ => (SectionKind::Data, 0),
        };
        let id = self.object.add_section(place.0.into(), place.1.into(), kind);
        let flags = m::SectionFlags(flags);
        self.object.section_mut(id).flags = SectionFlags::MachO { flags, reserved2: 0 };
        self.sections.push((place, id));
        id
    }

    /// The symbol of this name, which an earlier reference may have made.
    fn symbol(&mut self, name: &str, private: bool, section: SymbolSection) -> SymbolId {
        let scope = if private { SymbolScope::Linkage } else { SymbolScope::Dynamic };
        if let Some(id) = self.object.symbol_id(name.as_bytes()) {
            if section != SymbolSection::Undefined {
                let known = self.object.symbol_mut(id);
                (known.section, known.scope) = (section, scope);
            }
            return id;
        }
        self.object.add_symbol(Symbol {
            name: name.as_bytes().to_vec(),
            value: 0,
            size: 0,
            kind: SymbolKind::Data,
            scope,
            weak: false,
            section,
            flags: SymbolFlags::None,
        })
    }

    fn relocate(
        &mut self,
        (section, offset): (SectionId, u64),
        (r_type, r_pcrel, r_length): (m::RelocationType, bool, u8),
        name: &str,
        addend: i64,
    ) {
        let symbol = self.symbol(name, false, SymbolSection::Undefined);
        let flags = RelocationFlags::MachO { r_type, r_pcrel, r_length };
        // The writer knows every symbol and section used here.
        let _ = self.object.add_relocation(section, Relocation { offset, symbol, addend, flags });
    }

    /// The function that announces the module's data, so many bytes further.
    fn announce(&mut self, arm: bool, by: i64) {
        const OWN: &str = "local.moduledata";
        let text = self.section(TEXT);
        let code: &[u8] = match arm {
            true => &[0, 0, 0, 0x90, 0, 0, 0, 0x91, 0, 0, 0, 0x14],
            false => &[0x48, 0x8d, 0x3d, 0, 0, 0, 0, 0xe8, 0, 0, 0, 0, 0xc3],
        };
        let function = self.symbol(FUNCTION, true, SymbolSection::Section(text));
        let at = self.object.add_symbol_data(function, text, code, 16);
        if arm {
            self.relocate((text, at), (m::ARM64_RELOC_PAGE21, true, 2), OWN, by);
            self.relocate((text, at + 4), (m::ARM64_RELOC_PAGEOFF12, false, 2), OWN, by);
            self.relocate((text, at + 8), (m::ARM64_RELOC_BRANCH26, true, 2), APPEND, 0);
        } else {
            self.relocate((text, at + 3), (m::X86_64_RELOC_SIGNED, true, 2), OWN, by - 4);
            self.relocate((text, at + 8), (m::X86_64_RELOC_BRANCH, true, 2), APPEND, -4);
        }
    }
}

/// An object of `atoms` and of the function that announces the module's data, or what is behind that.
fn announcing(arch: Arch, atoms: &[Atom], moved: bool) -> Vec<u8> {
    let mut maker = maker(arch, atoms);
    maker.announce(arch == Arch::Arm64, if moved { 8 } else { 0 });
    maker.object.write().unwrap_or_default()
}

/// An object of `atoms`.
fn object(arch: Arch, atoms: &[Atom]) -> Vec<u8> {
    maker(arch, atoms).object.write().unwrap_or_default()
}

fn maker(arch: Arch, atoms: &[Atom]) -> Maker {
    let arm = arch == Arch::Arm64;
    let machine = if arm { Architecture::Aarch64 } else { Architecture::X86_64 };
    let mut object = Object::new(BinaryFormat::MachO, machine, Endianness::Little);
    object.set_subsections_via_symbols();
    let mut maker = Maker { object, sections: Vec::new() };
    for atom in atoms {
        let section = maker.section(atom.place);
        let symbol = maker.symbol(atom.name, atom.private, SymbolSection::Section(section));
        let empty = atom.to.is_some() || atom.name.starts_with("runtime.");
        let fill = if empty { 0 } else { 0xcc };
        // An empty one is where the next is; the writer would put a byte there.
        if atom.size == 0 {
            continue;
        }
        let at = maker.object.add_symbol_data(symbol, section, &vec![fill; atom.size], 8);
        if let Some((to, by)) = atom.to {
            maker.relocate((section, at), (m::X86_64_RELOC_UNSIGNED, false, 3), to, by);
        }
    }
    maker
}
