//! The subjects of Mach-O, for both machines: calls, slots, pairs, a thread-local variable, pointers, a weak
//! definition, an initialiser, compact unwind.

use std::sync::Arc;

use object::macho as m;
use object::write::{Object, Relocation, SectionId, Symbol, SymbolId, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, RelocationFlags, SectionFlags, SectionKind,
    SymbolFlags, SymbolKind, SymbolScope,
};

use crate::model::{MARKER_MAGIC, digest};
use crate::{Arch, File, Mode, Request, Target};

const SYSTEM: &str = "--- !tapi-tbd\ntbd-version: 4\ntargets: [ x86_64-macos, arm64-macos ]\n\
    install-name: /usr/lib/libSystem.B.dylib\nexports:\n  - targets: [ x86_64-macos, arm64-macos ]\n    \
    symbols: [ dyld_stub_binder, __tlv_bootstrap, _ext, _extdata, _person ]\n...\n";

/// Every subject, with its name.
pub(super) fn all() -> Vec<(&'static str, Request)> {
    let request = |target: Target, mode, way: &[&str]| {
        let args = way.iter().copied().chain(["a.o", "libSystem.tbd"]).map(String::from);
        let system = File { name: "libSystem.tbd".into(), bytes: Arc::from(SYSTEM.as_bytes()) };
        Request {
            target,
            mode,
            args: args.collect(),
            files: vec![object(target.arch), system],
            goos: None,
        }
    };
    let name = ["-install_name", "@rpath/subject.dylib"];
    let chained = [&name[..], &["-fixup_chains", "-rpath", "@loader_path"]].concat();
    let classic = [&name[..], &["-no_fixup_chains", "-init", "_start"]].concat();
    let entry = ["-fixup_chains", "-e", "_f"];
    // lld says of the header of a program that stays that it is at 0.
    let fixed = ["-unexported_symbol", "__mh_execute_header", "-e", "_f"];
    let [amd64, arm64] = [Target::AMD64_MACHO, Target::ARM64_MACHO];
    vec![
        ("amd64 dylib", request(amd64, Mode::CShared, &chained)),
        ("amd64 classic dylib", request(amd64, Mode::CShared, &classic)),
        ("amd64 flat dylib", request(amd64, Mode::Plugin, &chained)),
        ("amd64 program", request(amd64, Mode::Pie, &entry)),
        ("amd64 program that stays", request(amd64, Mode::Exe, &fixed)),
        ("arm64 dylib", request(arm64, Mode::CShared, &chained)),
        ("arm64 classic dylib", request(arm64, Mode::CShared, &classic)),
        ("arm64 bundle", request(arm64, Mode::Shared, &["-fixup_chains"])),
        ("arm64 program", request(arm64, Mode::Pie, &entry)),
    ]
}

struct Maker {
    object: Object<'static>,
    arm: bool,
}

impl Maker {
    fn section(&mut self, segment: &str, name: &str, flags: u32) -> SectionId {
        let (segment, name) = (segment.as_bytes().to_vec(), name.as_bytes().to_vec());
        let id = self.object.add_section(segment, name, SectionKind::Data);
        self.object.section_mut(id).flags =
            SectionFlags::MachO { flags: m::SectionFlags(flags), reserved2: 0 };
        id
    }

    fn define(
        &mut self,
        name: &str,
        section: SectionId,
        bytes: &[u8],
        weak: bool,
    ) -> (SymbolId, u64) {
        let at = self.object.append_section_data(section, bytes, 8);
        (self.symbol(name, SymbolSection::Section(section), at, weak), at)
    }

    fn symbol(&mut self, name: &str, section: SymbolSection, value: u64, weak: bool) -> SymbolId {
        self.object.add_symbol(Symbol {
            name: name.as_bytes().to_vec(),
            value,
            size: 0,
            kind: SymbolKind::Data,
            scope: SymbolScope::Dynamic,
            weak,
            section,
            flags: SymbolFlags::None,
        })
    }

    fn outside(&mut self, name: &str) -> SymbolId {
        self.symbol(name, SymbolSection::Undefined, 0, false)
    }

    fn relocate(
        &mut self,
        at: (SectionId, u64),
        form: (m::RelocationType, bool, u8),
        symbol: SymbolId,
        addend: i64,
    ) {
        let (r_type, r_pcrel, r_length) = form;
        let flags = RelocationFlags::MachO { r_type, r_pcrel, r_length };
        // The writer knows every symbol and section used here.
        let _ =
            self.object.add_relocation(at.0, Relocation { offset: at.1, symbol, addend, flags });
    }

