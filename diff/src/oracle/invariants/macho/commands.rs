//! The header and the load commands: what must be there, once, and what was asked for.

use super::super::Flaws;
use super::{EXECUTE, Image};
use crate::bytes::u64_at;
use crate::model::macho::file_kind;
use crate::model::macho::fixups::WEAK as WEAK_LOOKUP;
use crate::model::macho::image::{DYLIB, PIE, TWOLEVEL, WEAK_DEFINES, kind};
use crate::model::macho::trie::WEAK;
use crate::{Mode, Request};

const SYMTAB: u32 = 2;
const DYSYMTAB: u32 = 0xb;
const ID_DYLIB: u32 = 0xd;
const LOAD_DYLINKER: u32 = 0xe;
const UUID: u32 = 0x1b;
const RPATH: u32 = 0x8000_001c;
const CODE_SIGNATURE: u32 = 0x1d;
const VERSION_MIN_MACOSX: u32 = 0x24;
const MAIN: u32 = 0x8000_0028;
const BUILD_VERSION: u32 = 0x32;

/// MH_BUNDLE.
const BUNDLE: u32 = 8;
const DYLDLINK: u32 = 4;
const BINDS_TO_WEAK: u32 = 0x1_0000;
const HAS_TLV_DESCRIPTORS: u32 = 0x80_0000;

/// What stands behind load commands with a string: the offset of its offset.
const STRINGS: &[u32] =
    &[0xc, ID_DYLIB, LOAD_DYLINKER, RPATH, 0x8000_0018, 0x8000_001f, 0x8000_0023];

pub(super) fn check(request: &Request, image: &Image<'_>, flaws: &mut Flaws) {
    header(request, image, flaws);
    sizes(image, flaws);
    present(request, image, flaws);
    libraries(request, image, flaws);
    versions(request, image, flaws);
    entry(image, flaws);
}

fn header(request: &Request, image: &Image<'_>, flaws: &mut Flaws) {
    let file = &image.file;
    let wanted = match request.mode {
        Mode::CShared | Mode::Plugin => DYLIB,
        Mode::Shared => BUNDLE,
        Mode::Pie | Mode::Exe => EXECUTE,
    };
    flaws.check(file.kind == wanted, "filetype", "header", file.kind.into(), "what was asked for");
    let good = file.machine.arch == request.target.arch;
    flaws.check(good, "cputype", "header", 0, "the target's");
    let flat = request.mode == Mode::Plugin || request.args.iter().any(|a| a == "-flat_namespace");
    let weak = image.exports.iter().any(|(_, export)| export.flags & WEAK != 0);
    let stays = request.mode == Mode::Exe && !file.machine.slides;
    let pie = file.kind == EXECUTE && !stays;
    let rows = [
        ("MH_DYLDLINK", DYLDLINK, true, false),
        ("MH_TWOLEVEL", TWOLEVEL, !flat, flat),
        ("MH_PIE", PIE, pie, !pie),
        ("MH_WEAK_DEFINES", WEAK_DEFINES, weak, false),
        ("MH_BINDS_TO_WEAK", BINDS_TO_WEAK, coalesces(image), false),
        (
            "MH_HAS_TLV_DESCRIPTORS",
            HAS_TLV_DESCRIPTORS,
            image.sections(kind::TLV_VARIABLES).any(|section| section.size > 0),
            false,
        ),
    ];
    for (name, bit, needed, forbidden) in rows {
        let set = file.flags & bit != 0;
        let good = if set { !forbidden } else { !needed };
        flaws.check(good, "header flags", name, file.flags.into(), "as the image needs it");
    }
}

/// Whether dyld looks for a definition among all that are weak.
fn coalesces(image: &Image<'_>) -> bool {
    let mut fixups = image.fixups.map.values();
    fixups.any(|f| {
        f.coalesce.is_some() || f.bind.as_ref().is_some_and(|bind| bind.ordinal == WEAK_LOOKUP)
    })
}

fn sizes(image: &Image<'_>, flaws: &mut Flaws) {
    let size = crate::bytes::u32_at(image.file.bytes, 20).unwrap_or(0);
    let sum: usize = image.commands.iter().map(|command| command.bytes.len()).sum();
    let good = sum == size as usize;
    flaws.check(good, "sizeofcmds", "header", size.into(), "the sum of all load commands");
    for command in &image.commands {
        let at = format!("load command {:#x}", command.number);
        let size = command.bytes.len();
        flaws.check(size.is_multiple_of(8), "load command's size", &at, size as u64, "8 by 8");
        if STRINGS.contains(&command.number) {
            let start = command.word(8);
            let text = command.bytes.get(start as usize..).unwrap_or_default();
            let least = if matches!(command.number, RPATH | LOAD_DYLINKER) { 12 } else { 24 };
            let good = start >= least && text.contains(&0) && text[0] != 0;
            flaws.check(good, "load command's string", &at, start.into(), "a name and a NUL");
        }
    }
    let end = 32 + u64::from(size);
    let sections = image.file.sections.iter().filter(|s| !s.zerofill() && s.size > 0);
    let first = sections.map(|section| u64::from(section.offset)).min().unwrap_or(end);
    flaws.check(end <= first, "load commands over sections", "header", end, "in front of them");
}

