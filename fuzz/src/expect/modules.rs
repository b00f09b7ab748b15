//! A Go module's case → the case that says what its build mode adds, as one more object.
//!
//! Written once more, beside the judge's writer and the linker's: three who must agree. It must not know
//! bytes of objects, nor who links.

use std::borrow::Cow;
use std::collections::BTreeSet;

use scold_diff::desugar::OBJECT;
use scold_diff::{Mode, Target};

use super::world::World;
use crate::case::*;
use crate::machine;

const FUNCTION: &str = "go:link.addmoduledata";
const APPEND: &str = "runtime.addmoduledata";
const FIRST: &str = "runtime.firstmoduledata";
const OWN: &str = "local.moduledata";
const LAST: &str = "runtime.lastmoduledatap";
/// What comes before a name in another for the same place.
const ALIAS: &str = "go:link.";

/// `case` with what its mode adds and changes; none if it can't have that.
pub(super) fn desugared(case: &Case) -> Option<Cow<'_, Case>> {
    if case.mode == Mode::Shared || !mentions_modes(case) {
        return Some(Cow::Borrowed(case));
    }
    let names = if case.mode == Mode::Plugin { [OWN, FIRST] } else { [FIRST, OWN] };
    let mut made =
        Made { target: case.target, object: Object { name: OBJECT.to_owned(), ..EMPTY } };
    let mut link = Link::new(case.clone(), None);
    let known = |link: &Link| names.into_iter().find(|name| link.defines(name));
    // An executable is never announced by the list that it has itself.
    let lists = |link: &Link| !case.mode.is_library() && link.defines(LAST);
    let runs = |link: &Link| link.defines(APPEND) || lists(link);
    // A list whose end no other object sees has nothing to do with the host's.
    let closed = |link: &Link| link.find(LAST).is_some_and(|it| it.standing == Standing::Local);
    let asked = known(&link).filter(|_| !runs(&link) && !closed(&link));
    if asked.is_some() {
        // Asking for the host's runtime may find one in an archive, which is the module's own then.
        made.symbol(APPEND);
        link = Link::new(case.clone(), Some(&made.object));
        if !link.defines(APPEND) {
            made.object.symbols.clear();
        }
    }
    let data = known(&link);
    let handles = |link: &Link, name: &str| match link.is_aliased(name) {
        true => format!("{ALIAS}{name}"),
        false => name.to_owned(),
    };
    let (runtime, last) = (runs(&link), link.defines(LAST));
    let announces = data.filter(|_| !runtime && !closed(&link));
    let list = data.filter(|_| runtime && last);
    let start = entry(case.target, case.goos());
    let starts = case.mode == Mode::CShared && link.defines(&start) && !link.is_called(&start);
    let pulls = !made.object.symbols.is_empty();
    if announces.is_none() && list.is_none() && !starts && !pulls {
        return Some(Cow::Borrowed(case));
    }
    if let Some(data) = announces {
        made.announce(&handles(&link, data));
    }
    if starts {
        made.pointer(&format!("{start}.ptr"), &handles(&link, &start));
    }
    let target = list.map(|data| handles(&link, data));
    // Data that asks for a runtime is its module's own, whichever answers.
    for name in asked.or(announces).or(list).into_iter().chain(starts.then_some(&*start)) {
        link.own(name);
    }
    if let Some(data) = target {
        link.point(&data)?;
    }
    let mut case = link.case;
    if !made.object.sections.is_empty() || pulls {
        case.inputs.insert(0, Input::Object(made.object));
    }
    Some(Cow::Owned(case))
}

/// Whether a mode may have anything to look at: most cases have nothing.
fn mentions_modes(case: &Case) -> bool {
    let parts = ["_rt0_", "moduledata"];
    let mut all = case.objects().into_iter().flat_map(|object| &object.symbols);
    all.any(|symbol| parts.iter().any(|part| symbol.name.contains(part)))
}

/// How an object defines a name, worst first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Local,
    Weak,
    Common,
    Strong,
}

