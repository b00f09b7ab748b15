//! The table of faults: a name, and how to plant it into an ELF64 image by its own structures.

mod arm64;
pub(super) mod edit;
mod macho;

use object::elf;

use edit::*;

/// One fault.
pub struct Mutation {
    /// What is broken.
    pub name: &'static str,
    /// Plants it; false if this image has nothing of the kind.
    pub apply: fn(&mut [u8]) -> bool,
}

/// Every fault for `image`: those of every ELF64 image and amd64's code, then each machine's own; or those
/// of Mach-O.
pub(super) fn of(image: &[u8]) -> Vec<&'static Mutation> {
    match macho::is_macho(image) {
        true => macho::MUTATIONS.iter().collect(),
        false => MUTATIONS.iter().chain(arm64::MUTATIONS).collect(),
    }
}

impl Mutation {
    /// A copy of `image` with the fault; none if there is nothing of the kind in it. What is signed is
    /// signed again: hashes are not to give away what other tables must.
    pub(super) fn plant(&self, image: &[u8]) -> Option<Vec<u8>> {
        let mut faulty = image.to_vec();
        if !(self.apply)(&mut faulty) || faulty == image {
            return None;
        }
        if macho::is_macho(&faulty) && !self.name.starts_with("signature") {
            // Only if there is a signature still.
            let _ = macho::seal(&mut faulty);
        }
        Some(faulty)
    }
}

