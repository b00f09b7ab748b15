//! A Go module's Mach-O case → the case that says what its build mode adds and changes.
//!
//! Written once more, beside the judge's writer and the linker's: three who must agree. It must not know
//! bytes of objects, nor who links.

use std::borrow::Cow;

use scold_diff::desugar::OBJECT;
use scold_diff::request::Arch;
use scold_diff::{Mode, Target};

use crate::case::*;
use crate::machine::macho as machine;
use machine::{amd64::*, arm64::*};

const FUNCTION: &str = "_go:link.addmoduledata";
const APPEND: &str = "_runtime.addmoduledata";
const FIRST: &str = "_runtime.firstmoduledata";
const OWN: &str = "_local.moduledata";
const LAST: &str = "_runtime.lastmoduledatap";

/// Names of a section's start and end, and the section.
pub(crate) const MARKERS: [(&str, &str, &str); 7] = [
    ("_runtime.text", "_runtime.etext", "__TEXT,__text"),
    ("_runtime.rodata", "_runtime.erodata", "__TEXT,__rodata"),
    ("_runtime.types", "_runtime.etypes", "__DATA_CONST,__go_type"),
    ("_runtime.noptrdata", "_runtime.enoptrdata", "__DATA,__noptrdata"),
    ("_runtime.data", "_runtime.edata", "__DATA,__data"),
    ("_runtime.bss", "_runtime.ebss", "__DATA,__bss"),
    ("_runtime.noptrbss", "_runtime.enoptrbss", "__DATA,__noptrbss"),
];

/// A name as objects have it.
pub(crate) fn mangled(name: &str) -> String {
    format!("_{name}")
}

/// What the objects of the command line say of a name.
struct Said<'c>(&'c Case);

impl Said<'_> {
    fn named<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Symbol> {
        let objects = self.0.inputs.iter().filter_map(|input| match input {
            Input::Object(object) => Some(object),
            _ => None,
        });
        objects.flat_map(|object| &object.symbols).filter(move |symbol| symbol.name == name)
    }

    fn any(&self, name: &str, wanted: impl Fn(&Symbol) -> bool) -> bool {
        self.named(name).filter(|symbol| symbol.binding != Binding::Local).any(wanted)
    }

    fn is_global(&self, name: &str) -> bool {
        self.any(name, |symbol| symbol.definition != Definition::Undefined)
    }

    /// For all, or in an object for itself: several of these clash.
    fn defines(&self, name: &str) -> bool {
        self.is_global(name) || self.named(name).any(|symbol| symbol.binding == Binding::Local)
    }

    fn wants(&self, name: &str) -> bool {
        !self.is_global(name) && self.any(name, |_| true)
    }
}

/// `case` with what its mode adds.
pub(super) fn desugared(case: &Case) -> Cow<'_, Case> {
    if matches!(case.mode, Mode::Shared | Mode::Exe) {
        return Cow::Borrowed(case);
    }
    let plain = if case.mode == Mode::Plugin { plugin(case) } else { Cow::Borrowed(case) };
    let said = Said(case);
    let names = if case.mode == Mode::Plugin { [OWN, FIRST] } else { [FIRST, OWN] };
    let data = names.into_iter().find(|name| said.defines(name));
    let last = said.defines(LAST);
    let runtime = said.defines(APPEND) || (case.mode == Mode::Pie && last);
    let mut made = Made { target: case.target, object: EMPTY };
    // A list whose end no other object sees has nothing to do with the host's.
    let closed = last && !said.is_global(LAST);
    if let Some(data) = data.filter(|_| !runtime && !closed) {
        made.announce(data);
    }
    let start = mangled(&crate::expect::module_entry(case.target, case.goos()));
    if case.mode == Mode::CShared && said.defines(&start) {
        made.entry(&format!("{start}.ptr"), &start);
    }
    let list = data.filter(|_| runtime && last);
    let wanted: Vec<_> =
        MARKERS.iter().filter(|(start, end, _)| said.wants(start) || said.wants(end)).collect();
    if made.object.sections.is_empty() && list.is_none() && wanted.is_empty() {
        return plain;
    }
    let shared = |data: &&str| *data == OWN || !said.is_global(data);
    let announced = data.filter(|data| shared(data) && if runtime { last } else { !closed });
    let local_list = !said.is_global(LAST);
    let called = Some(&*start).filter(|start| case.mode == Mode::CShared && !said.is_global(start));
    let mut case = plain.into_owned();
    announced.into_iter().chain(called).for_each(|name| share(&mut case, name));
    if let Some(data) = list {
        end_list(&mut case, &mut made, data, local_list);
    }
    if case.mode == Mode::Plugin {
        wanted.iter().for_each(|row| made.heads(row, |name| !said.is_global(name)));
    } else {
        wanted.iter().for_each(|row| bound(&mut case, row));
    }
    if !made.object.sections.is_empty() {
        case.inputs.insert(0, Input::Object(made.object));
    }
    Cow::Owned(case)
}

