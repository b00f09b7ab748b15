//! Links with gaps of zeroed code between sections: where do the branches end?

use object::read::elf::ElfFile64;
use object::write::{Object, SectionId, SymbolId};
use object::{
    Architecture, BinaryFormat, Endianness, Object as _, ObjectSection as _, ObjectSymbol as _,
    SectionFlags, SectionKind, SymbolKind, SymbolScope, elf,
};

use crate::error::ErrorKind;
use crate::link_args;
use crate::robustness::sample::{reloc, symbol};

const MIB: u64 = 1 << 20;
const BL: u32 = 0x9400_0000;
const B: u32 = 0x1400_0000;
const RET: u32 = 0xd65f_03c0;

/// An arm64 object in the making.
struct Sample(Object<'static>);

impl Sample {
    fn new() -> Self {
        Self(Object::new(BinaryFormat::Elf, Architecture::Aarch64, Endianness::Little))
    }

    fn code(&mut self, name: &str, insns: &[u32]) -> SectionId {
        let id = self.0.add_section(vec![], name.into(), SectionKind::Text);
        let bytes: Vec<u8> = insns.iter().flat_map(|insn| insn.to_le_bytes()).collect();
        self.0.append_section_data(id, &bytes, 4);
        id
    }

    /// Code without bytes.
    fn gap(&mut self, name: &str, size: u64) -> SectionId {
        let id = self.0.add_section(vec![], name.into(), SectionKind::UninitializedData);
        let (sh_type, sh_flags) = (elf::SHT_NOBITS, elf::SHF_ALLOC | elf::SHF_EXECINSTR);
        self.0.section_mut(id).flags = SectionFlags::Elf { sh_type, sh_flags };
        self.0.append_section_bss(id, size, 4);
        id
    }

    fn function(&mut self, name: &str, section: SectionId, offset: u64) -> SymbolId {
        let id = symbol(&mut self.0, name, SymbolKind::Text, Some((section, offset, 4)));
        self.0.symbol_mut(id).scope = SymbolScope::Linkage;
        id
    }

    fn call(&mut self, from: SectionId, offset: u64, to: SymbolId, addend: i64) {
        reloc(&mut self.0, from, offset, to, addend, elf::R_AARCH64_CALL26);
    }

    fn link(&self, args: &str) -> Result<Image, Vec<ErrorKind>> {
        let files: crate::MemoryFiles = [("a.o", self.0.write().unwrap())].into_iter().collect();
        let args: Vec<String> = args.split(' ').map(String::from).collect();
        match link_args(&args, &files) {
            Ok((image, _)) => Ok(Image(image)),
            Err(errors) => Err(errors.iter().map(|e| e.kind()).collect()),
        }
    }
}

/// A linked file.
struct Image(Vec<u8>);

impl Image {
    fn file(&self) -> ElfFile64<'_, Endianness> {
        ElfFile64::parse(&*self.0).unwrap()
    }

    fn address(&self, name: &str) -> u64 {
        self.file().symbols().find(|s| s.name() == Ok(name)).unwrap().address()
    }

    fn insn(&self, at: u64) -> u32 {
        let file = self.file();
        let holds = |s: &object::read::elf::ElfSection64<'_, '_, Endianness>| {
            (s.address()..s.address() + s.size()).contains(&at)
        };
        let section = file.sections().find(holds).unwrap();
        let bytes = section.data_range(at, 4).unwrap().unwrap();
        u32::from_le_bytes(bytes.try_into().unwrap())
    }

    /// Where the branch at `at` goes.
    fn branch(&self, at: u64) -> u64 {
        let insn = self.insn(at);
        assert_eq!(insn & 0x7c00_0000, B, "{insn:#x} at {at:#x} is no branch");
        at.wrapping_add_signed(i64::from((insn << 6) as i32 >> 4))
    }

    /// Where the branch at `at` ends, through a thunk: the thunk and its target.
    fn through(&self, at: u64) -> (u64, u64) {
        let thunk = self.branch(at);
        let [first, second, third] = [0, 4, 8].map(|more| self.insn(thunk + more));
        if first & 0x9f00_001f != 0x9000_0010 {
            // ldr x16, 1f; adr x17, .; add; br; 1: .quad
            assert_eq!([first, second], [0x5800_0090, 0x1000_0011]);
            let [low, high] = [16, 20].map(|more| u64::from(self.insn(thunk + more)));
            return (thunk, (thunk + 4).wrapping_add(high << 32 | low));
        }
        assert_eq!((second & 0xffc0_03ff, third), (0x9100_0210, 0xd61f_0200), "{thunk:#x}");
        let pages = (first >> 3 & 0x1f_fffc | first >> 29 & 3) << 11;
        let page = (thunk & !0xfff).wrapping_add_signed(i64::from(pages as i32) << 1);
        (thunk, page + u64::from(second >> 10 & 0xfff))
    }
}