fn present(request: &Request, image: &Image<'_>, flaws: &mut Flaws) {
    let count = |number| image.commands.iter().filter(|c| c.number == number).count() as u64;
    let kind = image.file.kind;
    // The last word counts.
    let last = request.args.iter().rfind(|arg| arg.ends_with("adhoc_codesign"));
    let unsigned = last.is_some_and(|arg| arg == "-no_adhoc_codesign");
    let signed = u64::from(image.file.machine.signed && !unsigned);
    let uuid = u64::from(!request.args.iter().any(|arg| arg == "-no_uuid"));
    let program = u64::from(kind == EXECUTE);
    let rows = [
        ("LC_SYMTAB", count(SYMTAB), 1, 1),
        ("LC_DYSYMTAB", count(DYSYMTAB), 1, 1),
        ("LC_UUID", count(UUID), uuid, uuid),
        ("LC_BUILD_VERSION", count(BUILD_VERSION) + count(VERSION_MIN_MACOSX), 1, 1),
        ("LC_ID_DYLIB", count(ID_DYLIB), u64::from(kind == DYLIB), u64::from(kind == DYLIB)),
        ("LC_MAIN", count(MAIN), program, program),
        ("LC_LOAD_DYLINKER", count(LOAD_DYLINKER), program, 1),
        ("LC_CODE_SIGNATURE", count(CODE_SIGNATURE), signed, u64::from(!unsigned)),
        ("LC_DYLD_INFO", count(0x22) + count(0x8000_0022) + count(0x8000_0034), 0, 1),
        ("LC_DYLD_EXPORTS_TRIE", count(0x8000_0033), 0, 1),
        ("LC_FUNCTION_STARTS", count(0x26), 0, 1),
        ("LC_DATA_IN_CODE", count(0x29), 0, 1),
    ];
    for (name, found, least, most) in rows {
        let good = (least..=most).contains(&found);
        flaws.check(good, "load commands of a kind", name, found, "as many as dyld takes");
    }
    if let Some(uuid) = image.command(UUID) {
        let good = uuid.bytes.len() == 24 && uuid.bytes[8..].iter().any(|byte| *byte != 0);
        flaws.check(good, "UUID", "LC_UUID", 0, "one of its own");
    }
    let two = image.file.info.is_some() && image.file.trie.is_some();
    flaws.check(!two, "exports in two places", "LC_DYLD_INFO", 0, "one trie");
}

fn libraries(request: &Request, image: &Image<'_>, flaws: &mut Flaws) {
    let list = &image.file.libraries;
    // Who names none gets none, though dyld wants one.
    let sought = |arg: &String| arg.starts_with("-l") || arg.ends_with("framework");
    let given = request.files.iter().any(|file| is_library(&file.bytes));
    let named = given || request.args.iter().any(sought);
    flaws.check(!named || !list.is_empty(), "no library", "LC_LOAD_DYLIB", 0, "one at least");
    let twice = |names: &[&str], what: &'static str, flaws: &mut Flaws| {
        for (i, name) in names.iter().enumerate() {
            if names[..i].contains(name) {
                flaws.add("load command twice", what, name, "each name once");
            }
        }
    };
    let names: Vec<&str> = list.iter().map(|library| library.name).collect();
    twice(&names, "LC_LOAD_DYLIB", flaws);
    twice(&image.file.paths, "LC_RPATH", flaws);
}

/// Whether a file is a dynamic library, or a stub of one.
fn is_library(bytes: &[u8]) -> bool {
    file_kind(bytes) == Some(DYLIB)
        || [&b"--- !tapi-tbd"[..], b"{"].iter().any(|it| bytes.starts_with(it))
}

/// X.Y.Z as 16.8.8 bits.
fn version(text: &str) -> u32 {
    let mut parts = text.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    next() << 16 | (next() & 0xff) << 8 | next() & 0xff
}

fn versions(request: &Request, image: &Image<'_>, flaws: &mut Flaws) {
    let args = &request.args;
    let asked = args.iter().rposition(|arg| arg == "-platform_version").map(|at| at + 2);
    let asked = asked.and_then(|at| args.get(at)).map_or(13 << 16, |text| version(text));
    let (found, sdk) = match (image.command(BUILD_VERSION), image.command(VERSION_MIN_MACOSX)) {
        (Some(build), _) => {
            let platform = build.word(8);
            flaws.check(platform == 1, "platform", "LC_BUILD_VERSION", platform.into(), "macOS");
            (build.word(12), build.word(16))
        }
        (None, Some(least)) => (least.word(8), least.word(12)),
        _ => return,
    };
    flaws.check(found == asked, "oldest system", "LC_BUILD_VERSION", found.into(), "as asked");
    flaws.check(sdk >= found, "SDK", "LC_BUILD_VERSION", sdk.into(), "not below the system");
}

fn entry(image: &Image<'_>, flaws: &mut Flaws) {
    let Some(main) = image.command(MAIN) else { return };
    let offset = u64_at(main.bytes, 8).unwrap_or(u64::MAX);
    let good = image.executable(image.file.base().wrapping_add(offset));
    flaws.check(good, "entry outside of code", "LC_MAIN", offset, "an executable address");
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::super::flaws;
    use crate::adapter::{Adapter as _, Outcome, Reference};
    use crate::selftest::subject;

    /// What is asked for is no flaw; the same image is one where nobody asked.
    #[test]
    fn what_was_refused_need_not_be_there() {
        let ways = [&["-no_uuid"][..], &["-adhoc_codesign", "-no_adhoc_codesign"]];
        let mut unasked = 0;
        for (name, plain) in subject::macho() {
            for way in ways {
                let mut asked = plain.clone();
                asked.args.extend(way.iter().map(|arg| (*arg).to_owned()));
                let outcome = Reference::default().link(&asked, Duration::from_secs(60));
                let Outcome::Linked(image) = outcome else { panic!("{name}: {outcome:?}") };
                assert_eq!(flaws(&asked, &image), [], "{name} {way:?}");
                let found = flaws(&plain, &image);
                unasked += usize::from(found.iter().any(|f| f.shape == "load commands of a kind"));
            }
        }
        // The UUID in all nine, the signature in those for arm64.
        assert_eq!(unasked, 13);
    }
}
