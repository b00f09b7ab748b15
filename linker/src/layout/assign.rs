//! Input sections → output sections: names, kinds and the order of members.

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::{Made, Member, OutSec, SecPlace, align_up};
use crate::error::{Error, ErrorKind, Errors, Site};
use crate::format::elf::*;
use crate::link::{Link, MergedPart};
use crate::merge::{MergeInput, MergeKind, Split};
use crate::object::{FileId, Object, Section, SymId};

/// What decides which output section an input section goes to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Key<'a> {
    name: &'a [u8],
    kind: u32,
    flags: u64,
    /// Entry size and alignment of mergeable contents, (0, 0) for the others.
    merge: (u64, u64),
}

/// Flags that keep sections apart.
const APART: u64 = SHF_WRITE | SHF_ALLOC | SHF_EXECINSTR | SHF_TLS;

/// Prefixes whose sections are gathered under the prefix.
const GATHERED: &[&[u8]] = &[
    b".text",
    b".rodata",
    b".data.rel.ro",
    b".data",
    b".bss.rel.ro",
    b".bss",
    b".tdata",
    b".tbss",
    b".init_array",
    b".fini_array",
    b".preinit_array",
    b".ctors",
    b".dtors",
    b".gcc_except_table",
    b".ldata",
    b".lbss",
    b".lrodata",
    b".ltext",
];

/// The output section's name for an input section called `name`.
pub(crate) fn output_name(name: &[u8]) -> &[u8] {
    for prefix in GATHERED {
        if let Some(rest) = name.strip_prefix(*prefix)
            && (rest.is_empty() || rest[0] == b'.')
        {
            // .data.rel.ro.go.type and the like: Go finds them by name only inside .data.rel.ro.
            return &name[..prefix.len()];
        }
    }
    // Without a dot before what follows.
    if name.starts_with(b".ARM.extab") {
        return b".ARM.extab";
    }
    let linkonce: &[(&[u8], &[u8])] = &[
        (b".gnu.linkonce.t.", b".text"),
        (b".gnu.linkonce.r.", b".rodata"),
        (b".gnu.linkonce.d.", b".data"),
        (b".gnu.linkonce.b.", b".bss"),
        (b".gnu.linkonce.td.", b".tdata"),
        (b".gnu.linkonce.tb.", b".tbss"),
        (b".gnu.linkonce.d.rel.ro.", b".data.rel.ro"),
        (b".gnu.linkonce.wi.", b".debug_info"),
    ];
    let best = linkonce.iter().filter(|(p, _)| name.starts_with(p)).max_by_key(|(p, _)| p.len());
    best.map_or(name, |b| b.1)
}

/// What `-z keep-text-section-prefix` keeps apart from `.text`.
fn text_prefix(name: &[u8]) -> Option<&'static [u8]> {
    const KEPT: [&[u8]; 6] = [
        b".text.hot",
        b".text.unknown",
        b".text.unlikely",
        b".text.startup",
        b".text.exit",
        b".text.split",
    ];
    KEPT.into_iter().find(|p| name.strip_prefix(*p).is_some_and(|r| r.is_empty() || r[0] == b'.'))
}

/// The name of a debug section whose contents came in the old compressed form.
pub(crate) fn plain_debug_name(name: &[u8]) -> &[u8] {
    const NAMES: [&[u8]; 22] = [
        b".debug_abbrev",
        b".debug_addr",
        b".debug_aranges",
        b".debug_cu_index",
        b".debug_frame",
        b".debug_gdb_scripts",
        b".debug_gnu_pubnames",
        b".debug_gnu_pubtypes",
        b".debug_info",
        b".debug_line",
        b".debug_line_str",
        b".debug_loc",
        b".debug_loclists",
        b".debug_macinfo",
        b".debug_macro",
        b".debug_names",
        b".debug_pubnames",
        b".debug_pubtypes",
        b".debug_ranges",
        b".debug_rnglists",
        b".debug_str",
        b".debug_str_offsets",
    ];
    let Some(rest) = name.strip_prefix(b".z") else { return name };
    // Bytes of an unknown name are plain all the same, and no tool looks for them.
    NAMES.into_iter().find(|plain| &plain[1..] == rest).unwrap_or(name)
}

