//! The code signature: its blobs, and the hash of every page.
//!
//! Spec: XNU's `cs_blobs.h`.

use sha2::{Digest as _, Sha256};

use super::super::Flaws;
use super::{EXECUTE, Image};
use crate::Request;
use crate::bytes::slice;

const SUPER_BLOB: u32 = 0xfade_0cc0;
const DIRECTORY: u32 = 0xfade_0c02;
const AT: &str = "code signature";

/// A big-endian word.
fn word(bytes: &[u8], at: u64) -> Option<u32> {
    Some(u32::from_be_bytes(slice(bytes, at, 4)?.try_into().ok()?))
}

fn long(bytes: &[u8], at: u64) -> Option<u64> {
    Some(u64::from(word(bytes, at)?) << 32 | u64::from(word(bytes, at + 4)?))
}

pub(super) fn check(request: &Request, image: &Image<'_>, flaws: &mut Flaws) {
    let Some(command) = image.command(0x1d) else { return };
    let unasked =
        !image.file.machine.signed && !request.args.iter().any(|arg| arg == "-adhoc_codesign");
    flaws.check(!unasked, "signature nobody asked for", AT, command.word(8).into(), "none");
    let bytes = slice(image.file.bytes, command.word(8).into(), command.word(12).into());
    if bytes.and_then(|bytes| directory(image, command.word(8), bytes, flaws)).is_none() {
        flaws.add("signature is damaged", AT, "cut", "a signature");
    }
}

fn directory(image: &Image<'_>, limit: u32, bytes: &[u8], flaws: &mut Flaws) -> Option<()> {
    let outer = [word(bytes, 0)?, word(bytes, 8)?, word(bytes, 12)?];
    let good = outer[0] == SUPER_BLOB && (1..64).contains(&outer[1]) && outer[2] == 0;
    flaws.check(good, "super blob", AT, outer[0].into(), "one with a code directory first");
    let long_enough = u64::from(word(bytes, 4)?) <= bytes.len() as u64;
    flaws.check(long_enough, "super blob", AT, word(bytes, 4)?.into(), "inside the file");
    let start = u64::from(word(bytes, 16)?);
    let size = word(bytes, start + 4)?;
    let blob = slice(bytes, start, size.into())?;
    flaws.check(word(blob, 0)? == DIRECTORY, "code directory", AT, start, "its magic number");
    let flags = word(blob, 12)?;
    flaws.check(flags & 2 != 0, "signature's flags", AT, flags.into(), "ad hoc");
    let [hashes, name, special, count] = [16, 20, 24, 28].map(|at| word(blob, at));
    let (hashes, name, count) = (hashes?, name?, count?);
    let covered = word(blob, 32)?;
    let good = covered == limit;
    flaws.check(good, "signature's limit", AT, covered.into(), "all bytes before it");
    let [size, kind, _, page] = word(blob, 36)?.to_be_bytes();
    let good = size == 32 && kind == 2 && (12..=14).contains(&page);
    flaws.check(good, "signature's hash", AT, kind.into(), "SHA-256 of pages");
    let text = image.segment("__TEXT");
    let seals = (long(blob, 64)?, long(blob, 72)?);
    let good = text.is_some_and(|text| seals == (text.offset, text.file_size));
    flaws.check(good, "signature's executable segment", AT, seals.1, "__TEXT");
    let main = long(blob, 80)? & 1;
    let good = main == u64::from(image.file.kind == EXECUTE);
    flaws.check(good, "signature's main binary", AT, main, "of programs only");
    let named = blob.get(name as usize..).is_some_and(|rest| rest.contains(&0) && rest[0] != 0);
    flaws.check(named, "signature's identifier", AT, name.into(), "a name");
    flaws.check(special? < 16, "special slots", AT, count.into(), "few");
    let code = slice(image.file.bytes, 0, limit.into())?;
    let pages = code.chunks(1 << page.min(20));
    let good = pages.len() as u64 == u64::from(count);
    flaws.check(good, "hashes of the signature", AT, count.into(), "one for each page");
    for (i, page) in (0_u64..).zip(pages).take(count as usize) {
        let hash = slice(blob, u64::from(hashes) + 32 * i, 32)?;
        let good = Sha256::digest(page).as_slice() == hash;
        flaws.check(good, "page's hash differs", AT, i, "that of the page");
    }
    Some(())
}
