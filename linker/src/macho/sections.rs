//! Output sections: atoms by where they go, what the linker makes beside them, all in order. Must not
//! know of addresses.

use rustc_hash::FxHashMap;

use super::link::{Init, Link, Made, Out, Ref};
use super::object::{Atom, NONE};
use crate::format::macho::{attr, kind};
use crate::object::SymId;
use crate::{Error, ErrorKind, Errors, Result};

/// Sections of __DATA that never change once loaded.
const CONST: &[&[u8]] = &[
    b"__got",
    b"__const",
    b"__mod_init_func",
    b"__mod_term_func",
    b"__cfstring",
    b"__auth_got",
    b"__objc_classlist",
    b"__objc_catlist",
    b"__objc_nlclslist",
    b"__objc_nlcatlist",
    b"__objc_protolist",
    b"__objc_imageinfo",
];

/// Where a section of an object goes.
fn place<'s>(segment: &'s [u8], name: &'s [u8], has_const: bool) -> (&'s [u8], &'s [u8]) {
    let name: &[u8] = match (segment, name) {
        (b"__TEXT", b"__StaticInit" | b"__textcoal_nt") => b"__text",
        (b"__TEXT", b"__literal4" | b"__literal8" | b"__literal16") => b"__const",
        (_, b"__const_coal") => b"__const",
        (_, b"__datacoal_nt") => b"__data",
        _ => name,
    };
    match segment {
        b"__DATA" if has_const && CONST.contains(&name) => (b"__DATA_CONST", name),
        _ => (segment, name),
    }
}

/// Segments that the linker makes alone: without a byte in files, and of its own tables.
const OWN_SEGMENTS: [&[u8]; 2] = [b"__PAGEZERO", b"__LINKEDIT"];

/// An error of the section that `atom` is in, if its segment takes none.
fn misplaced(link: &Link<'_>, atom: &Atom) -> Option<Error> {
    let object = link.files.get(atom.file as usize)?;
    let segment = object.sections[atom.section as usize].header.segment;
    OWN_SEGMENTS.contains(&segment).then(|| {
        let segment = String::from_utf8_lossy(segment);
        let text = format!("the segment {segment} has no sections of objects");
        Error::new(ErrorKind::BadInput, text).at(object.site(atom.section, 0))
    })
}

/// Puts every atom that stays into its output section.
///
/// Errors: `bad-input` for sections of segments that the linker makes alone.
pub fn assign(link: &mut Link<'_>) -> Result<(), Errors> {
    let mut errors = Vec::new();
    let has_const = link.options.has_const();
    let mut index: FxHashMap<(Vec<u8>, Vec<u8>), usize> = FxHashMap::default();
    // Sections of an object go as wholes: one look-up for each, not for each atom.
    let mut last = (NONE, NONE, 0);
    let mut told = (NONE, NONE);
    for at in 0..link.atoms.len() {
        if !link.is_kept(at as u32) {
            continue;
        }
        let atom = link.atoms[at];
        if (atom.file, atom.section) != (last.0, last.1) || atom.file == NONE {
            errors.extend(misplaced(link, &atom));
            let header = link
                .files
                .get(atom.file as usize)
                .map(|file| file.sections[atom.section as usize].header);
            let (segment, name, flags) = match &header {
                Some(header) => {
                    let (file, section) = (link.atoms[at].file, link.atoms[at].section);
                    let segment = super::mode::segment(link, file, section, header.segment);
                    let (segment, name) = place(segment, header.name, has_const);
                    (segment, name, flags(header.flags))
                }
                None => (&b"__DATA"[..], &b"__common"[..], kind::ZEROFILL),
            };
            let key = (segment.to_vec(), name.to_vec());
            let outs = &mut link.outs;
            let out = *index.entry(key).or_insert_with(|| {
                let (segment, name) = (segment.to_vec(), name.to_vec());
                outs.push(Out { segment, name, flags, ..Out::default() });
                outs.len() - 1
            });
            let out_flags = &mut link.outs[out].flags;
            *out_flags |= flags & !0xff;
            // Bytes and zeros together are bytes.
            if *out_flags & 0xff != flags & 0xff {
                let zero = |flags| flags & 0xff == kind::ZEROFILL;
                if zero(*out_flags) || zero(flags) {
                    *out_flags &= !0xff;
                }
            }
            last = (atom.file, atom.section, out);
        }
        let atom = Atom { align: most_aligned(link, atom, &mut told), ..atom };
        link.atoms[at].align = atom.align;
        let out = &mut link.outs[last.2];
        out.atoms.push(at as u32);
        out.align = out.align.max(atom.align);
    }
    Errors::collect(errors).map_or(Ok(()), Err)
}