#[test]
fn calls_and_jumps_reach_what_is_far() {
    let mut o = Sample::new();
    let text = o.code(".text", &[BL, BL, B, BL, BL, RET]);
    o.gap(".text.gap", 140 * MIB);
    let far = o.code(".text.z", &[RET, RET, BL]);
    let f = o.function("f", far, 0);
    let start = o.function("_start", text, 0);
    let section = o.0.section_symbol(far);
    o.call(text, 0, f, 0);
    o.call(text, 4, f, 4);
    reloc(&mut o.0, text, 8, f, 0, elf::R_AARCH64_JUMP26);
    o.call(text, 12, section, 8);
    o.call(text, 16, start, 20);
    o.call(far, 8, start, 0);
    let image = o.link("a.o").unwrap();
    let (start, f) = (image.address("_start"), image.address("f"));
    let (thunk, to) = image.through(start);
    assert_eq!(to, f);
    assert_eq!(image.through(start + 4).1, f + 4, "the addend is the target's");
    assert_eq!(image.through(start + 8), (thunk, f), "shared");
    assert_eq!(image.through(start + 12).1, f + 8);
    assert_eq!(image.branch(start + 16), start + 20, "near");
    assert_eq!(image.through(f + 8).1, start);
    let marks = image.file().symbols().filter(|s| s.name() == Ok("$x")).count();
    assert_eq!(marks, 4, "a mapping symbol for each");
}

/// A section larger than what a branch reaches has a pool on either side.
#[test]
fn a_large_section_s_branches_reach_either_end() {
    let mut o = Sample::new();
    let before = o.code(".text.a", &[BL, RET]);
    let large = o.0.add_section(vec![], b".text.b".to_vec(), SectionKind::Text);
    let size = 200 * MIB;
    let offsets = [4, 90 * MIB, 150 * MIB, size - 4];
    let mut bytes = vec![0; size as usize];
    for offset in offsets {
        bytes[offset as usize..][..4].copy_from_slice(&BL.to_le_bytes());
    }
    o.0.append_section_data(large, &bytes, 4);
    let after = o.code(".text.c", &[BL, RET]);
    let [a, _, c] = [("a", before), ("b", large), ("c", after)].map(|(n, s)| o.function(n, s, 0));
    o.call(before, 0, c, 0);
    o.call(after, 0, a, 0);
    for (offset, to) in offsets.into_iter().zip([c, c, a, a]) {
        o.call(large, offset, to, 0);
    }
    let image = o.link("-e a a.o").unwrap();
    let [a, b, c] = ["a", "b", "c"].map(|name| image.address(name));
    assert_eq!(image.through(a).1, c);
    assert_eq!(image.through(c).1, a);
    for (offset, to) in offsets.into_iter().zip([c, c, a, a]) {
        let place = b + offset;
        let direct = image.branch(place);
        let end = if direct == to { direct } else { image.through(place).1 };
        assert_eq!(end, to, "{offset:#x}");
    }
}

#[test]
fn the_middle_of_a_vast_section_is_out_of_reach() {
    let mut o = Sample::new();
    let text = o.code(".text.a", &[RET]);
    let large = o.0.add_section(vec![], b".text.b".to_vec(), SectionKind::Text);
    o.0.append_section_data(large, &vec![0; 258 * MIB as usize], 4);
    let a = o.function("a", text, 0);
    o.call(large, 129 * MIB, a, 0);
    assert_eq!(o.link("-e a a.o").err(), Some(vec![ErrorKind::RelocOverflow]));
}