/// A definition: which object, as [`Case::objects`] counts them, which symbol of it.
#[derive(Clone, Copy)]
struct Found {
    object: usize,
    symbol: usize,
    standing: Standing,
}

/// A case and what of it takes part.
struct Link {
    case: Case,
    taken: Vec<bool>,
    /// By object, sections of groups that an earlier one has.
    dropped: Vec<BTreeSet<usize>>,
}

impl Link {
    /// If `first` goes before all others, too.
    fn new(case: Case, first: Option<&Object>) -> Self {
        let taken = |case: &Case| World::new(case).files.iter().map(|file| file.loaded).collect();
        let taken = match first {
            None => taken(&case),
            Some(first) => {
                let mut longer = case.clone();
                longer.inputs.insert(0, Input::Object(first.clone()));
                let mut all: Vec<bool> = taken(&longer);
                all.remove(0);
                all
            }
        };
        let mut groups = BTreeSet::new();
        let mut dropped = Vec::new();
        for (at, object) in case.objects().into_iter().enumerate() {
            let comdats = object.groups.iter().filter(|group| taken[at] && group.comdat);
            let again = comdats.filter(|group| !groups.insert(group.signature.clone()));
            dropped.push(again.flat_map(|group| group.members.clone()).collect());
        }
        Self { case, taken, dropped }
    }