/// The alignment of `atom`, which is a page's at most: segments are no better aligned, and ld64 says so, too.
fn most_aligned(link: &mut Link<'_>, atom: Atom, told: &mut (u32, u32)) -> u8 {
    let most = link.machine.page.trailing_zeros() as u8;
    if atom.align > most && *told != (atom.file, atom.section) {
        *told = (atom.file, atom.section);
        let (from, to) = (1_u64 << atom.align, link.machine.page);
        let site =
            link.files.get(atom.file as usize).map(|file| file.site(atom.section, atom.start));
        let place = site.map_or_else(|| "common".to_owned(), |site| site.to_string());
        link.warnings.push(format!("{place}: alignment {from:#x} reduced to a page's, {to:#x}"));
    }
    atom.align.min(most)
}

/// What stays of an input section's flags.
fn flags(flags: u32) -> u32 {
    let sort = match flags & 0xff {
        kind::COALESCED | kind::LITERAL4 | kind::LITERAL8 | kind::LITERAL16 => kind::REGULAR,
        kind::LITERAL_POINTERS => kind::REGULAR,
        kind::GB_ZEROFILL => kind::ZEROFILL,
        sort => sort,
    };
    sort | flags & (attr::PURE_INSTRUCTIONS | attr::SOME_INSTRUCTIONS)
}

/// Adds the sections that the linker makes.
///
/// Errors: `bad-input` if symbols could not tell all sections apart.
pub fn add_made(link: &mut Link<'_>) -> Result<()> {
    let data_const: &[u8] = if link.options.has_const() { b"__DATA_CONST" } else { b"__DATA" };
    let code = attr::PURE_INSTRUCTIONS | attr::SOME_INSTRUCTIONS;
    let machine = link.machine;
    let (stubs, got) = (link.stubs.list.len() as u64, link.got.list.len() as u64);
    let (lazy, tlv) = (link.lazy.list.len() as u64, link.tlv.list.len() as u64);
    let helper = match lazy {
        0 => 0,
        _ => machine.helper.header_size + lazy * machine.helper.entry_size,
    };
    let inits = 4 * link.inits.len() as u64;
    let unwind = link.unwind.sizes();
    let stub = [0, machine.stub_size as u32];
    let text: &[u8] = b"__TEXT";
    let data: &[u8] = b"__DATA";
    let rows = [
        (Made::Stubs, text, "__stubs", kind::STUBS | code, 2, stubs * machine.stub_size, stub),
        (Made::Helper, text, "__stub_helper", code, 2, helper, [0; 2]),
        (Made::InitOffsets, text, "__init_offsets", kind::INIT_OFFSETS, 2, inits, [0; 2]),
        (Made::UnwindInfo, text, "__unwind_info", 0, 2, unwind.0, [0; 2]),
        (Made::EhFrame, text, "__eh_frame", kind::COALESCED | 0x6800_0000, 3, unwind.1, [0; 2]),
        (Made::Got, data_const, "__got", kind::GOT, 3, 8 * got, [0; 2]),
        (Made::LazyPointers, data, "__la_symbol_ptr", kind::LAZY_POINTERS, 3, 8 * lazy, [0; 2]),
        (Made::TlvPointers, data, "__thread_ptrs", kind::TLV_POINTERS, 3, 8 * tlv, [0; 2]),
        (Made::Private, data, "__dyld_private", 0, 3, if lazy > 0 { 8 } else { 0 }, [0; 2]),
    ];
    for (made, segment, name, flags, align, size, reserved) in rows {
        if size > 0 {
            check_free(link, segment, name.as_bytes())?;
            let (segment, name) = (segment.to_vec(), name.as_bytes().to_vec());
            let made = Some(made);
            let out = Out { segment, name, flags, align, size, made, reserved, ..Out::default() };
            link.outs.push(out);
        }
    }
    // Images have code, if only an empty section of it.
    if !link.outs.iter().any(|out| (&*out.segment, &*out.name) == (b"__TEXT", b"__text")) {
        let (segment, name) = (b"__TEXT".to_vec(), b"__text".to_vec());
        link.outs.push(Out { segment, name, flags: code, align: 2, ..Out::default() });
    }
    match link.outs.len() {
        0..=255 => Ok(()),
        count => {
            let text = format!("{count} sections: a symbol's section is one byte");
            Err(Error::new(ErrorKind::BadInput, text))
        }
    }
}

