//! Reading: the bytes of one file → its header, load commands, sections and symbols. Every offset is
//! checked where it is used. Must not know what a link makes of them.

use std::ops::Range;

use super::{MAGIC, lc, platform};
use crate::input::{BITCODE, is_bitcode};
use crate::{Error, ErrorKind, Malformed, Site};

/// What readers give: the value, or where it is wrong.
pub type Read<T> = Result<T, Malformed>;

/// Bytes read with checked offsets, little-endian.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a>(pub &'a [u8]);

/// An error at `offset`.
pub fn bad<T>(offset: usize, text: &'static str) -> Read<T> {
    Err(Malformed { offset: offset as u64, text })
}

impl<'a> Bytes<'a> {
    /// `len` bytes from `at` on.
    pub fn slice(self, at: usize, len: usize) -> Read<&'a [u8]> {
        let part = at.checked_add(len).and_then(|end| self.0.get(at..end));
        part.map_or_else(|| bad(at.min(self.0.len()), "reaches past the end of the file"), Ok)
    }

    fn array<const N: usize>(self, at: usize) -> Read<[u8; N]> {
        let part = self.0.get(at..).and_then(|rest| rest.first_chunk());
        part.map_or_else(|| bad(at.min(self.0.len()), "the file is cut short"), |part| Ok(*part))
    }

    /// A byte.
    pub fn u8(self, at: usize) -> Read<u8> {
        Ok(self.array::<1>(at)?[0])
    }

    /// Two bytes.
    pub fn u16(self, at: usize) -> Read<u16> {
        Ok(u16::from_le_bytes(self.array(at)?))
    }

    /// Four bytes.
    pub fn u32(self, at: usize) -> Read<u32> {
        Ok(u32::from_le_bytes(self.array(at)?))
    }

    /// Eight bytes.
    pub fn u64(self, at: usize) -> Read<u64> {
        Ok(u64::from_le_bytes(self.array(at)?))
    }

    /// Four bytes, the highest first.
    pub fn be32(self, at: usize) -> Read<u32> {
        Ok(u32::from_be_bytes(self.array(at)?))
    }

    /// Eight bytes, the highest first.
    pub fn be64(self, at: usize) -> Read<u64> {
        Ok(u64::from_be_bytes(self.array(at)?))
    }

    /// The text from `at` to the next NUL.
    pub fn cstr(self, at: usize) -> Read<&'a [u8]> {
        let rest = self.0.get(at..).unwrap_or_default();
        match memchr::memchr(0, rest) {
            Some(len) => Ok(&rest[..len]),
            None => bad(at.min(self.0.len()), "a string has no end"),
        }
    }

    /// A number in base 128; `at` moves behind it.
    pub fn uleb(self, at: &mut usize) -> Read<u64> {
        let start = *at;
        let mut value = 0u64;
        for shift in (0..).step_by(7) {
            let byte = self.u8(*at)?;
            *at += 1;
            if shift >= 64 || (shift == 63 && byte > 1) {
                return bad(start, "a number in base 128 is too large");
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        Ok(value)
    }
}

impl Malformed {
    /// The `bad-input` error of `file`.
    pub fn in_file(self, file: impl Into<String>) -> Error {
        let site = Site { file: file.into(), section: None, offset: Some(self.offset) };
        Error::new(ErrorKind::BadInput, self.text).at(site)
    }
}

/// The fixed part of a file.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// The machine.
    pub cpu: u32,
    /// Which of its kind, without what that is able to do.
    pub subtype: u32,
    /// What kind of file it is.
    pub filetype: u32,
    /// `MH_*` flags.
    pub flags: u32,
}

/// One load command: its number, where it is, its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Command<'a> {
    /// `LC_*`.
    pub cmd: u32,
    /// Where in the file.
    pub at: usize,
    /// Header included.
    pub bytes: Bytes<'a>,
}

