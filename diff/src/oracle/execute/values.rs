//! What a probe returned, in words that don't depend on where things were loaded.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SectionFlags};

use super::super::invariants::inputs::{Marked, marked};
use super::number;
use crate::loader::{Header, Module};
use crate::model::elf::is_linkers;
use crate::model::{MARKER_MAGIC, Meaning, archive};
use crate::oracle::shape::labelled;
use crate::{Facts, Family, Request, Value};

/// Everything that can be said of one value. An address may have a place and several names: two modules
/// agree on it if they have any of them in common.
pub(super) type Answer = BTreeSet<String>;

/// The last value that is no address, as `host.c` has it.
const LOW: u64 = 0x7fff;

/// What is known about one loaded module.
pub(super) struct Values<'a> {
    module: &'a Module<'a>,
    image: &'a [u8],
    base: u64,
    marked: HashMap<[u8; 8], Marked>,
    names: BTreeMap<u64, BTreeSet<String>>,
    slots: BTreeMap<u64, u64>,
    /// How many bytes belong to whatever has no marker.
    least: usize,
}

impl<'a> Values<'a> {
    pub(super) fn new(
        request: &Request,
        module: &'a Module<'a>,
        image: &'a [u8],
        base: u64,
    ) -> Self {
        Self {
            module,
            image,
            base,
            marked: marked(request),
            names: BTreeMap::new(),
            slots: BTreeMap::new(),
            least: least(&sizes(request)),
        }
    }

    /// The loader left `value` in the slot at this address of the file.
    pub(super) fn slot(&mut self, at: u64, value: u64) {
        self.slots.insert(at, value);
    }

    /// Everybody finds `name` at this address. What linkers call ends of their own says nothing.
    pub(super) fn name(&mut self, at: u64, name: &str) {
        if is_linkers(name) {
            return;
        }
        self.names.entry(at).or_default().insert(name.to_owned());
    }

    /// `line` is the value, the object it lies in, the offset there, and the bytes there.
    pub(super) fn answer(&self, line: &str) -> Answer {
        let mut words = line.split(' ');
        let value = words.next().and_then(number);
        let (object, offset, bytes) = (words.next(), words.next(), words.next());
        let Some(value) = value else { return Answer::from(["no such probe".into()]) };
        let mut bytes = bytes.map(|bytes| self.own(value, bytes).to_owned());
        let mut answer = Answer::new();
        if object == Some("*") {
            let address = value.wrapping_sub(self.moved());
            // A function may be told by its own PLT entry: an IFUNC is, by some linkers.
            let mut places = self.places(address);
            // Which may be where a section ends.
            if places.iter().all(|place| place.end)
                && let Some(behind) = self.stub(address)
            {
                let behind = behind.wrapping_sub(self.moved());
                places.extend(self.places(behind));
                bytes = self.module.image.memory(behind).map(text_of).or(bytes);
            }
            // What has no marker may begin where something else ends: with .bss behind .data in one
            // output and on a page of its own in another, the address is of memory in both.
            if !places.is_empty() && places.iter().all(|place| place.end) {
                answer.extend(
                    bytes.iter().filter(|bytes| *bytes != "-").map(|b| format!("memory {b}")),
                );
            }
            answer.extend(places.into_iter().map(|place| format!("place {}", place.text)));
            answer.extend(self.is_got(address).then(|| "the GOT".into()));
        }
        let names = self.names.get(&value).filter(|_| value > LOW);
        answer.extend(names.into_iter().flatten().map(|name| format!("symbol {name}")));
        if answer.is_empty() {
            answer.insert(match (object, bytes.as_deref()) {
                (Some("*"), Some(bytes)) => format!("memory {bytes}"),
                (Some("-"), Some("-")) => format!("number {value:#x}"),
                (Some("-"), Some(bytes)) => format!("memory {bytes}"),
                (Some(object), _) => format!("library {object}+{}", offset.unwrap_or_default()),
                (None, _) => "nothing".into(),
            });
        }
        // Nothing can be at this address elsewhere: there it is a number.
        if value > LOW && value <= 0xffff {
            answer.insert(format!("number {value:#x}"));
        }
        answer
    }

