//! The subjects for arm64: calls, GOT loads, addresses in pairs, a TLS descriptor, pointers.

use object::elf;
use object::write::Object;
use object::{Architecture, BinaryFormat, Endianness, SectionKind, SymbolKind};

use super::{define, relocate, section, undefined};
use crate::{File, Mode, Request, Target};

/// Every subject, with its name.
pub(super) fn all() -> Vec<(&'static str, Request)> {
    let request = |mode| Request {
        target: Target::ARM64_ELF,
        mode,
        // There are no frames; mold makes an empty table of them.
        args: vec!["a.o".into(), "--no-eh-frame-hdr".into()],
        files: vec![object(mode)],
        goos: None,
    };
    vec![("arm64 library", request(Mode::Shared)), ("arm64 pie", request(Mode::Pie))]
}

/// `.text` behind its marker, word for word; the mutations name them by their index.
pub(in crate::selftest) const CODE: &[u32] = &[
    0x9400_0000, // bl g
    0x9000_0000, // adrp x0, :got:v
    0xf940_0000, // ldr x0, [x0, :got_lo12:v]
    0x9000_0001, // adrp x1, table
    0x9100_0021, // add x1, x1, :lo12:table
    0x9000_0004, // adrp x4, table
    0xb940_0082, // ldr w2, [x4, :lo12:table]
    0x9000_0000, // adrp x0, :tlsdesc:t
    0xf940_0001, // ldr x1, [x0, :tlsdesc_lo12:t]
    0x9100_0000, // add x0, x0, :tlsdesc_lo12:t
    0xd63f_0020, // blr x1
    0x9400_0000, // bl probe
    0xb400_0000, // cbz x0, probe
    0x1000_0003, // adr x3, probe
    0xd65f_03c0, // ret
    0xd503_201f, // nop
    0xd280_0820, // probe: mov x0, #65
    0xd65f_03c0, // ret
];

/// The word at which the probe is.
const PROBE: u64 = 16;

fn object(mode: Mode) -> File {
    let mut object = Object::new(BinaryFormat::Elf, Architecture::Aarch64, Endianness::Little);
    let text = section(&mut object, ".text", SectionKind::Text);
    let data = section(&mut object, ".data", SectionKind::Data);
    let rodata = section(&mut object, ".rodata", SectionKind::ReadOnlyData);
    let tdata = section(&mut object, ".tdata", SectionKind::Tls);
    let code: Vec<u8> = CODE.iter().flat_map(|word| word.to_le_bytes()).collect();
    let f_at = object.append_section_data(text, &code, 16);
    let v_at = object.append_section_data(data, &[0x11; 16], 8);
    let slots_at = object.append_section_data(data, &[0; 24], 8);
    let table_at = object.append_section_data(rodata, b"a table of bytes", 4);
    let t_at = object.append_section_data(tdata, &[0x22; 8], 8);

    let name = if mode == Mode::Pie { "_start" } else { "f" };
    let f = define(&mut object, name, text, f_at, SymbolKind::Text, 4 * PROBE);
    let probe_at = f_at + 4 * PROBE;
    define(&mut object, "scold.probe.1", text, probe_at, SymbolKind::Text, 8);
    let v = define(&mut object, "v", data, v_at, SymbolKind::Data, 16);
    let t = define(&mut object, "t", tdata, t_at, SymbolKind::Tls, 8);
    let g = undefined(&mut object, "g", true);
    let own = object.section_symbol(text);
    let hidden = object.section_symbol(rodata);
    let into = i64::try_from(table_at).unwrap_or(0);
    let probe = i64::try_from(probe_at).unwrap_or(0);
    let relocs = [
        (0, elf::R_AARCH64_CALL26, g, 0),
        (1, elf::R_AARCH64_ADR_GOT_PAGE, v, 0),
        (2, elf::R_AARCH64_LD64_GOT_LO12_NC, v, 0),
        (3, elf::R_AARCH64_ADR_PREL_PG_HI21, hidden, into),
        (4, elf::R_AARCH64_ADD_ABS_LO12_NC, hidden, into),
        (5, elf::R_AARCH64_ADR_PREL_PG_HI21, hidden, into),
        (6, elf::R_AARCH64_LDST32_ABS_LO12_NC, hidden, into),
        (7, elf::R_AARCH64_TLSDESC_ADR_PAGE21, t, 0),
        (8, elf::R_AARCH64_TLSDESC_LD64_LO12, t, 0),
        (9, elf::R_AARCH64_TLSDESC_ADD_LO12, t, 0),
        (10, elf::R_AARCH64_TLSDESC_CALL, t, 0),
        (11, elf::R_AARCH64_CALL26, own, probe),
        (12, elf::R_AARCH64_CONDBR19, own, probe),
        (13, elf::R_AARCH64_ADR_PREL_LO21, own, probe),
    ];
    for (word, r_type, symbol, addend) in relocs {
        relocate(&mut object, text, f_at + 4 * word, r_type, symbol, addend);
    }
    relocate(&mut object, data, slots_at, elf::R_AARCH64_ABS64, f, 0);
    relocate(&mut object, data, slots_at + 8, elf::R_AARCH64_ABS64, hidden, into + 3);
    relocate(&mut object, data, slots_at + 16, elf::R_AARCH64_PREL64, hidden, into);
    File { name: "a.o".into(), bytes: object.write().unwrap_or_default().into() }
}