/// Checks that no input has the section `name`, which is the linker's own.
///
/// Errors: `bad-input`.
fn check_free(link: &Link<'_>, segment: &[u8], name: &[u8]) -> Result<()> {
    let same = |out: &&Out| out.segment == segment && out.name == name;
    let Some(out) = link.outs.iter().find(same) else { return Ok(()) };
    let error = Error::new(ErrorKind::BadInput, "the linker makes a section of this name");
    match out.atoms.first().map(|&at| &link.atoms[at as usize]) {
        Some(atom) => Err(error.at(link.files[atom.file as usize].site(atom.section, 0))),
        None => Err(error),
    }
}

/// Where a segment is among segments.
fn segment_rank(name: &[u8]) -> u32 {
    match name {
        b"__TEXT" => 0,
        b"__DATA_CONST" => 1,
        b"__DATA" => 2,
        _ => 3,
    }
}

/// Where a section is in its segment.
fn rank(out: &Out) -> u32 {
    let code = out.flags & (attr::PURE_INSTRUCTIONS | attr::SOME_INSTRUCTIONS) != 0;
    match (&*out.name, out.kind()) {
        (b"__text", _) => 0,
        (_, kind::STUBS) => 2,
        (b"__stub_helper", _) => 3,
        _ if code => 1,
        (_, kind::INIT_OFFSETS) => 4,
        (_, kind::GOT) => 5,
        (_, kind::LAZY_POINTERS) => 6,
        (_, kind::MOD_INIT) => 7,
        (_, kind::MOD_TERM) => 8,
        (b"__const", _) if out.segment != b"__TEXT" => 9,
        (b"__cfstring", _) => 10,
        (b"__unwind_info", _) => 20,
        (b"__eh_frame", _) => 21,
        (_, kind::TLV_VARS) => 22,
        (_, kind::TLV_POINTERS) => 23,
        (_, kind::TLV_REGULAR) => 24,
        (_, kind::TLV_ZEROFILL) => 25,
        (b"__common", _) => 27,
        (_, kind::ZEROFILL) => 26,
        _ => 11,
    }
}

/// Orders the sections; segments other than the usual three stay in order of first mention.
pub fn order(link: &mut Link<'_>) {
    let mut first: Vec<Vec<u8>> = Vec::new();
    for out in &link.outs {
        if !first.contains(&out.segment) {
            first.push(out.segment.clone());
        }
    }
    let mention = |out: &Out| first.iter().position(|name| *name == out.segment);
    link.outs.sort_by_cached_key(|out| (segment_rank(&out.segment), mention(out), rank(out)));
    for at in 0..link.outs.len() {
        for atom in &link.outs[at].atoms {
            link.atoms[*atom as usize].out = at as u32;
        }
    }
}