    /// Of the bytes at `value` those that are its object's: no more than the smallest has, and none behind
    /// the segment's memory, where the rest of a page of the file is.
    pub(super) fn own<'b>(&self, value: u64, bytes: &'b str) -> &'b str {
        if bytes == "-" {
            return bytes;
        }
        let address = value.wrapping_sub(self.moved());
        let image = &self.module.image;
        // An address at the very end of one segment has no bytes, unless another starts there.
        let loads = image.loads.iter();
        let room =
            loads.filter_map(|load| load.size.checked_sub(address.checked_sub(load.address)?));
        let room = room.max().and_then(|room| usize::try_from(room).ok()).unwrap_or(self.least);
        let len = room.min(self.least);
        bytes.get(..2 * len).unwrap_or(bytes)
    }

    /// Where the PLT entry at `address` goes.
    fn stub(&self, address: u64) -> Option<u64> {
        let slot = self.module.stub(address)?;
        self.slots.get(&slot).copied()
    }

    /// Whether the GOT starts at `address`. Its first word says where the dynamic section is (x86-64 psABI §5.2, "Global
    /// Offset Table"), which is up to the linker; wild, which binds nothing late, leaves it out.
    fn is_got(&self, address: u64) -> bool {
        let image = &self.module.image;
        let is_table = |header: &Header| {
            header.address == address && [".got", ".got.plt"].contains(&image.name_of(header))
        };
        image.headers.iter().any(is_table)
            || image.dynamic.is_some_and(|(dynamic, _)| image.word(address) == Some(dynamic))
    }

    fn moved(&self) -> u64 {
        if self.module.image.moves { self.base } else { 0 }
    }

    /// The input section that this address is in, found by the marker before it. Where one ends and the
    /// next begins at once, the address is both's: which it is depends on the order of sections.
    fn places(&self, address: u64) -> Vec<Place> {
        self.place(address, 0).into_iter().chain(self.place(address, 1)).collect()
    }

    /// The section of the last marker before `address`, after leaving out `skipped` at it.
    fn place(&self, address: u64, skipped: u64) -> Option<Place> {
        let load = self.module.image.segment(address)?;
        let within = address - load.address;
        let end = within.checked_add(if skipped == 0 { MARKER_MAGIC.len() as u64 } else { 0 })?;
        // Behind the segment's part of the file comes another's.
        let end = load.offset.checked_add(end.min(load.file_size))?;
        let start = usize::try_from(load.offset).ok()?;
        let bytes = self.image.get(start..usize::try_from(end).ok()?)?;
        let at = memchr::memmem::rfind(bytes, &MARKER_MAGIC)?;
        let key: [u8; 8] = self.image.get(start + at + 8..start + at + 16)?.try_into().ok()?;
        let marked = self.marked.get(&key)?;
        let offset = within - at as u64;
        let known = if skipped == 0 { offset <= marked.size } else { offset == marked.size };
        let text = format!("{}+{offset:#x}", marked.name);
        known.then_some(Place { text, end: offset == marked.size })
    }
}

/// A place in an input section that has a marker.
struct Place {
    text: String,
    /// Whether it is behind the section's last byte.
    end: bool,
}

/// Whether two answers have anything in common: memory does with as much of it as the other has.
pub(super) fn alike(one: &Answer, other: &Answer) -> bool {
    let memory = |text: &str| Some(text.strip_prefix("memory ")?.to_owned());
    let same = |a: &String, b: &String| match (memory(a), memory(b)) {
        (Some(a), Some(b)) => a.starts_with(&b) || b.starts_with(&a),
        _ => a == b,
    };
    one.iter().any(|a| other.iter().any(|b| same(a, b)))
}

/// The bytes that belong to what an address is of: a variable may have no more than four, the rest are
/// its neighbour's.
pub(super) fn own(bytes: &str) -> &str {
    bytes.get(..8).unwrap_or(bytes)
}

