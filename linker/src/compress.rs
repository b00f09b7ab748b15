//! Compressed sections: SHF_COMPRESSED and `.zdebug_*` contents → plain bytes, and plain debug
//! sections → SHF_COMPRESSED contents.
//!
//! Must not know sections' names or flags beyond what the caller says. What a header claims is
//! believed only as far as the format could expand the bytes that are there.

use std::io::Read;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use object::elf;
use rayon::prelude::*;
use ruzstd::decoding::StreamingDecoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use crate::Malformed;

/// How bytes are compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// ELFCOMPRESS_ZLIB.
    Zlib,
    /// ELFCOMPRESS_ZSTD.
    Zstd,
}

/// What a compressed section says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// How it is compressed.
    pub method: Method,
    /// Bytes of the plain contents.
    pub size: u64,
    /// Alignment of the plain contents.
    pub align: u64,
    /// Where the compressed bytes start.
    pub start: usize,
}

/// Deflate's best: 258 bytes for 2 bits, and some slack for headers.
const ZLIB_RATIO: u64 = 1032;
/// zstd's best: a run of 128 KiB for a block of 4 bytes.
const ZSTD_RATIO: u64 = 32768;
/// Windows larger than this are refused; zstd's own tools need `--long` for them.
const ZSTD_WINDOW: u64 = 128 << 20;
/// Plain bytes compressed by one task.
const CHUNK: usize = 1 << 20;

/// Reads the header of an SHF_COMPRESSED section; `word` is 8 for ELF64, 4 for ELF32.
///
/// Errors: `bad-input` if it is cut off, of an unknown method, or claims more than its bytes can hold.
/// Spec: gABI ch. 4, "Section Compression".
pub fn header(section: &[u8], word: usize) -> Result<Header, Malformed> {
    let bad = |offset, text| Malformed { offset, text };
    let start = if word == 8 { 24 } else { 12 };
    let head = section.get(..start).ok_or(bad(0, "header of a compressed section is cut off"))?;
    let field = |at: usize, len: usize| {
        let mut raw = [0; 8];
        raw[..len].copy_from_slice(&head[at..at + len]);
        u64::from_le_bytes(raw)
    };
    let (size, align) =
        if word == 8 { (field(8, 8), field(16, 8)) } else { (field(4, 4), field(8, 4)) };
    let method = match field(0, 4) as u32 {
        t if t == elf::ELFCOMPRESS_ZLIB.0 => Method::Zlib,
        t if t == elf::ELFCOMPRESS_ZSTD.0 => Method::Zstd,
        _ => return Err(bad(0, "section compressed in an unknown way")),
    };
    if !align.is_power_of_two() && align != 0 {
        return Err(bad(16, "alignment of a compressed section is no power of two"));
    }
    let header = Header { method, size, align: align.max(1), start };
    check_claim(&header, section.len() as u64)?;
    Ok(header)
}

/// Reads the header of a `.zdebug_*` section, the GNU form before SHF_COMPRESSED: `ZLIB` and a
/// big-endian size. `None` if it doesn't start so: then it is stored plain.
///
/// Errors: `bad-input` if it is cut off or claims more than its bytes can hold.
pub fn legacy_header(section: &[u8]) -> Result<Option<Header>, Malformed> {
    let Some(rest) = section.strip_prefix(b"ZLIB") else { return Ok(None) };
    let cut = Malformed { offset: 4, text: "header of a compressed section is cut off" };
    let size: [u8; 8] = rest.get(..8).and_then(|b| b.try_into().ok()).ok_or(cut)?;
    let size = u64::from_be_bytes(size);
    let header = Header { method: Method::Zlib, size, align: 1, start: 12 };
    check_claim(&header, section.len() as u64)?;
    Ok(Some(header))
}

fn check_claim(header: &Header, len: u64) -> Result<(), Malformed> {
    let ratio = match header.method {
        Method::Zlib => ZLIB_RATIO,
        Method::Zstd => ZSTD_RATIO,
    };
    if header.size > (len - header.start as u64).saturating_mul(ratio) {
        let text = "compressed section claims more than its bytes can hold";
        return Err(Malformed { offset: if header.start == 12 { 4 } else { 8 }, text });
    }
    Ok(())
}

/// The plain contents of `section`, whose header has been read.
///
/// Errors: `bad-input` at the start of the compressed bytes if they are malformed or hold more or
/// less than the header says.
pub fn decompress(section: &[u8], header: &Header) -> Result<Vec<u8>, Malformed> {
    let bytes = &section[header.start..];
    let bad = |text| Malformed { offset: header.start as u64, text };
    let out = match header.method {
        Method::Zlib => inflate(bytes, header.size),
        Method::Zstd => unzstd(bytes, header.size),
    };
    let out = out.ok_or(bad("compressed section is malformed"))?;
    if out.len() as u64 != header.size {
        return Err(bad("compressed section does not hold what its header says"));
    }
    Ok(out)
}

