//! Input sections → the sections of the output, and where each went.

use rustc_hash::FxHashMap;

use super::{Group, Member, NOWHERE, Part, Work};
use crate::format::elf::*;
use crate::layout::assign::plain_debug_name;
use crate::object::{Object, Section};
use crate::options::Strip;
use crate::synthetic::notes::{self, Property};
use crate::{Error, Errors};

/// What sections must share to follow each other in one.
#[derive(PartialEq, Eq, Hash)]
struct Key<'a> {
    name: &'a [u8],
    kind: u32,
    flags: u64,
    entsize: u64,
    group: Option<usize>,
    link: Option<usize>,
    /// A number of its own for what can't be joined with anything.
    alone: Option<u32>,
}

const PROPERTY: &[u8] = b".note.gnu.property";

/// Fills in parts, groups and places.
///
/// Errors: `bad-input` for malformed properties.
pub(super) fn gather(work: &mut Work<'_, '_>) -> Result<(), Errors> {
    let grouped = groups(work);
    let mut keys = FxHashMap::default();
    // What is ordered by another section comes when that one has its place.
    for ordered in [false, true] {
        for at in 0..work.objects.len() {
            let object = work.objects[at];
            for (index, section) in object.sections.iter().skip(1) {
                let is_ordered = section.flags & SHF_LINK_ORDER != 0 && section.link != 0;
                if is_ordered == ordered && is_content(work, object, index, &section) {
                    place(work, &mut keys, &grouped, at, index, &section);
                }
            }
        }
    }
    properties(work)?;
    attributes(work)?;
    for (at, part) in work.parts.iter().enumerate() {
        if let Some(group) = part.group {
            work.groups[group].parts.push(at);
        }
    }
    Ok(())
}

/// Numbers the groups that stay; gives the group of each section in one.
fn groups(work: &mut Work<'_, '_>) -> FxHashMap<u32, usize> {
    let mut grouped = FxHashMap::default();
    for (at, object) in work.objects.iter().enumerate() {
        for group in &object.groups {
            let lives = |s: u32| !object.dead[s as usize];
            if !group.sections().any(lives) {
                continue;
            }
            for section in group.sections().filter(|&s| lives(s)) {
                grouped.insert(object.sec(section).0, work.groups.len());
            }
            work.groups.push(Group {
                object: at,
                section: group.section,
                signature: group.signature,
                comdat: group.comdat,
                parts: Vec::new(),
            });
        }
    }
    grouped
}

fn is_content(work: &Work<'_, '_>, object: &Object<'_>, index: u32, section: &Section) -> bool {
    if object.dead[index as usize] {
        return false;
    }
    match section.kind {
        SHT_NULL | SHT_SYMTAB | SHT_STRTAB | SHT_RELA | SHT_REL | SHT_GROUP | SHT_SYMTAB_SHNDX
        | SHT_LLVM_ADDRSIG => false,
        kind if work.arch.attributes.is_some_and(|a| a.kind == kind) => false,
        _ if section.flags & SHF_ALLOC != 0 => object.section_name(index) != PROPERTY,
        _ => {
            let name = object.section_name(index);
            let debug = [&b".debug"[..], b".zdebug", b".gnu.debuglto", b".stab"];
            let debug = debug.iter().any(|prefix| name.starts_with(prefix));
            !debug || work.options.strip == Strip::None
        }
    }
}