/// Checks the lists of functions that the loader calls: each has whole pointers, and each of them leads somewhere.
///
/// Errors: `bad-input`.
pub fn check_inits(link: &Link<'_>) -> Result<(), Errors> {
    let mut errors = Vec::new();
    let lists = link.outs.iter().filter(|out| is_list(out));
    for atom in lists.flat_map(|out| &out.atoms).map(|at| &link.atoms[*at as usize]) {
        let Some(object) = link.files.get(atom.file as usize) else { continue };
        let mut fail = |offset: u64, text: String| {
            let error = Error::new(ErrorKind::BadInput, text);
            errors.push(error.at(object.site(atom.section, offset)));
        };
        let (start, end) = (atom.start, atom.start + atom.size);
        if !(start.is_multiple_of(8) && end.is_multiple_of(8)) {
            fail(start, format!("a list of functions of {} bytes: no whole pointers", atom.size));
            continue;
        }
        // Relocations are in the order of their places: the first that nobody mends speaks for all.
        let relocs = link.relocs(atom);
        let mended = |slot: u64| relocs.binary_search_by_key(&slot, |it| it.offset.into()).is_ok();
        if let Some(slot) = (start..end).step_by(8).find(|slot| !mended(*slot)) {
            fail(slot, "no function to call: the loader would call address 0 or a number".into());
        }
    }
    Errors::collect(errors).map_or(Ok(()), Err)
}

/// Takes the pointers to functions that run at load time out of their section: with chained fixups
/// they become offsets, which need no mending.
pub fn take_inits(link: &mut Link<'_>) {
    if !link.chained {
        return;
    }
    let inits = |out: &mut Out| out.kind() == kind::MOD_INIT;
    let taken: Vec<Out> = link.outs.extract_if(.., inits).collect();
    for index in taken.into_iter().flat_map(|out| out.atoms) {
        let inits = listed(link, &link.atoms[index as usize]);
        link.inits.extend(inits);
        link.atoms[index as usize].live = false;
    }
}

/// The functions that `atom` lists.
fn listed(link: &Link<'_>, atom: &Atom) -> Vec<Init> {
    let each = link.relocs(atom).iter().map(|reloc| Init {
        what: link.target(atom.file as usize, reloc.target),
        addend: reloc.addend,
        from: (atom.file, atom.section, reloc.offset.into()),
    });
    each.collect()
}

/// Checks that the functions which the loader calls are code, as far as they are in the image: in the segment that
/// can be executed.
///
/// Errors: `bad-input`.
pub fn check_called(link: &Link<'_>) -> Result<(), Errors> {
    let lists = link.outs.iter().filter(|out| is_list(out)).flat_map(|out| &out.atoms);
    let listed = lists.flat_map(|at| listed(link, &link.atoms[*at as usize]));
    let is_code = |init: &Init| match link.atom_of(init.what) {
        Some((atom, _)) => {
            let out = link.outs.get(link.atoms[atom as usize].out as usize);
            out.is_none_or(|out| out.segment == b"__TEXT")
        }
        None => !link.is_absolute(init.what),
    };
    let errors = link.inits.iter().copied().chain(listed).filter(|init| !is_code(init));
    let errors = errors.map(|Init { what, from: (file, section, offset), .. }| {
        let text = format!("no function to call: {} is no code", link.title_of(what));
        let site = link.files[file as usize].site(section, offset);
        Error::new(ErrorKind::BadInput, text).at(site)
    });
    Errors::collect(errors.collect()).map_or(Ok(()), Err)
}

/// Whether a section lists functions that the loader calls.
fn is_list(out: &Out) -> bool {
    matches!(out.kind(), kind::MOD_INIT | kind::MOD_TERM)
}

/// Names of what is not in the output are not exported.
pub fn forget_names(link: &mut Link<'_>) {
    for id in (0..).map(SymId).take(link.globals.len()) {
        let gone = link.atom_of(Ref::Name(id)).is_some_and(|(atom, _)| !link.is_kept(atom));
        link.globals[id.i()].exported &= !gone;
    }
}