/// Grows the output as data comes, so that a false size costs no memory.
fn inflate(bytes: &[u8], size: u64) -> Option<Vec<u8>> {
    let mut state = Decompress::new(true);
    let limit = usize::try_from(size).ok()?.checked_add(1)?;
    let mut out = Vec::with_capacity(limit.min(bytes.len().saturating_mul(8)).max(64));
    loop {
        let (read, made) = (state.total_in(), out.len());
        let rest = bytes.get(usize::try_from(read).ok()?..)?;
        match state.decompress_vec(rest, &mut out, FlushDecompress::None).ok()? {
            Status::StreamEnd => return Some(out),
            _ if out.len() >= limit => return Some(out),
            _ if out.len() == out.capacity() => out.reserve(out.len().min(limit - out.len())),
            _ if state.total_in() == read && out.len() == made => return None,
            _ => {}
        }
    }
}

/// Frames may follow one another, and skippable frames come between.
fn unzstd(mut bytes: &[u8], size: u64) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let magic = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?);
        if magic & 0xffff_fff0 == 0x184d_2a50 {
            let skip = u32::from_le_bytes(bytes.get(4..8)?.try_into().ok()?);
            bytes = bytes.get(8 + skip as usize..)?;
            continue;
        }
        let limit = (size + 1).saturating_sub(out.len() as u64);
        let frame = StreamingDecoder::new_with_max_window_size(&mut bytes, ZSTD_WINDOW).ok()?;
        frame.take(limit).read_to_end(&mut out).ok()?;
        if out.len() as u64 > size {
            break;
        }
    }
    Some(out)
}

/// The contents of an SHF_COMPRESSED section that holds `plain`, compressed in parallel; `None` if
/// that would be no smaller. The bytes don't depend on the number of threads.
pub fn compress(plain: &[u8], method: Method, align: u64, word: usize) -> Option<Vec<u8>> {
    let kind = match method {
        Method::Zlib => elf::ELFCOMPRESS_ZLIB.0,
        Method::Zstd => elf::ELFCOMPRESS_ZSTD.0,
    };
    let mut out = kind.to_le_bytes().to_vec();
    if word == 8 {
        out.extend([0; 4]);
    }
    out.extend_from_slice(&(plain.len() as u64).to_le_bytes()[..word]);
    out.extend_from_slice(&align.to_le_bytes()[..word]);
    match method {
        Method::Zlib => deflate(plain, &mut out)?,
        Method::Zstd => {
            let frames: Vec<Vec<u8>> = plain
                .par_chunks(CHUNK)
                .map(|chunk| compress_to_vec(chunk, CompressionLevel::Fastest))
                .collect();
            frames.iter().for_each(|f| out.extend_from_slice(f));
        }
    }
    (out.len() < plain.len()).then_some(out)
}

/// One zlib stream of independently deflated chunks, each flushed to a byte boundary.
fn deflate(plain: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let last = plain.len().div_ceil(CHUNK).saturating_sub(1);
    let parts: Option<Vec<(Vec<u8>, u32, usize)>> = plain
        .par_chunks(CHUNK)
        .enumerate()
        .map(|(i, chunk)| {
            let flush = if i == last { FlushCompress::Finish } else { FlushCompress::Sync };
            Some((deflate_chunk(chunk, flush)?, adler32(chunk), chunk.len()))
        })
        .collect();
    // Deflate, 32 KiB window, fastest algorithm, check bits.
    out.extend([0x78, 0x01]);
    let mut sum = 1;
    for (bytes, adler, len) in parts? {
        out.extend_from_slice(&bytes);
        sum = adler32_join(sum, adler, len as u64);
    }
    if plain.is_empty() {
        out.extend([3, 0]);
    }
    out.extend(sum.to_be_bytes());
    Some(())
}

fn deflate_chunk(chunk: &[u8], flush: FlushCompress) -> Option<Vec<u8>> {
    let mut state = Compress::new(Compression::fast(), false);
    let mut out = Vec::with_capacity(chunk.len() / 2 + 64);
    loop {
        let rest = &chunk[usize::try_from(state.total_in()).ok()?..];
        let status = state.compress_vec(rest, &mut out, flush).ok()?;
        // A sync flush is complete once the output was not filled to the brim.
        let done = state.total_in() == chunk.len() as u64 && out.len() < out.capacity();
        if status == Status::StreamEnd || (flush == FlushCompress::Sync && done) {
            return Some(out);
        }
        out.reserve(out.len().max(64));
    }
}

const ADLER: u32 = 65521;

/// Spec: RFC 1950 §8.
fn adler32(bytes: &[u8]) -> u32 {
    let (mut a, mut b) = (1u32, 0u32);
    // 5552 bytes is the most that can't overflow 32 bits before the remainder is taken.
    for block in bytes.chunks(5552) {
        for &byte in block {
            a += u32::from(byte);
            b += a;
        }
        a %= ADLER;
        b %= ADLER;
    }
    b << 16 | a
}

/// The checksum of two runs of bytes from the checksum of each; `len` bytes are in the second.
fn adler32_join(first: u32, second: u32, len: u64) -> u32 {
    let base = u64::from(ADLER);
    let (a1, b1) = (u64::from(first & 0xffff), u64::from(first >> 16));
    let (a2, b2) = (u64::from(second & 0xffff), u64::from(second >> 16));
    let len = len % base;
    let a = (a1 + a2 + base - 1) % base;
    let b = (b1 + b2 + len * (a1 + base - 1)) % base;
    (b << 16 | a) as u32
}

#[cfg(test)]
#[path = "compress/tests.rs"]
mod tests;