    /// An address of eight bytes.
    fn pointer(&mut self, at: (SectionId, u64), symbol: SymbolId, addend: i64) {
        // The plain address is 0 on both machines.
        self.relocate(at, (m::X86_64_RELOC_UNSIGNED, false, 3), symbol, addend);
    }

    fn marker(&mut self, section: SectionId, name: &str) {
        let marker = [MARKER_MAGIC, digest(name.as_bytes()).to_le_bytes()].concat();
        self.object.append_section_data(section, &marker, 1);
    }
}

/// `bl ext; adrp, ldr extdata@GOT; adrp, add table; bl w; adrp, ldr t@TLVP; ret`
const ARM64: &[u32] = &[
    0x9400_0000,
    0x9000_0000,
    0xf940_0000,
    0x9000_0001,
    0x9100_0021,
    0x9400_0000,
    0x9000_0000,
    0xf940_0000,
    0xd65f_03c0,
    0xd503_201f,
];

/// `call ext; movq extdata@GOTPCREL(%rip), %rax; leaq table(%rip), %rcx; call w; movq t@TLVP(%rip), %rdi; ret`
const AMD64: &[u8] = &[
    0xe8, 0, 0, 0, 0, 0x48, 0x8b, 5, 0, 0, 0, 0, 0x48, 0x8d, 0x0d, 0, 0, 0, 0, 0xe8, 0, 0, 0, 0,
    0x48, 0x8b, 0x3d, 0, 0, 0, 0, 0xc3,
];

fn object(arch: Arch) -> File {
    let arm = arch == Arch::Arm64;
    let machine = if arm { Architecture::Aarch64 } else { Architecture::X86_64 };
    let mut object = Object::new(BinaryFormat::MachO, machine, Endianness::Little);
    object.set_subsections_via_symbols();
    let mut maker = Maker { object, arm };
    let code = 0x8000_0400;
    let text = maker.section("__TEXT", "__text", code);
    let table = maker.section("__TEXT", "__const", 0);
    let data = maker.section("__DATA", "__data", 0);
    let fixed = maker.section("__DATA", "__const", 0);
    let body: Vec<u8> = match arm {
        true => ARM64.iter().flat_map(|word| word.to_le_bytes()).collect(),
        false => AMD64.to_vec(),
    };
    let (f, f_at) = maker.define("f", text, &body, false);
    let (value, ret): (&[u8], &[u8]) = match arm {
        true => (b"\x40\x05\x80\xd2\xc0\x03\x5f\xd6", b"\xc0\x03\x5f\xd6\x1f\x20\x03\xd5"),
        false => (b"\xb8\x2a\0\0\0\xc3\x90\x90", b"\xc3\x90\x90\x90\x90\x90\x90\x90"),
    };
    maker.define("scold.probe.1", text, value, false);
    let (w, _) = maker.define("w", text, ret, true);
    let (start, _) = maker.define("start", text, ret, false);
    maker.marker(text, "text");
    let (words, _) = maker.define("table", table, b"a table of bytes", false);
    maker.marker(table, "table");
    maker.define("v", data, &[0x11; 16], false);
    let (_, slots) = maker.define("slots", data, &[0; 24], false);
    maker.marker(data, "data");
    let (_, fixed_at) = maker.define("pointer", fixed, &[0; 8], false);
    maker.marker(fixed, "fixed");
    let [ext, extdata] = ["ext", "extdata"].map(|name| maker.outside(name));
    maker.pointer((data, slots), f, 0);
    maker.pointer((data, slots + 8), ext, 300);
    maker.pointer((data, slots + 16), extdata, 5);
    maker.pointer((fixed, fixed_at), words, 3);
    let variable = variable(&mut maker);
    let init = maker.section("__DATA", "__mod_init_func", 9);
    maker.object.append_section_data(init, &[0; 8], 8);
    maker.pointer((init, 0), start, 0);
    uses(&mut maker, (text, f_at), [ext, extdata, words, w, variable]);
    unwind(&mut maker, [f, w, words]);
    let bytes = maker.object.write().unwrap_or_default();
    let bytes = if arm { hinted(bytes).unwrap_or_default() } else { bytes };
    File { name: "a.o".into(), bytes: bytes.into() }
}

/// LOH_ARM64_ADRP_LDR_GOT, ADRP_ADD, and ADRP_LDR of the variable, at the start of the first section.
const HINTS: &[u8] = &[8, 2, 4, 8, 7, 2, 12, 16, 2, 2, 24, 28, 0, 0, 0, 0];

