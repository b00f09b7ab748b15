//! Pieces of a 64-bit Mach-O file: header, load commands, symbols.
//!
//! Spec: `mach-o/loader.h`, `mach-o/nlist.h`.

use crate::emit::bytes::Bytes;

/// Bytes of a mach_header_64.
pub(super) const HEADER: u64 = 32;

/// One section_64.
#[derive(Clone, Default)]
pub(super) struct Sect {
    /// `SEGMENT,SECTION`.
    pub(super) name: String,
    pub(super) addr: u64,
    pub(super) size: u64,
    pub(super) offset: u32,
    pub(super) align: u32,
    pub(super) reloff: u32,
    pub(super) nreloc: u32,
    pub(super) flags: u32,
}

/// What is in a segment_command_64 before its sections.
#[derive(Clone, Default)]
pub(super) struct Segment<'a> {
    pub(super) name: &'a str,
    pub(super) vmaddr: u64,
    pub(super) vmsize: u64,
    pub(super) fileoff: u64,
    pub(super) filesize: u64,
    /// VM_PROT_*, both maxprot and initprot.
    pub(super) prot: u32,
}

/// Load commands.
#[derive(Default)]
pub(super) struct Commands {
    out: Bytes,
    count: u32,
}

impl Commands {
    fn start(&mut self, command: u32, size: u64) {
        self.count += 1;
        self.out.u32(command);
        self.out.u32(size as u32);
    }

    /// LC_SEGMENT_64 with its sections.
    pub(super) fn segment(&mut self, segment: &Segment<'_>, sects: &[Sect]) {
        self.start(0x19, 72 + 80 * sects.len() as u64);
        name(&mut self.out, segment.name);
        for field in [segment.vmaddr, segment.vmsize, segment.fileoff, segment.filesize] {
            self.out.u64(field);
        }
        for field in [segment.prot, segment.prot, sects.len() as u32, 0] {
            self.out.u32(field);
        }
        for sect in sects {
            let (segname, sectname) = sect.name.split_once(',').unwrap_or(("", &sect.name));
            name(&mut self.out, sectname);
            name(&mut self.out, segname);
            self.out.u64(sect.addr);
            self.out.u64(sect.size);
            let rest = [sect.offset, sect.align, sect.reloff, sect.nreloc, sect.flags, 0, 0, 0];
            rest.iter().for_each(|field| self.out.u32(*field));
        }
    }

    /// A command that is words after its head.
    pub(super) fn words(&mut self, command: u32, words: &[u32]) {
        self.start(command, 8 + 4 * words.len() as u64);
        words.iter().for_each(|word| self.out.u32(*word));
    }

    /// LC_BUILD_VERSION for macOS: the oldest it runs on is what the oldest outputs ask for.
    pub(super) fn build_version(&mut self) {
        self.words(0x32, &[1, 11 << 16, 11 << 16, 0]);
    }

    /// LC_SYMTAB.
    pub(super) fn symtab(&mut self, symbols: (u64, usize), strings: (u64, u64)) {
        let words = [symbols.0, symbols.1 as u64, strings.0, strings.1];
        self.words(0x2, &words.map(|word| word as u32));
    }

    /// LC_DYSYMTAB: how many are local, defined, undefined.
    pub(super) fn dysymtab(&mut self, [local, defined, undefined]: [u32; 3]) {
        let mut words = [0; 18];
        let ranges = [0, local, local, defined, local + defined, undefined];
        words[..6].copy_from_slice(&ranges);
        self.words(0xb, &words);
    }

    /// LC_ID_DYLIB or LC_LOAD_DYLIB.
    pub(super) fn dylib(&mut self, command: u32, path: &str) {
        let size = (24 + path.len() as u64 + 1).next_multiple_of(8);
        self.start(command, size);
        let version = 1 << 16;
        [24, 0, version, version].iter().for_each(|word| self.out.u32(*word));
        self.out.0.extend_from_slice(path.as_bytes());
        self.out.u8(0);
        self.out.align(8);
    }

    /// mach_header_64, then the commands.
    pub(super) fn file(self, cpu: (u32, u32), filetype: u32, flags: u32) -> Bytes {
        let mut out = Bytes(Vec::with_capacity(4096));
        let size = self.out.len() as u32;
        let words = [0xfeed_facf, cpu.0, cpu.1, filetype, self.count, size, flags, 0];
        words.iter().for_each(|word| out.u32(*word));
        out.0.extend_from_slice(&self.out.0);
        out
    }

    /// How long header and commands are.
    pub(super) fn size(&self) -> u64 {
        HEADER + self.out.len()
    }
}

/// A name in 16 bytes; what is longer is cut.
fn name(out: &mut Bytes, name: &str) {
    let mut field = [0; 16];
    let len = name.len().min(16);
    field[..len].copy_from_slice(&name.as_bytes()[..len]);
    out.0.extend_from_slice(&field);
}

/// One nlist_64.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Nlist {
    pub(super) name: u32,
    pub(super) kind: u8,
    pub(super) sect: u8,
    pub(super) desc: u16,
    pub(super) value: u64,
}

impl Nlist {
    pub(super) fn write(&self, out: &mut Bytes) {
        out.u32(self.name);
        out.u8(self.kind);
        out.u8(self.sect);
        out.u16(self.desc);
        out.u64(self.value);
    }
}

/// N_PEXT, N_EXT; N_ABS and N_SECT of N_TYPE.
pub(super) const N_PEXT: u8 = 0x10;
pub(super) const N_EXT: u8 = 1;
pub(super) const N_ABS: u8 = 2;
pub(super) const N_SECT: u8 = 0xe;
/// Bits of n_desc.
pub(super) const N_NO_DEAD_STRIP: u16 = 0x20;
pub(super) const N_WEAK_REF: u16 = 0x40;
pub(super) const N_WEAK_DEF: u16 = 0x80;
pub(super) const N_ALT_ENTRY: u16 = 0x200;