/// Four gigabytes are no bound: the distance is in the thunk.
#[test]
fn an_absolute_symbol_may_be_anywhere() {
    let mut o = Sample::new();
    let text = o.code(".text", &[BL, B]);
    o.function("_start", text, 0);
    let far = symbol(&mut o.0, "far", SymbolKind::Text, None);
    o.call(text, 0, far, 0);
    o.call(text, 4, far, 8);
    let image = o.link("a.o --defsym far=0x7fff00001000").unwrap();
    let start = image.address("_start");
    assert_eq!(image.through(start).1, 0x7fff_0000_1000);
    assert_eq!(image.through(start + 4).1, 0x7fff_0000_1008);
    assert!(o.link("a.o --defsym far=0x500000").is_ok());
}

/// The PLT is one more place that can be far.
#[test]
fn imports_are_reached_through_the_plt() {
    let mut o = Sample::new();
    o.gap(".text", 140 * MIB);
    let text = o.code(".text.z", &[BL, RET]);
    o.function("f", text, 0);
    let import = symbol(&mut o.0, "import", SymbolKind::Text, None);
    o.call(text, 0, import, 0);
    let image = o.link("-shared a.o").unwrap();
    let file = image.file();
    let plt = file.section_by_name(".plt").unwrap();
    assert_eq!(image.through(image.address("f")).1, plt.address() + 32);
}

/// `.init` is one function made of many pieces: thunks for it are elsewhere.
#[test]
fn nothing_comes_between_the_pieces_of_init() {
    let mut o = Sample::new();
    let init = o.code(".init", &[BL, RET]);
    let text = o.code(".text", &[RET]);
    o.function("i", init, 0);
    o.gap(".text.gap", 140 * MIB);
    let far = o.code(".text.z", &[RET]);
    o.function("_start", text, 0);
    let f = o.function("f", far, 0);
    o.call(init, 0, f, 0);
    let image = o.link("a.o").unwrap();
    let file = image.file();
    assert_eq!(file.section_by_name(".init").unwrap().size(), 8);
    assert_eq!(image.through(image.address("i")).1, image.address("f"));
}

/// Cortex-A53 erratum 843419: the access after a late `adrp` is elsewhere, with its relocation done.
#[test]
fn an_access_moves_out_of_its_sequence() {
    let mut o = Sample::new();
    let pad = vec![0xd503_201f; 1022];
    // adrp x0, d; str x3, [x2]; ldr x1, [x0, lo12(d)]; ret
    let code = [&pad[..], &[0x9000_0000, 0xf900_0043, 0xf940_0001, RET]].concat();
    let text = o.code(".text", &code);
    o.0.section_symbol(text);
    let data = o.0.add_section(vec![], b".data".to_vec(), SectionKind::Data);
    o.0.append_section_data(data, &[0; 64], 8);
    let d = o.function("d", data, 24);
    let start = o.function("_start", text, 0);
    reloc(&mut o.0, text, 4088, d, 0, elf::R_AARCH64_ADR_PREL_PG_HI21);
    reloc(&mut o.0, text, 4096, d, 8, elf::R_AARCH64_LDST64_ABS_LO12_NC);
    let _ = start;
    let args = "a.o -z max-page-size=0x1000 --fix-cortex-a53-843419";
    let image = o.link(args).unwrap();
    let start = image.address("_start");
    assert_eq!(start & 0xfff, 0, "the sequence is at the end of a page");
    let patch = image.branch(start + 4096);
    let low = (image.address("d") + 8) & 0xfff;
    assert_eq!(u64::from(image.insn(patch)), 0xf940_0001 | (low >> 3) << 10);
    assert_eq!(image.branch(patch + 4), start + 4100);
    let plain = o.link("a.o -z max-page-size=0x1000").unwrap();
    assert_eq!(plain.insn(start + 4096) & 0xffc0_0000, 0xf940_0000, "only if asked");
    // The same bytes as data stay.
    o.0.add_symbol(object::write::Symbol {
        name: b"$d".to_vec(),
        value: 16,
        size: 0,
        kind: SymbolKind::Label,
        scope: SymbolScope::Compilation,
        weak: false,
        section: object::write::SymbolSection::Section(text),
        flags: object::SymbolFlags::None,
    });
    let image = o.link(args).unwrap();
    assert_eq!(image.insn(start + 4096) & 0xffc0_0000, 0xf940_0000);
}