/// Adds LC_LINKER_OPTIMIZATION_HINT, which the writer doesn't know, to an object.
fn hinted(mut object: Vec<u8>) -> Option<Vec<u8>> {
    const COMMAND: u32 = 16;
    fn change(object: &mut [u8], at: usize, by: u32) -> Option<u32> {
        let field: &mut [u8; 4] = object.get_mut(at..)?.first_chunk_mut()?;
        let old = u32::from_le_bytes(*field);
        // A part that is not there is at 0.
        *field = if old == 0 { 0 } else { old + by }.to_le_bytes();
        Some(old)
    }
    let count = change(&mut object, 16, 1)?;
    let end = 32 + change(&mut object, 20, COMMAND)? as usize;
    let mut at = 32;
    for _ in 0..count {
        match change(&mut object, at, 0)? {
            0x19 => {
                change(&mut object, at + 40, COMMAND)?;
                for section in 0..change(&mut object, at + 64, 0)? as usize {
                    change(&mut object, at + 72 + 80 * section + 48, COMMAND)?;
                    change(&mut object, at + 72 + 80 * section + 56, COMMAND)?;
                }
            }
            2 => {
                change(&mut object, at + 8, COMMAND)?;
                change(&mut object, at + 16, COMMAND)?;
            }
            _ => {}
        }
        at += change(&mut object, at + 4, 0)? as usize;
    }
    let blob = object.len() as u32 + COMMAND;
    let command = [0x2e, COMMAND, blob, HINTS.len() as u32];
    object.splice(end..end, command.iter().flat_map(|word| word.to_le_bytes()));
    object.extend(HINTS);
    Some(object)
}

/// A thread-local variable `t`.
fn variable(maker: &mut Maker) -> SymbolId {
    let template = maker.section("__DATA", "__thread_data", 0x11);
    let descriptors = maker.section("__DATA", "__thread_vars", 0x13);
    let (content, _) = maker.define("t$tlv$init", template, &[0x22; 8], false);
    maker.marker(template, "template");
    let (variable, at) = maker.define("t", descriptors, &[0; 24], false);
    let bootstrap = maker.outside("_tlv_bootstrap");
    maker.pointer((descriptors, at), bootstrap, 0);
    maker.pointer((descriptors, at + 16), content, 0);
    variable
}

fn uses(maker: &mut Maker, (text, at): (SectionId, u64), targets: [SymbolId; 5]) {
    let [ext, extdata, table, w, variable] = targets;
    if !maker.arm {
        let rows = [
            (1, m::X86_64_RELOC_BRANCH, ext),
            (8, m::X86_64_RELOC_GOT_LOAD, extdata),
            (15, m::X86_64_RELOC_SIGNED, table),
            (20, m::X86_64_RELOC_BRANCH, w),
            (27, m::X86_64_RELOC_TLV, variable),
        ];
        for (offset, kind, symbol) in rows {
            maker.relocate((text, at + offset), (kind, true, 2), symbol, -4);
        }
        return;
    }
    let rows = [
        (0, m::ARM64_RELOC_BRANCH26, true, ext),
        (4, m::ARM64_RELOC_GOT_LOAD_PAGE21, true, extdata),
        (8, m::ARM64_RELOC_GOT_LOAD_PAGEOFF12, false, extdata),
        (12, m::ARM64_RELOC_PAGE21, true, table),
        (16, m::ARM64_RELOC_PAGEOFF12, false, table),
        (20, m::ARM64_RELOC_BRANCH26, true, w),
        (24, m::ARM64_RELOC_TLVP_LOAD_PAGE21, true, variable),
        (28, m::ARM64_RELOC_TLVP_LOAD_PAGEOFF12, false, variable),
    ];
    for (offset, kind, relative, symbol) in rows {
        maker.relocate((text, at + offset), (kind, relative, 2), symbol, 0);
    }
}

/// One function with a table and a personality, one without.
fn unwind(maker: &mut Maker, [f, w, table]: [SymbolId; 3]) {
    let section = maker.section("__LD", "__compact_unwind", 0x0200_0000);
    let (frame, leaf): (u32, u32) =
        if maker.arm { (0x0400_0000, 0x0200_0000) } else { (0x0100_0000, 0x0202_0000) };
    let entry = |len: u32, encoding: u32| {
        let mut bytes = vec![0; 32];
        bytes[8..12].copy_from_slice(&len.to_le_bytes());
        bytes[12..16].copy_from_slice(&encoding.to_le_bytes());
        bytes
    };
    let len = if maker.arm { 40 } else { 32 };
    let person = maker.outside("person");
    let at = maker.object.append_section_data(section, &entry(len, frame | 0x4000_0000), 8);
    maker.pointer((section, at), f, 0);
    maker.pointer((section, at + 16), person, 0);
    maker.pointer((section, at + 24), table, 0);
    let at = maker.object.append_section_data(section, &entry(8, leaf), 8);
    maker.pointer((section, at), w, 0);
}