impl<'a> Command<'a> {
    /// The string whose offset is at `at`.
    pub fn string(&self, at: usize) -> Read<&'a [u8]> {
        let start = self.bytes.u32(at)? as usize;
        let Some(rest) = self.bytes.0.get(start..) else {
            return bad(self.at + at, "the string of a load command is outside of it");
        };
        Ok(&rest[..memchr::memchr(0, rest).unwrap_or(rest.len())])
    }
}

/// One section's header.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Section<'a> {
    pub segment: &'a [u8],
    pub name: &'a [u8],
    pub addr: u64,
    pub size: u64,
    pub offset: u32,
    /// Logarithm.
    pub align: u32,
    pub reloc_offset: u32,
    pub reloc_count: u32,
    pub flags: u32,
    /// Where in the file the header is.
    pub at: usize,
}

impl Section<'_> {
    /// What sort of section it is.
    pub fn kind(&self) -> u32 {
        self.flags & 0xff
    }

    /// `__SEG,__sect`, for people.
    pub fn title(&self) -> String {
        let text = String::from_utf8_lossy;
        format!("{},{}", text(self.segment), text(self.name))
    }
}

/// One entry of the symbol table.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Nlist<'a> {
    pub name: &'a [u8],
    pub kind: u8,
    pub section: u8,
    pub desc: u16,
    pub value: u64,
}

/// A file, split.
#[derive(Clone, Debug)]
pub struct File<'a> {
    /// All of it.
    pub bytes: Bytes<'a>,
    /// The fixed part.
    pub header: Header,
    /// The load commands.
    pub commands: Vec<Command<'a>>,
}

const HEADER: usize = 32;

/// Whether `bytes` start as a 64-bit Mach-O file does.
pub fn is_macho(bytes: &[u8]) -> bool {
    bytes.first_chunk() == Some(&MAGIC.to_le_bytes())
}

/// Whether `bytes` start as a file of several machines does. Java's classes start the same, with a
/// version where a handful of machines is expected.
pub fn is_fat(bytes: &[u8]) -> bool {
    let magic = matches!(Bytes(bytes).be32(0), Ok(0xcafe_babe | 0xcafe_babf));
    magic && Bytes(bytes).be32(4).is_ok_and(|count| count < 0x20)
}

/// The parts of a fat file: machine, variant of it, and where its bytes are.
pub fn slices(bytes: &[u8]) -> Read<Vec<(u32, u32, Range<usize>)>> {
    let file = Bytes(bytes);
    let wide = file.be32(0)? == 0xcafe_babf;
    let step = if wide { 32 } else { 20 };
    let mut out = Vec::new();
    for at in (8..).step_by(step).take(file.be32(4)? as usize) {
        let (offset, size) = match wide {
            true => (file.be64(at + 8)?, file.be64(at + 16)?),
            false => (file.be32(at + 8)?.into(), file.be32(at + 12)?.into()),
        };
        if file.slice(offset as usize, size as usize).is_err() {
            return bad(at, "a machine's part is outside of the file");
        }
        let range = offset as usize..(offset + size) as usize;
        out.push((file.be32(at)?, file.be32(at + 4)?, range));
    }
    Ok(out)
}

impl<'a> File<'a> {
    /// Splits `bytes`.
    pub fn parse(bytes: &'a [u8]) -> Read<Self> {
        let file = Bytes(bytes);
        if is_bitcode(bytes) {
            return bad(0, BITCODE);
        }
        if !is_macho(bytes) {
            return bad(0, "not a 64-bit little-endian Mach-O file");
        }
        let header = Header {
            cpu: file.u32(4)?,
            subtype: file.u32(8)? & 0xff_ffff,
            filetype: file.u32(12)?,
            flags: file.u32(24)?,
        };
        let count = file.u32(16)?;
        let end = HEADER + file.u32(20)? as usize;
        file.slice(HEADER, end - HEADER)?;
        let mut commands = Vec::new();
        let mut at = HEADER;
        for _ in 0..count {
            if at + 8 > end {
                return bad(at, "a load command is outside of the load commands");
            }
            let (cmd, size) = (file.u32(at)?, file.u32(at + 4)? as usize);
            if size < 8 || size > end - at {
                return bad(at, "a load command's size is wrong");
            }
            commands.push(Command { cmd, at, bytes: Bytes(file.slice(at, size)?) });
            at += size;
        }
        Ok(Self { bytes: file, header, commands })
    }