/// Whether a section of this kind is part of an output at all.
fn is_content(link: &Link<'_>, object: &Object<'_>, name: &[u8], section: &Section) -> bool {
    match section.kind {
        SHT_NULL | SHT_SYMTAB | SHT_STRTAB | SHT_RELA | SHT_REL | SHT_GROUP | SHT_SYMTAB_SHNDX
        | SHT_LLVM_ADDRSIG => false,
        _ if section.flags & SHF_EXCLUDE != 0 => false,
        kind if link.arch.attributes.is_some_and(|a| a.kind == kind) => false,
        _ if section.flags & SHF_ALLOC != 0 => {
            let table = name == b".ctors" || name == b".dtors";
            !(table && crate::init_order::is_table_end(&object.name))
        }
        _ => {
            let debug = name.starts_with(b".debug")
                || name.starts_with(b".zdebug")
                || name.starts_with(b".gnu.debuglto")
                || name.starts_with(b".stab");
            let dropped = debug && link.options.strip >= crate::options::Strip::Debug;
            !dropped && name != b".note.GNU-stack" && !name.starts_with(b".gnu.warning.")
        }
    }
}

fn key_of<'a>(
    object: &Object<'a>,
    (index, name): (u32, &'a [u8]),
    section: &Section,
    keep: bool,
) -> Key<'a> {
    let alloc = section.flags & SHF_ALLOC != 0;
    let name = match (alloc, keep.then(|| text_prefix(name)).flatten()) {
        (true, Some(prefix)) => prefix,
        (true, None) => output_name(name),
        _ => plain_debug_name(name),
    };
    // Old constructor tables become part of the array, words reversed.
    let name = match name {
        b".ctors" if alloc => b".init_array",
        b".dtors" if alloc => b".fini_array",
        name => name,
    };
    let mut kind = section.kind;
    // Old assemblers give these PROGBITS; the loader goes by DT_INIT_ARRAY, not by the type.
    match name {
        b".init_array" => kind = SHT_INIT_ARRAY,
        b".fini_array" => kind = SHT_FINI_ARRAY,
        b".preinit_array" => kind = SHT_PREINIT_ARRAY,
        _ => kind = (object.arch.section_kind)(kind),
    }
    let mergeable = section.flags & SHF_MERGE != 0
        && section.flags & SHF_WRITE == 0
        && section.entsize > 0
        && section.entsize <= 1 << 16
        && section.kind == SHT_PROGBITS
        && !object.is_inflated(index)
        && object.relocs_of[index as usize] == 0
        && object.section_size(index).is_multiple_of(section.entsize)
        && object.section_size(index) > 0;
    let strings = section.flags & SHF_STRINGS;
    let merge = if mergeable { (section.entsize, section.align | strings << 48) } else { (0, 0) };
    Key { name, kind, flags: section.flags & APART, merge }
}

/// The keys of a file's sections, and which section has which of them.
type PerFile<'a> = (Vec<Key<'a>>, Vec<(u32, u32)>);