    fn defines(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The definition of `name` that counts for all; one that is local, if that is all there is.
    fn find(&self, name: &str) -> Option<Found> {
        let mut all = Vec::new();
        for (at, object) in self.objects() {
            for (index, symbol) in object.symbols.iter().enumerate().filter(|(_, s)| s.name == name)
            {
                let standing = match (symbol.binding, symbol.definition) {
                    (_, Definition::Undefined) => continue,
                    (_, Definition::Section { section, .. })
                        if self.dropped[at].contains(&section) =>
                    {
                        continue;
                    }
                    (Binding::Local, _) => Standing::Local,
                    (_, Definition::Common { .. }) => Standing::Common,
                    (Binding::Weak, _) => Standing::Weak,
                    _ => Standing::Strong,
                };
                all.push(Found { object: at, symbol: index, standing });
            }
        }
        let best = all.iter().rev().max_by_key(|found| found.standing).copied()?;
        (best.standing != Standing::Local || all.len() == 1).then_some(best)
    }

    /// Whether what defines `name` needs another name: by this one others would find none, or another module's.
    fn is_aliased(&self, name: &str) -> bool {
        self.find(name).is_some_and(|found| {
            found.standing == Standing::Local || name == FIRST && self.case.mode.is_library()
        })
    }

    /// The objects and members that take part.
    fn objects(&self) -> impl Iterator<Item = (usize, &Object)> {
        let all = self.case.objects().into_iter().enumerate();
        all.filter(|(at, _)| self.taken.get(*at) == Some(&true))
    }

    fn object_mut(&mut self, at: usize) -> Option<&mut Object> {
        self.case.objects_mut().into_iter().nth(at)
    }

    /// Whether an init entry leads to `start` already.
    fn is_called(&self, start: &str) -> bool {
        let machine = machine::of(self.case.target.arch);
        let is_pointer = |r_type: u32| machine.pointer == r_type || machine.init == r_type;
        // What older compilers called it has no type of its own.
        let is_old = |name: &str| name == ".ctors" || name.starts_with(".ctors.");
        let runs = |s: &Section| s.kind == SectionKind::InitArray || is_old(&s.name);
        self.objects().any(|(number, object)| {
            let home = |symbol: &Symbol| match symbol.definition {
                Definition::Section { section, offset } => Some((section, offset)),
                _ => None,
            };
            let homes: Vec<_> =
                object.symbols.iter().filter(|s| s.name == start).filter_map(home).collect();
            let kept = object.sections.iter().enumerate();
            let kept = kept.filter(|(at, _)| !self.dropped[number].contains(at)).map(|it| it.1);
            let arrays = kept.filter(|s| runs(s));
            arrays.flat_map(|section| &section.relocs).filter(|r| is_pointer(r.r_type)).any(
                |reloc| {
                    let at = |offset: u64| offset.wrapping_add_signed(reloc.addend);
                    match reloc.symbol {
                        SymbolRef::Named(index) => {
                            let symbol = &object.symbols[index];
                            let moved = home(symbol).map(|(section, offset)| (section, at(offset)));
                            (symbol.name == start && reloc.addend == 0)
                                || moved.is_some_and(|place| homes.contains(&place))
                        }
                        SymbolRef::Section(section) => homes.contains(&(section, at(0))),
                        SymbolRef::Null => false,
                    }
                },
            )
        })
    }

    /// What is called `name` is this module's own: all its objects see it, by another name maybe.
    fn own(&mut self, name: &str) {
        let aliased = self.is_aliased(name);
        let Some(found) = self.find(name) else { return };
        let size = self.common_size(name);
        let Some(object) = self.object_mut(found.object) else { return };
        if !aliased {
            let symbol = &mut object.symbols[found.symbol];
            if name == OWN && symbol.visibility == Visibility::Default {
                symbol.visibility = Visibility::Hidden;
            }
            return;
        }
        if let Definition::Common { .. } = object.symbols[found.symbol].definition {
            common(object, found.symbol, size);
        }
        let twin = Symbol {
            name: format!("{ALIAS}{name}"),
            binding: Binding::Global,
            visibility: Visibility::Hidden,
            ..object.symbols[found.symbol].clone()
        };
        object.symbols.push(twin);
    }

    /// Size and alignment of the common block that all objects mean by `name`.
    fn common_size(&self, name: &str) -> (u64, u64) {
        let all = self.objects().flat_map(|(_, object)| &object.symbols);
        let same = all.filter(|s| s.name == name && s.binding != Binding::Local);
        same.fold((0, 1), |(size, align), symbol| match symbol.definition {
            Definition::Common { align: other } => (size.max(symbol.size), align.max(other)),
            _ => (size, align),
        })
    }

    /// The end of the runtime's list is where it starts, too: the variable holds the address of `data`. None if it
    /// can't.
    fn point(&mut self, data: &str) -> Option<()> {
        let machine = machine::of(self.case.target.arch);
        let (r_type, width) = (machine.pointer, u64::from(machine.word));
        let found = self.find(LAST)?;
        let size = self.common_size(LAST);
        let object = self.object_mut(found.object)?;
        let (section, offset) = match object.symbols[found.symbol].definition {
            Definition::Section { section, offset } => (section, offset),
            Definition::Common { .. } => (common(object, found.symbol, size), 0),
            _ => return None,
        };
        let end = offset.checked_add(width)?;
        let start = object.sections[section].start();
        let stop = start.saturating_add(object.sections[section].data.len());
        (start <= offset && end <= stop).then_some(())?;
        let target =
            object.symbols.iter().position(|s| s.name == data && s.binding != Binding::Local);
        let target = target.unwrap_or_else(|| {
            object.symbols.push(Symbol::undefined(data));
            object.symbols.len() - 1
        });
        let home = &mut object.sections[section];
        if home.kind == SectionKind::Nobits {
            // What isn't zero isn't with zeros.
            home.kind = SectionKind::Progbits;
            for (zeros, like) in [(".bss", ".data"), (".noptrbss", ".noptrdata")] {
                let rest = home.name.strip_prefix(zeros);
                if let Some(rest) = rest.filter(|rest| rest.is_empty() || rest.starts_with('.')) {
                    home.name = format!("{like}{rest}");
                    break;
                }
            }
            // There is no room for one, nor was there one.
            home.marker = Marker::None;
        }
        home.relocs.retain(|reloc| !(offset..end).contains(&reloc.offset));
        let symbol = SymbolRef::Named(target);
        home.relocs.push(Reloc { offset, r_type, symbol, addend: 0 });
        home.relocs.sort_by_key(|reloc| reloc.offset);
        if let Data::Bytes(bytes) = &mut home.data {
            let word = (offset - start) as usize..(end - start) as usize;
            bytes[word].fill(0);
        }
        Some(())
    }
}

/// A section of its own for a common block, so large and aligned so.
fn common(object: &mut Object, symbol: usize, (size, align): (u64, u64)) -> usize {
    let section = object.sections.len();
    object.sections.push(Section {
        name: ".noptrbss".to_owned(),
        kind: SectionKind::Nobits,
        flags: SectionFlags { alloc: true, write: true, ..SectionFlags::default() },
        align,
        entsize: 0,
        marker: Marker::None,
        data: Data::Zeros(size),
        relocs: Vec::new(),
        link_order: None,
    });
    let symbol = &mut object.symbols[symbol];
    (symbol.definition, symbol.size) = (Definition::Section { section, offset: 0 }, size);
    section
}

/// Where a library for `target` starts on the system that Go calls `goos`.
pub(crate) fn entry(target: Target, goos: &str) -> String {
    let name = target.name();
    format!("_rt0_{}_{goos}_lib", name.split('-').next().unwrap_or(name))
}

const EMPTY: Object = Object {
    name: String::new(),
    sections: Vec::new(),
    symbols: Vec::new(),
    groups: Vec::new(),
    subsections: false,
};

struct Made {
    target: Target,
    object: Object,
}

impl Made {
    /// The index of the symbol called `name`, undefined unless it is there.
    fn symbol(&mut self, name: &str) -> usize {
        let list = &mut self.object.symbols;
        list.iter().position(|symbol| symbol.name == name).unwrap_or_else(|| {
            list.push(Symbol::undefined(name));
            list.len() - 1
        })
    }