    /// The first command that is one of `kinds`.
    pub fn command(&self, kinds: &[u32]) -> Option<&Command<'a>> {
        self.commands.iter().find(|command| kinds.contains(&command.cmd))
    }

    /// The systems that the file is for: a library may be for two, an old object does not say.
    pub fn platforms(&self) -> Read<Vec<u32>> {
        let mut out = Vec::new();
        for command in &self.commands {
            match command.cmd {
                lc::BUILD_VERSION => out.push(command.bytes.u32(8)?),
                lc::VERSION_MIN_MACOSX => out.push(platform::MACOS),
                lc::VERSION_MIN_IPHONEOS => out.push(platform::IOS),
                lc::VERSION_MIN_TVOS => out.push(platform::TVOS),
                lc::VERSION_MIN_WATCHOS => out.push(platform::WATCHOS),
                _ => {}
            }
        }
        Ok(out)
    }

    /// The sections of all segments, in order.
    pub fn sections(&self) -> Read<Vec<Section<'a>>> {
        let mut out = Vec::new();
        for command in self.commands.iter().filter(|command| command.cmd == lc::SEGMENT) {
            let bytes = command.bytes;
            let count = bytes.u32(64)? as usize;
            if bytes.0.len() < 72 || (bytes.0.len() - 72) / 80 < count {
                return bad(command.at, "a segment has no room for its sections");
            }
            for at in (72..).step_by(80).take(count) {
                out.push(Section {
                    name: fixed(bytes.slice(at, 16)?),
                    segment: fixed(bytes.slice(at + 16, 16)?),
                    addr: bytes.u64(at + 32)?,
                    size: bytes.u64(at + 40)?,
                    offset: bytes.u32(at + 48)?,
                    align: bytes.u32(at + 52)?,
                    reloc_offset: bytes.u32(at + 56)?,
                    reloc_count: bytes.u32(at + 60)?,
                    flags: bytes.u32(at + 64)?,
                    at: command.at + at,
                });
            }
        }
        Ok(out)
    }

    /// The symbol table, in order.
    pub fn symbols(&self) -> Read<Vec<Nlist<'a>>> {
        let Some(table) = self.command(&[lc::SYMTAB]) else { return Ok(Vec::new()) };
        let word = |at| table.bytes.u32(at).map(|word| word as usize);
        let (start, count) = (word(8)?, word(12)?);
        let entries = Bytes(self.bytes.slice(start, count.saturating_mul(16))?);
        let strings = Bytes(self.bytes.slice(word(16)?, word(20)?)?);
        let mut out = Vec::with_capacity(count);
        for at in (0..).step_by(16).take(count) {
            let name = entries.u32(at)? as usize;
            let name = match name {
                0 => &[],
                _ => strings.cstr(name).or_else(|_| bad(start + at, "a symbol has no name"))?,
            };
            out.push(Nlist {
                name,
                kind: entries.u8(at + 4)?,
                section: entries.u8(at + 5)?,
                desc: entries.u16(at + 6)?,
                value: entries.u64(at + 8)?,
            });
        }
        Ok(out)
    }

    /// The bytes of a command that is nothing but an offset and a size.
    pub fn blob(&self, command: &Command<'a>, at: usize) -> Read<&'a [u8]> {
        let (offset, size) = (command.bytes.u32(at)?, command.bytes.u32(at + 4)?);
        self.bytes.slice(offset as usize, size as usize)
    }
}

/// A name of at most 16 bytes.
fn fixed(bytes: &[u8]) -> &[u8] {
    &bytes[..memchr::memchr(0, bytes).unwrap_or(bytes.len())]
}