/// A plugin of whatever kind: dyld writes read-only data that has addresses in it, and follows no chains.
fn plugin(case: &Case) -> Cow<'_, Case> {
    let mut case = case.clone();
    case.options.insert(0, Opt::FixupChains(false));
    let machine::Machine { pointer, minus, .. } = machine::of(case.target.arch);
    for object in case.objects_mut() {
        let plain = |section: &Section| {
            let kind = section.kind == SectionKind::Progbits;
            let flags = section.flags.exec || section.flags.retain;
            kind && !flags && section.name.starts_with("__TEXT,")
        };
        let address = |section: &Section| {
            let relocs = &section.relocs;
            let lone = |reloc: &Reloc| {
                let mut here = relocs.iter().filter(|other| other.offset == reloc.offset);
                here.all(|other| !minus.contains(&other.r_type))
            };
            relocs.iter().any(|reloc| reloc.r_type == *pointer && lone(reloc))
        };
        // Atoms of one section go together.
        let all = object.sections.iter().filter(|section| plain(section) && address(section));
        let names: Vec<String> = all.map(|section| section.name.clone()).collect();
        for section in object.sections.iter_mut().filter(|section| plain(section)) {
            if names.contains(&section.name) {
                section.name = section.name.replacen("__TEXT,", "__DATA_CONST,", 1);
                section.flags.write = true;
            }
        }
    }
    Cow::Owned(case)
}

/// All objects see what is called `name`, and no other image does. What is local is meant only where nothing else is.
fn share(case: &mut Case, name: &str) {
    let is_global = Said(case).is_global(name);
    for object in case.objects_mut() {
        let mut twins = Vec::new();
        for symbol in object.symbols.iter_mut().filter(|symbol| symbol.name == name) {
            match (symbol.binding, symbol.definition) {
                (_, Definition::Undefined) => {}
                (Binding::Local, _) if is_global => {}
                (Binding::Local, _) => {
                    let visibility = Visibility::Hidden;
                    twins.push(Symbol { binding: Binding::Global, visibility, ..symbol.clone() });
                }
                _ => symbol.visibility = Visibility::Hidden,
            }
        }
        object.symbols.append(&mut twins);
    }
}

/// In a library for everybody the linker's own names say where a section is.
fn bound(case: &mut Case, (start, end, section): &(&str, &str, &str)) {
    let section = section.replace(',', "$");
    for object in case.objects_mut() {
        let wanted = object.symbols.iter_mut().filter(|s| s.definition == Definition::Undefined);
        for symbol in wanted {
            if symbol.name == *start {
                symbol.name = format!("section$start${section}");
            } else if symbol.name == *end {
                symbol.name = format!("section$end${section}");
            }
        }
    }
}

/// The word that ends the list of modules holds the address of `data`, where it is.
fn end_list(case: &mut Case, made: &mut Made, data: &str, is_local: bool) {
    let pointer = machine::of(case.target.arch).pointer;
    if let Some((size, align)) = common(case) {
        made.block(data, size, align);
        return;
    }
    let objects = case.inputs.iter_mut().filter_map(|input| match input {
        Input::Object(object) => Some(object),
        _ => None,
    });
    for object in objects {
        let here = |s: &&Symbol| s.name == LAST && (s.binding == Binding::Local) == is_local;
        let last = object.symbols.iter().find(here);
        let Some(&Symbol { definition: Definition::Section { section, offset }, .. }) = last else {
            continue;
        };
        bytes(object, section);
        let symbol = symbol(object, data);
        let it = &mut object.sections[section];
        it.relocs.retain(|reloc| reloc.offset != offset);
        let reloc = Reloc { offset, r_type: pointer, symbol, addend: 0 };
        it.relocs.push(reloc);
        it.relocs.sort_by_key(|reloc| reloc.offset);
        break;
    }
}

/// Size and alignment of the common block that ends the list, which is one no more: the largest of each. None if the
/// list ends elsewhere.
fn common(case: &mut Case) -> Option<(u64, u64)> {
    let block = |symbol: &Symbol| match symbol.definition {
        Definition::Common { align } => Some((symbol.size, align)),
        _ => None,
    };
    let said = Said(case);
    let is_it =
        |symbol: &Symbol| symbol.definition == Definition::Undefined || block(symbol).is_some();
    if said.any(LAST, |symbol| !is_it(symbol)) {
        return None;
    }
    let largest = said
        .named(LAST)
        .filter_map(block)
        .reduce(|one, other| (one.0.max(other.0), one.1.max(other.1)))?;
    for symbol in case.objects_mut().into_iter().flat_map(|object| &mut object.symbols) {
        if symbol.name == LAST && block(symbol).is_some() {
            *symbol = Symbol::undefined(LAST);
        }
    }
    Some(largest)
}

/// Zeros in `section` become data, with all that is called as it is.
fn bytes(object: &mut Object, section: usize) {
    if object.sections[section].kind != SectionKind::Nobits {
        return;
    }
    let name = object.sections[section].name.clone();
    let like = match &*name {
        "__DATA,__bss" | "__DATA,__common" => "__DATA,__data",
        "__DATA,__noptrbss" => "__DATA,__noptrdata",
        other => other,
    };
    for section in object.sections.iter_mut().filter(|section| section.name == name) {
        section.name = like.to_owned();
        section.kind = SectionKind::Progbits;
        // There is no room for one, nor was there one.
        section.marker = Marker::None;
    }
}