fn place<'w>(
    work: &mut Work<'w, '_>,
    keys: &mut FxHashMap<Key<'w>, usize>,
    grouped: &FxHashMap<u32, usize>,
    at: usize,
    index: u32,
    section: &Section,
) {
    let object = work.objects[at];
    let id = object.sec(index);
    let link = if section.flags & SHF_LINK_ORDER != 0 && section.link != 0 {
        let target = work.places[object.sec(section.link).i()].0;
        if target == NOWHERE {
            // The section it describes is gone.
            return;
        }
        Some(target as usize)
    } else {
        None
    };
    let align = object.section_align(index);
    // Contents have been inflated; the group's own flag follows from `group`.
    let flags = section.flags & !(SHF_COMPRESSED | SHF_GROUP | SHF_INFO_LINK);
    let key = Key {
        name: plain_debug_name(object.section_name(index)),
        kind: section.kind,
        flags,
        entsize: section.entsize,
        group: grouped.get(&id.0).copied(),
        link,
        alone: pads_badly(section).then_some(id.0),
    };
    let (group, name) = (key.group, key.name);
    let part = *keys.entry(key).or_insert_with(|| {
        work.parts.push(Part {
            name,
            kind: section.kind,
            flags: if group.is_some() { flags | SHF_GROUP } else { flags },
            align: 1,
            entsize: section.entsize,
            size: 0,
            members: Vec::new(),
            group,
            link,
            made: None,
            relocs: 0,
            index: 0,
        });
        work.parts.len() - 1
    });
    let out = &mut work.parts[part];
    // Zeros between unwind records would end the table for other linkers.
    let step = if name == b".eh_frame" { align.min(4) } else { align };
    let offset = out.size.checked_next_multiple_of(step).unwrap_or(u64::MAX);
    out.align = out.align.max(align);
    out.size = offset.saturating_add(object.section_size(index));
    out.relocs += object.relocs(index).len();
    out.members.push(Member { object: at, section: index, offset });
    work.places[id.i()] = (part as u32, offset);
}

/// Whether the padding before this section could be no whole number of entries: constants that are
/// aligned otherwise than their size. Joined, they would no longer be a table of constants.
fn pads_badly(section: &Section) -> bool {
    let (align, entry) = (section.align, section.entsize);
    section.flags & SHF_MERGE != 0
        && entry != 0
        && !entry.is_multiple_of(align)
        && !align.is_multiple_of(entry)
}

/// Merges the properties of all objects: one note cannot say what two did.
fn properties(work: &mut Work<'_, '_>) -> Result<(), Errors> {
    let word = work.arch.word() as usize;
    let mut lists: Vec<Vec<Property>> = Vec::with_capacity(work.objects.len());
    let mut errors = Vec::new();
    for object in &work.objects {
        let mut list = Vec::new();
        for (index, section) in object.sections.iter().skip(1) {
            if section.kind != SHT_NOTE || object.section_name(index) != PROPERTY {
                continue;
            }
            match notes::parse(object.section_data(index), work.arch.properties.merge, word) {
                Ok(found) => list.extend(found),
                Err(e) => errors.push(e.in_section(&object.name, ".note.gnu.property")),
            }
        }
        lists.push(list);
    }
    if let Some(errors) = Errors::collect(errors as Vec<Error>) {
        return Err(errors);
    }
    let merged = notes::merge(lists.iter().map(|l| &l[..]), work.arch.properties.merge, &[]);
    if merged.is_empty() {
        return Ok(());
    }
    let mut bytes = vec![0; notes::size(&merged, word)];
    notes::write(&merged, word, &mut bytes);
    work.parts.push(made(PROPERTY, SHT_NOTE, SHF_ALLOC, work.arch.word(), bytes));
    Ok(())
}

/// Merges the build attributes of all objects.
fn attributes(work: &mut Work<'_, '_>) -> Result<(), Errors> {
    let objects = work.objects.iter().copied();
    let (bytes, flags) = crate::synthetic::attributes::merge(work.arch, work.options, objects)?;
    work.flags = flags;
    if let Some(attributes) = work.arch.attributes.filter(|_| !bytes.is_empty()) {
        work.parts.push(made(attributes.name.as_bytes(), attributes.kind, 0, 1, bytes));
    }
    Ok(())
}

/// A section of these bytes.
fn made(name: &[u8], kind: u32, flags: u64, align: u64, bytes: Vec<u8>) -> Part<'_> {
    Part {
        name,
        kind,
        flags,
        align,
        entsize: 0,
        size: bytes.len() as u64,
        members: Vec::new(),
        group: None,
        link: None,
        made: Some(bytes),
        relocs: 0,
        index: 0,
    }
}
