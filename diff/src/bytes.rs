//! Checked little-endian reads: (bytes, offset) → numbers and strings, `None` past the end.
//!
//! It must not know what it reads.

/// `len` bytes at `at`.
pub(crate) fn slice(bytes: &[u8], at: u64, len: u64) -> Option<&[u8]> {
    let start = usize::try_from(at).ok()?;
    bytes.get(start..start.checked_add(usize::try_from(len).ok()?)?)
}

fn array<const N: usize>(bytes: &[u8], at: u64) -> Option<[u8; N]> {
    slice(bytes, at, N as u64)?.try_into().ok()
}

/// A 16-bit number at `at`.
pub(crate) fn u16_at(bytes: &[u8], at: u64) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

/// A 32-bit number at `at`.
pub(crate) fn u32_at(bytes: &[u8], at: u64) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

/// A 64-bit number at `at`.
pub(crate) fn u64_at(bytes: &[u8], at: u64) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

/// The NUL-terminated string at `at`; empty if there is none, U+FFFD if it isn't UTF-8.
pub(crate) fn str_at(bytes: &[u8], at: u64) -> &str {
    let tail = usize::try_from(at).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
    match memchr::memchr(0, tail) {
        Some(end) => std::str::from_utf8(&tail[..end]).unwrap_or("\u{fffd}"),
        None => "",
    }
}

/// The little-endian number of up to 8 bytes.
pub(crate) fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// `value`'s low `size` bytes, sign-extended.
pub(crate) fn sign_extend(value: u64, size: u8) -> u64 {
    let shift = 64 - 8 * u32::from(size.clamp(1, 8));
    (((value << shift) as i64) >> shift) as u64
}