/// How many bytes the smallest thing without a marker has, of those that code may be given the address of:
/// with more, its neighbours would be compared. Four if all have that many.
fn least(sizes: &BTreeMap<String, Size>) -> usize {
    let unmarked = sizes.values().filter(|size| !size.marked && size.bytes > 0);
    usize::try_from(unmarked.fold(4, |least, size| least.min(size.bytes))).unwrap_or(4)
}

/// The probes that take the address of what is beside the section that they mean, where it is up to a linker what is.
pub(super) fn strays(request: &Request, facts: &Facts) -> BTreeSet<String> {
    let sizes = sizes(request);
    let least = least(&sizes) as i64;
    let beside = beside(request);
    let strays = facts.iter().filter(|(key, _)| key.family == Family::Site);
    let strays = strays.filter_map(|(key, value)| {
        let Value::Ref(Meaning::Place(place)) = value else { return None };
        let size = sizes.get(&*place.section)?;
        // Of what has no marker, bytes are compared.
        let read = if size.marked { 0 } else { least };
        let start = place.offset.checked_add(*beside.get(&*key.rest)?)?;
        let end = start.checked_add(read)?;
        let within = start >= 0 && end <= i64::try_from(size.bytes).ok()?;
        let (section, offset) = (!within).then(|| key.rest.rsplit_once("+0x"))??;
        Some((section, i64::from_str_radix(offset, 16).ok()?))
    });
    let strays: Vec<(&str, i64)> = strays.collect();
    let probes = facts.iter().filter(|(key, _)| {
        key.family == Family::Export && !strays.is_empty() && key.rest.starts_with("scold.probe.")
    });
    let probes = probes.filter(|(_, value)| {
        let Value::Export { meaning: Meaning::Place(code), size, .. } = value else { return false };
        strays.iter().any(|(section, at)| {
            let inside = at.checked_sub(code.offset).and_then(|at| u64::try_from(at).ok());
            **section == *code.section && inside.is_some_and(|inside| inside < *size)
        })
    });
    probes.map(|(key, _)| key.rest.split('@').next().unwrap_or_default().to_owned()).collect()
}

/// How far beside its symbol each site of objects leads.
fn beside(request: &Request) -> HashMap<String, i64> {
    let machine = request.target.arch.machine();
    let all = archive::contents(request).into_iter();
    all.flat_map(|(name, bytes)| crate::model::elf::beside(machine, &name, bytes)).collect()
}

/// How large a section or a common is, and whether it starts with a marker.
struct Size {
    bytes: u64,
    marked: bool,
}

/// Sizes of sections and commons of objects, by what facts call them; of sections of one name the smallest.
fn sizes(request: &Request) -> BTreeMap<String, Size> {
    let mut sizes: BTreeMap<String, Size> = BTreeMap::new();
    let mut add = |name: String, bytes: u64, marked: bool| {
        let size = sizes.entry(name).or_insert(Size { bytes, marked });
        *size = Size { bytes: bytes.min(size.bytes), marked: marked && size.marked };
    };
    for (name, bytes) in archive::contents(request) {
        let Ok(elf) = object::File::parse(bytes) else { continue };
        if elf.kind() != object::ObjectKind::Relocatable {
            continue;
        }
        for (label, section) in labelled(&name, &elf) {
            let SectionFlags::Elf { sh_flags, .. } = section.flags() else { continue };
            let marked = section.data().is_ok_and(|data| data.starts_with(&MARKER_MAGIC));
            if sh_flags.0 & object::elf::SHF_ALLOC.0 != 0 {
                add(label, section.size(), marked);
            }
        }
        for common in elf.symbols().filter(|symbol| symbol.is_common()) {
            let name = format!("{name}:COMMON.{}", common.name().unwrap_or_default());
            add(name, common.size(), false);
        }
    }
    sizes
}

/// The same of a file's bytes.
fn text_of(bytes: [u8; 4]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An answer as people read it.
pub(super) fn text(answer: &Answer) -> String {
    answer.iter().map(String::as_str).collect::<Vec<_>>().join(" = ")
}

/// The first word: what kind of value it is.
pub(super) fn kind(answer: &Answer) -> &str {
    answer.first().and_then(|value| value.split(' ').next()).unwrap_or_default()
}