    /// A section and its only, local, symbol.
    fn section(
        &mut self,
        name: &str,
        symbol: (&str, SymbolKind),
        align: u64,
        bytes: &[u8],
        relocs: Vec<Reloc>,
    ) -> usize {
        let section = self.object.sections.len();
        let (exec, init) = (name == ".text", name == ".init_array");
        self.object.sections.push(Section {
            name: name.to_owned(),
            kind: if init { SectionKind::InitArray } else { SectionKind::Progbits },
            flags: SectionFlags { alloc: true, write: !exec, exec, ..SectionFlags::default() },
            align,
            entsize: 0,
            marker: Marker::None,
            data: Data::Bytes(bytes.to_vec()),
            relocs,
            link_order: None,
        });
        let at = self.symbol(symbol.0);
        let made = &mut self.object.symbols[at];
        (made.binding, made.kind, made.size) = (Binding::Local, symbol.1, bytes.len() as u64);
        made.definition = Definition::Section { section, offset: 0 };
        at
    }

    /// The function that announces `data`, and its entry.
    fn announce(&mut self, data: &str) {
        let made = machine::announce::of(self.target.arch);
        let (data, call) = (self.symbol(data), self.symbol(APPEND));
        let field = |(offset, r_type, addend): (u64, u32, i64), symbol: usize| Reloc {
            offset,
            r_type,
            symbol: SymbolRef::Named(symbol),
            addend,
        };
        let fields = made.code.fields.iter();
        let mut relocs: Vec<Reloc> = fields
            .map(|&(offset, r_type, addend)| field((offset.into(), r_type, addend.into()), data))
            .collect();
        relocs.push(field(made.call, call));
        relocs.sort_by_key(|reloc| reloc.offset);
        self.section(".text", (FUNCTION, SymbolKind::Func), made.align, made.code.bytes, relocs);
        self.pointer("go:link.addmoduledatainit", FUNCTION);
    }

    /// An init entry called `name` that leads to `target`.
    fn pointer(&mut self, name: &str, target: &str) {
        let machine = machine::of(self.target.arch);
        let symbol = SymbolRef::Named(self.symbol(target));
        let reloc = Reloc { offset: 0, r_type: machine.pointer, symbol, addend: 0 };
        let word = [0; 8];
        let (word, align) = (&word[..usize::from(machine.word)], machine.word.into());
        self.section(".init_array", (name, SymbolKind::Object), align, word, vec![reloc]);
    }
}