/// Assigns every live section to an output section.
///
/// Errors: `bad-input` for mergeable contents that can't be split.
pub fn assign(link: &mut Link<'_>) -> Result<(), Errors> {
    let count = link.res.section_count;
    let keep = link.options.z.keep_text_section_prefix;
    let shared = &*link;
    let objects: Vec<(FileId, &Object<'_>)> = link.res.objects().collect();
    let per_file: Vec<PerFile<'_>> = objects
        .par_iter()
        .map(|&(_, object)| {
            let mut keys: Vec<Key<'_>> = Vec::new();
            let mut known: FxHashMap<Key<'_>, u32> = FxHashMap::default();
            let mut places = Vec::with_capacity(object.sections.len() as usize);
            for (index, section) in object.sections.iter().skip(1) {
                let name = object.section_name(index);
                if object.dead[index as usize] || !is_content(shared, object, name, &section) {
                    continue;
                }
                let key = key_of(object, (index, name), &section, keep);
                let place = *known.entry(key).or_insert_with(|| {
                    keys.push(key);
                    keys.len() as u32 - 1
                });
                places.push((index, place));
            }
            (keys, places)
        })
        .collect();
    let mut builder = Builder::default();
    let index = link.arch.index.map_or(SHT_NULL, |index| index.kind);
    let mut sec_out = vec![SecPlace::NOWHERE; count];
    let mut sec_off = vec![0u64; count];
    for (&(file, object), (keys, places)) in objects.iter().zip(&per_file) {
        let targets: Vec<Target> = keys.iter().map(|key| builder.target(key, index)).collect();
        for &(index, place) in places {
            let sec = object.sec(index);
            let member = Member { file, index, sec };
            match targets[place as usize] {
                Target::Out(out) => {
                    sec_out[sec.i()] = SecPlace::out(out);
                    builder.outs[out as usize].members.push(member);
                }
                Target::Merge(merge) => {
                    let list = &mut builder.merges[merge as usize].members;
                    sec_out[sec.i()] = SecPlace::merge(merge);
                    sec_off[sec.i()] = list.len() as u64;
                    list.push(member);
                }
                Target::EhFrame => builder.eh_frame.push(member),
                Target::Index => builder.index.push(member),
                Target::Property => builder.property.push(member),
            }
        }
    }
    link.sec_out = sec_out;
    link.sec_off = sec_off;
    link.outs = builder.outs;
    link.plan.eh_inputs = builder.eh_frame;
    link.plan.property_inputs = builder.property;
    link.plan.index_inputs = builder.index;
    split_all(link, builder.merges)
}

#[derive(Clone, Copy)]
enum Target {
    Out(u32),
    Merge(u32),
    EhFrame,
    Index,
    Property,
}

struct MergeList {
    out: u32,
    kind: MergeKind,
    members: Vec<Member>,
}

#[derive(Default)]
struct Builder<'a> {
    outs: Vec<OutSec>,
    by_key: FxHashMap<(&'a [u8], u32, u64), u32>,
    merges: Vec<MergeList>,
    merge_by_key: FxHashMap<Key<'a>, u32>,
    eh_frame: Vec<Member>,
    index: Vec<Member>,
    property: Vec<Member>,
}

impl<'a> Builder<'a> {
    fn target(&mut self, key: &Key<'a>, index: u32) -> Target {
        match key.name {
            _ if key.kind == index => return Target::Index,
            b".eh_frame" if key.flags & SHF_ALLOC != 0 => return Target::EhFrame,
            b".note.gnu.property" => return Target::Property,
            _ => {}
        }
        let out = self.out(key);
        if key.merge == (0, 0) {
            return Target::Out(out);
        }
        let merges = &mut self.merges;
        let merge = *self.merge_by_key.entry(*key).or_insert_with(|| {
            let strings = key.merge.1 >> 48 & SHF_STRINGS != 0;
            let kind = MergeKind { entry: key.merge.0 as u32, strings };
            merges.push(MergeList { out, kind, members: Vec::new() });
            merges.len() as u32 - 1
        });
        Target::Merge(merge)
    }

    /// NOBITS and PROGBITS of one name and one set of flags share an output section.
    fn out(&mut self, key: &Key<'a>) -> u32 {
        let class = if key.kind == SHT_NOBITS { SHT_PROGBITS } else { key.kind };
        let outs = &mut self.outs;
        let at = *self.by_key.entry((key.name, class, key.flags)).or_insert_with(|| {
            outs.push(OutSec::new(key.name, key.kind, key.flags));
            outs.len() as u32 - 1
        });
        if key.kind != SHT_NOBITS {
            outs[at as usize].kind = key.kind;
        }
        at
    }
}

fn split_all<'a>(link: &mut Link<'a>, lists: Vec<MergeList>) -> Result<(), Errors> {
    for list in lists {
        let inputs: Vec<MergeInput<'a>> = list
            .members
            .iter()
            .map(|m| {
                let object = link.object(m.file);
                let section = object.sections.get(m.index);
                let bytes = section.data(object.data);
                MergeInput { bytes, align: section.align }
            })
            .collect();
        let split = Split::new(list.kind, inputs).map_err(|(input, malformed)| {
            let member = list.members[input];
            let object = link.object(member.file);
            let name = String::from_utf8_lossy(object.section_name(member.index)).into_owned();
            Error::new(ErrorKind::BadInput, malformed.text).at(Site {
                file: object.name.clone(),
                section: Some(name),
                offset: Some(malformed.offset),
            })
        })?;
        let merged = split.merge(link.options.optimize >= 2);
        link.merges.push(MergedPart { merged, out: list.out, offset: 0 });
    }
    Ok(())
}