/// Every fault of images and of amd64's code, one row each.
pub const MUTATIONS: &[Mutation] = &[
    Mutation { name: "PT_LOAD p_flags: writable code", apply: |i| flags(i, 1, 2) },
    Mutation { name: "PT_LOAD p_flags: data read-only", apply: |i| flags(i, 2, 2) },
    Mutation { name: "PT_LOAD p_vaddr not congruent", apply: |i| segment(i, elf::PT_LOAD, 16, 8) },
    Mutation {
        name: "PT_LOAD p_filesz too large",
        apply: |i| segment(i, elf::PT_LOAD, 32, 1 << 40),
    },
    Mutation {
        name: "PT_GNU_RELRO too long",
        apply: |i| segment(i, elf::PT_GNU_RELRO, 40, 0x3000),
    },
    Mutation { name: "PT_GNU_RELRO lost", apply: |i| xor(i, elf::PT_GNU_RELRO, 1, 0x10) },
    Mutation { name: "PT_GNU_STACK executable", apply: |i| xor(i, elf::PT_GNU_STACK, 4, 1) },
    Mutation {
        // By two words: gold rounds the size up to the alignment, where one word less is no fault.
        name: "PT_TLS p_memsz too small",
        apply: |i| segment(i, elf::PT_TLS, 40, u64::MAX - 15),
    },
    Mutation { name: "PT_TLS p_align too small", apply: |i| set_segment(i, elf::PT_TLS, 48, 1) },
    Mutation { name: "PT_DYNAMIC elsewhere", apply: |i| segment(i, elf::PT_DYNAMIC, 16, 16) },
    Mutation { name: "DT_STRSZ short", apply: |i| tag(i, 10, |v| v / 2) },
    Mutation { name: "DT_SYMTAB off by an entry", apply: |i| tag(i, 6, |v| v + 24) },
    Mutation { name: "DT_RELASZ short", apply: |i| tag(i, 8, |v| v.wrapping_sub(24)) },
    Mutation { name: "DT_RELAENT wrong", apply: |i| tag(i, 9, |v| v + 8) },
    Mutation { name: "DT_INIT_ARRAYSZ zero", apply: |i| tag(i, 27, |_| 0) },
    Mutation { name: "DT_GNU_HASH elsewhere", apply: |i| tag(i, 0x6fff_fef5, |v| v + 8) },
    Mutation { name: "DT_RELACOUNT too large", apply: |i| tag(i, 0x6fff_fff9, |v| v + 1000) },
    Mutation { name: "RELATIVE addend off by one", apply: |i| rela(i, 8, |r| add(r, 16, 1)) },
    Mutation {
        name: "RELATIVE addend without its low bits",
        apply: |i| rela(i, 8, |r| add(r, 16, 16)),
    },
    Mutation { name: "RELATIVE at the wrong place", apply: |i| rela(i, 8, |r| add(r, 0, 8)) },
    Mutation {
        name: "RELATIVE outside of the image",
        apply: |i| rela(i, 8, |r| add(r, 0, 1 << 32)),
    },
    Mutation {
        name: "symbolic relocation names another symbol",
        apply: |i| rela(i, 1, |r| add(r, 12, 1)),
    },
    Mutation {
        name: "symbolic relocation of another type",
        apply: |i| rela(i, 1, |r| add(r, 8, 9)),
    },
    Mutation { name: "GLOB_DAT names another symbol", apply: |i| rela(i, 6, |r| add(r, 12, 1)) },
    Mutation { name: "JUMP_SLOT names another symbol", apply: |i| rela(i, 7, |r| add(r, 12, 1)) },
    Mutation { name: "JUMP_SLOT at the wrong place", apply: |i| rela(i, 7, |r| add(r, 0, 8)) },
    Mutation { name: "dynsym value off by one", apply: |i| symbol(i, "v", |s| add(s, 8, 1)) },
    Mutation { name: "dynsym value far away", apply: |i| symbol(i, "f", |s| add(s, 8, 1 << 33)) },
    Mutation { name: "dynsym size off by one", apply: |i| symbol(i, "v", |s| add(s, 16, 1)) },
    Mutation { name: "dynsym type", apply: |i| symbol(i, "v", |s| flip(s, 4, 3)) },
    Mutation { name: "dynsym binding", apply: |i| symbol(i, "v", |s| flip(s, 4, 0x30)) },
    Mutation { name: "dynsym visibility", apply: |i| symbol(i, "v", |s| flip(s, 5, 3)) },
    Mutation { name: "dynsym section", apply: |i| symbol(i, "v", |s| flip(s, 6, 0xff)) },
    Mutation { name: "dynsym name", apply: |i| symbol(i, "v", |s| flip(s, 0, 1)) },
    Mutation { name: "TLS symbol's value", apply: |i| symbol(i, "t", |s| add(s, 8, 1 << 20)) },
    Mutation { name: ".gnu.hash chain", apply: |i| last_word(i, elf::SHT_GNU_HASH) },
    Mutation { name: ".gnu.hash bloom filter", apply: |i| zero(i, elf::SHT_GNU_HASH, 16, 8) },
    Mutation { name: ".hash nchain", apply: |i| zero(i, elf::SHT_HASH, 4, 4) },
    Mutation { name: "code: call target off by one", apply: |i| code(i, &[0xe8], 1) },
    Mutation { name: "code: GOT slot off by eight", apply: |i| code(i, &[0x48, 0x8b, 0x05], 8) },
    Mutation { name: "code: lea off by one", apply: |i| code(i, &[0x48, 0x8d, 0x0d], 1) },
    Mutation { name: "code: lea opcode is a mov", apply: |i| opcode(i, &[0x48, 0x8d, 0x0d], 1, 6) },
    Mutation {
        name: "data byte lost",
        apply: |i| find(i, &[0x11; 16]).is_some_and(|at| flip(&mut i[at + 5..], 0, 0x11)),
    },
    Mutation {
        name: "read-only byte lost",
        apply: |i| find(i, b"a table of bytes").is_some_and(|at| flip(&mut i[at..], 3, 1)),
    },
    Mutation {
        name: "TLS template byte lost",
        apply: |i| find(i, &[0x22; 8]).is_some_and(|at| flip(&mut i[at..], 2, 1)),
    },
    Mutation {
        name: "probe's constant",
        apply: |i| find(i, &[0x48, 0xb8, 1, 0, 0]).is_some_and(|at| flip(&mut i[at..], 4, 1)),
    },
    Mutation { name: "section header: address", apply: |i| header(i, elf::SHT_INIT_ARRAY, 16) },
    Mutation { name: "section header: size", apply: |i| header(i, elf::SHT_DYNSYM, 32) },
    Mutation { name: "DT_NULL overwritten", apply: no_end },
    Mutation { name: "e_machine", apply: |i| flip(i, 18, 0x10) },
    Mutation { name: "e_type", apply: |i| flip(i, 16, 1) },
    Mutation { name: "EI_CLASS", apply: |i| flip(i, 4, 3) },
    Mutation { name: "EI_DATA", apply: |i| flip(i, 5, 3) },
    Mutation { name: "e_entry", apply: |i| named(i, ".interp").is_some() && add(i, 24, 1) },
    Mutation { name: "PT_INTERP", apply: |i| text(i, ".interp", 5) },
    Mutation { name: "DT_NEEDED lost", apply: |i| retag(i, 1, 0x6fff_fd00) },
    Mutation { name: "DT_NEEDED names another", apply: |i| tag(i, 1, |v| v + 1) },
    Mutation { name: "DT_SONAME lost", apply: |i| retag(i, 14, 0x6fff_fd00) },
    Mutation { name: "DT_SONAME names another", apply: |i| tag(i, 14, |v| v + 1) },
    Mutation { name: "DT_FLAGS: symbolic", apply: |i| tag(i, 30, |v| v ^ 2) },
    Mutation { name: "DT_FLAGS_1: nodelete", apply: |i| tag(i, 0x6fff_fffb, |v| v ^ 8) },
    Mutation { name: "DT_INIT_ARRAY elsewhere", apply: |i| tag(i, 25, |v| v + 8) },
    Mutation { name: "DT_PLTGOT elsewhere", apply: |i| lazy(i) && tag(i, 3, |v| v + 8) },
    Mutation { name: "DT_JMPREL elsewhere", apply: |i| tag(i, 23, |v| v + 24) },
    Mutation { name: "DT_VERSYM elsewhere", apply: |i| tag(i, 0x6fff_fff0, |v| v + 2) },
    Mutation { name: "DT_VERNEEDNUM short", apply: |i| tag(i, 0x6fff_ffff, |v| v.wrapping_sub(1)) },
    Mutation { name: "DT_VERDEFNUM short", apply: |i| tag(i, 0x6fff_fffd, |v| v.wrapping_sub(1)) },
    Mutation { name: "version of a symbol", apply: |i| version(i, "v", 1) },
    Mutation { name: "version of a symbol hidden", apply: |i| version(i, "v", 0x8000) },
    Mutation { name: "version of an import", apply: |i| version(i, "lib_f", 0xffff) },
    Mutation { name: "version definition's hash", apply: |i| definition(i, 8) },
    Mutation { name: "version definition's index", apply: |i| definition(i, 4) },
    Mutation { name: "version need's library", apply: |i| bytes_of(i, VERNEED, 4, 1) },
    Mutation { name: "version need's hash", apply: |i| bytes_of(i, VERNEED, 16, 1) },
    Mutation { name: "version need's index", apply: |i| bytes_of(i, VERNEED, 22, 8) },
    Mutation { name: "version need's name", apply: |i| bytes_of(i, VERNEED, 24, 1) },
    Mutation { name: "RELR: another address", apply: |i| bytes_of(i, elf::SHT_RELR, 0, 8) },
    Mutation { name: "RELR: one entry less", apply: |i| tag(i, 35, |v| v.wrapping_sub(8)) },
    Mutation { name: "RELR: an entry lost", apply: |i| last_relr(i) },
    Mutation { name: "COPY names another symbol", apply: |i| rela(i, 5, |r| add(r, 12, 1)) },
    Mutation { name: "COPY at the wrong place", apply: |i| rela(i, 5, |r| add(r, 0, 4)) },
    Mutation { name: "copied symbol's size", apply: |i| symbol(i, "lib_v", |s| add(s, 16, 8)) },
    Mutation { name: "copied symbol's value", apply: |i| symbol(i, "lib_v", |s| add(s, 8, 8)) },
    Mutation {
        name: "canonical PLT entry's value",
        apply: |i| symbol(i, "lib_f", |s| get(s, 8) != Some(0) && add(s, 8, 16)),
    },
    Mutation {
        name: "canonical PLT entry unknown to others",
        apply: |i| symbol(i, "lib_f", |s| get(s, 8) != Some(0) && put(s, 8, 0)),
    },
    Mutation { name: "frame: CFA of the CIE", apply: |i| frame(i, &[0x0c, 7, 8, 0x90], 2, 8) },
    Mutation { name: "frame: place of the return address", apply: |i| frame(i, CFA, 4, 2) },
    Mutation { name: "frame: code alignment", apply: |i| frame(i, b"zR\0\x01\x78", 3, 2) },
    Mutation { name: "frame: data alignment", apply: |i| frame(i, b"zR\0\x01\x78", 4, 4) },
    Mutation { name: "frame: return register", apply: |i| frame(i, b"zR\0\x01\x78", 5, 1) },
    Mutation { name: "frame: augmentation", apply: |i| frame(i, b"zR\0\x01\x78", 1, 1) },
    Mutation { name: "frame: personality", apply: |i| frame(i, b"zPLR\0", 10, 8) },
    Mutation { name: "frame: personality's encoding", apply: |i| frame(i, b"zPLR\0", 9, 0x80) },
    Mutation { name: "frame: advance of the FDE", apply: |i| frame(i, &[0x44, 0x0e, 0x10], 0, 1) },
    Mutation { name: "frame: CFA of the FDE", apply: |i| frame(i, &[0x44, 0x0e, 0x10], 2, 8) },
    Mutation { name: "frame: operation of the FDE", apply: |i| frame(i, FDE, 1, 1) },
    Mutation { name: "frame: language's table", apply: |i| frame(i, &[0x44, 0x0e, 0x10], -4, 4) },
    Mutation { name: "frame: length of the code", apply: |i| frame(i, FDE, -5, 1) },
    Mutation { name: "frame: start of the code", apply: |i| frame(i, FDE, -9, 1) },
    Mutation { name: ".eh_frame_hdr version", apply: |i| text(i, ".eh_frame_hdr", 0) },
    Mutation { name: ".eh_frame_hdr count", apply: |i| text(i, ".eh_frame_hdr", 8) },
    Mutation { name: ".eh_frame_hdr address", apply: |i| text(i, ".eh_frame_hdr", 12) },
    Mutation { name: ".eh_frame_hdr FDE", apply: |i| text(i, ".eh_frame_hdr", 17) },
    Mutation { name: "PT_GNU_EH_FRAME lost", apply: |i| xor(i, elf::PT_GNU_EH_FRAME, 0, 1) },
    Mutation { name: "GOTTPOFF: another slot", apply: |i| thread(i) },
];

const VERNEED: elf::SectionType = elf::SHT_GNU_VERNEED;
const CFA: &[u8] = &[0x0c, 7, 8, 0x90, 1];
/// The second FDE's instructions, behind its empty augmentation.
const FDE: &[u8] = &[0x42, 0x0e, 0x18];