/// The symbol called `name`, undefined unless it is there.
fn symbol(object: &mut Object, name: &str) -> SymbolRef {
    let list = &mut object.symbols;
    let known = list.iter().position(|symbol| symbol.name == name);
    SymbolRef::Named(known.unwrap_or_else(|| {
        list.push(Symbol::undefined(name));
        list.len() - 1
    }))
}

const EMPTY: Object = Object {
    name: String::new(),
    sections: Vec::new(),
    symbols: Vec::new(),
    groups: Vec::new(),
    subsections: true,
};

/// `lea DATA(%rip), %rdi; call; ret`.
const AMD64: &[u8] = &[0x48, 0x8d, 0x3d, 0, 0, 0, 0, 0xe8, 0, 0, 0, 0, 0xc3];
/// `adrp x0, DATA; add x0, x0, DATA; b`.
const ARM64: &[u8] = &[0, 0, 0, 0x90, 0, 0, 0, 0x91, 0, 0, 0, 0x14];

struct Made {
    target: Target,
    object: Object,
}

impl Made {
    /// An atom, and its symbol.
    fn atom(&mut self, section: &str, align: u64, name: &str, bytes: &[u8], relocs: Vec<Reloc>) {
        self.object.name = OBJECT.to_owned();
        let zero = matches!(section, "__DATA,__bss" | "__DATA,__noptrbss");
        self.object.sections.push(Section {
            name: section.to_owned(),
            kind: match section {
                "__DATA,__mod_init_func" => SectionKind::InitArray,
                _ if zero => SectionKind::Nobits,
                _ => SectionKind::Progbits,
            },
            flags: SectionFlags {
                alloc: true,
                write: !section.starts_with("__TEXT,"),
                exec: section == "__TEXT,__text",
                ..SectionFlags::default()
            },
            align,
            entsize: 0,
            marker: Marker::None,
            data: match zero {
                true => Data::Zeros(bytes.len() as u64),
                false => Data::Bytes(bytes.to_vec()),
            },
            relocs,
            link_order: None,
        });
        let section = self.object.sections.len() - 1;
        let SymbolRef::Named(at) = symbol(&mut self.object, name) else { return };
        let symbol = &mut self.object.symbols[at];
        symbol.binding = Binding::Local;
        symbol.definition = Definition::Section { section, offset: 0 };
    }

    /// The variable that ends the list: it holds the address of `data`.
    fn block(&mut self, data: &str, size: u64, align: u64) {
        let r_type = machine::of(self.target.arch).pointer;
        let symbol = symbol(&mut self.object, data);
        let reloc = Reloc { offset: 0, r_type, symbol, addend: 0 };
        self.atom("__DATA,__noptrdata", align, LAST, &vec![0; size as usize], vec![reloc]);
        let last = self.object.symbols.iter_mut().find(|symbol| symbol.name == LAST);
        last.into_iter().for_each(|symbol| symbol.binding = Binding::Global);
    }

    /// The function that announces `data`, and its entry.
    fn announce(&mut self, data: &str) {
        let data = symbol(&mut self.object, data);
        let append = symbol(&mut self.object, APPEND);
        let reloc = |offset, r_type, symbol| Reloc { offset, r_type, symbol, addend: 0 };
        let (bytes, relocs) = match self.target.arch {
            Arch::Arm64 => (
                ARM64,
                vec![
                    reloc(0, ARM64_RELOC_PAGE21, data),
                    reloc(4, ARM64_RELOC_PAGEOFF12, data),
                    reloc(8, ARM64_RELOC_BRANCH26, append),
                ],
            ),
            _ => (
                AMD64,
                vec![reloc(3, X86_64_RELOC_SIGNED, data), reloc(8, X86_64_RELOC_BRANCH, append)],
            ),
        };
        self.atom("__TEXT,__text", 16, FUNCTION, bytes, relocs);
        self.entry("_go:link.addmoduledatainit", FUNCTION);
    }

    /// An entry of the array of init functions.
    fn entry(&mut self, name: &str, function: &str) {
        let r_type = machine::of(self.target.arch).pointer;
        let symbol = symbol(&mut self.object, function);
        let reloc = Reloc { offset: 0, r_type, symbol, addend: 0 };
        self.atom("__DATA,__mod_init_func", 8, name, &[0; 8], vec![reloc]);
    }

    /// Head and tail of a section, as far as they are `needed`: data of this image's own.
    fn heads(&mut self, (start, end, section): &(&str, &str, &str), needed: impl Fn(&str) -> bool) {
        for name in [start, end].into_iter().filter(|name| needed(name)) {
            self.atom(section, 8, name, &[0; 8], Vec::new());
            if let Some(symbol) = self.object.symbols.iter_mut().find(|s| s.name == **name) {
                symbol.binding = Binding::Global;
                symbol.visibility = Visibility::Hidden;
            }
        }
    }
}