/// Gives every member its offset, then merged pieces, then commons; sizes are final.
pub fn place_members(link: &mut Link<'_>) {
    let mut outs = std::mem::take(&mut link.outs);
    let mut sec_off = std::mem::take(&mut link.sec_off);
    let mut own: Vec<&mut OutSec> = outs.iter_mut().filter(|o| o.made.is_none()).collect();
    // What follows another section's order comes after it has one.
    own.sort_by_key(|o| super::order::is_link_order(link, o));
    for out in own {
        super::order::sort_members(link, out, &sec_off);
        let mut size = 0u64;
        for member in &out.members {
            let object = link.object(member.file);
            let align = object.section_align(member.index);
            size = align_up(size, align);
            out.align = out.align.max(align);
            sec_off[member.sec.i()] = size;
            size = size.saturating_add(object.section_size(member.index));
        }
        out.size = size;
    }
    for part in &mut link.merges {
        let out = &mut outs[part.out as usize];
        part.offset = align_up(out.size, part.merged.align());
        out.align = out.align.max(part.merged.align());
        out.size = part.offset.saturating_add(part.merged.size());
    }
    link.outs = outs;
    link.sec_off = sec_off;
}

/// Makes room for common symbols.
pub fn place_commons(link: &mut Link<'_>) {
    let mut commons: Vec<(SymId, (u64, u64))> =
        link.res.commons.iter().map(|(&id, &c)| (id, c)).collect();
    commons.sort_unstable_by_key(|&(id, (_, align))| (std::cmp::Reverse(align), id));
    let mut homes = [None; 2];
    for (id, (size, align)) in commons {
        let tls = link.res.winner(id).is_some_and(|s| s.kind == crate::object::kind::TLS);
        let (name, flags): (&[u8], u64) = match tls {
            true => (b".tbss", SHF_WRITE | SHF_ALLOC | SHF_TLS),
            false => (b".bss", SHF_WRITE | SHF_ALLOC),
        };
        let at = *homes[usize::from(tls)].get_or_insert_with(|| {
            let found = link.outs.iter().position(|o| o.name == name && o.flags == flags);
            found.unwrap_or_else(|| {
                link.outs.push(OutSec::new(name, SHT_NOBITS, flags));
                link.outs.len() - 1
            })
        });
        let out = &mut link.outs[at];
        let offset = align_up(out.size, align);
        out.align = out.align.max(align);
        // One byte at least: what has a symbol has a place.
        out.size = offset.saturating_add(size).max(1);
        link.common_at.insert(id, (at as u32, offset));
    }
}

/// Adds an output section of the linker's making.
pub fn add_made(link: &mut Link<'_>, made: Made, name: &str, kind: u32, flags: u64) -> usize {
    let mut out = OutSec::new(name.as_bytes(), kind, flags);
    out.made = Some(made);
    out.align = link.arch.word();
    link.outs.push(out);
    link.outs.len() - 1
}
