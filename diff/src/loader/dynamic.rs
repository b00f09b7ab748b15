//! PT_DYNAMIC → the tags a loader uses, as one record.
//!
//! It must not know what the tables hold.

use super::image::Image;
use crate::class::Class;
use crate::model::elf::machine::Machine;

/// The dynamic section.
#[derive(Clone, Default, Debug)]
pub struct Dynamic {
    /// DT_NEEDED: offsets into the string table.
    pub needed: Vec<u64>,
    /// DT_SONAME.
    pub soname: Option<u64>,
    /// DT_RUNPATH, or else DT_RPATH.
    pub runpath: Option<u64>,
    /// DT_STRTAB.
    pub strings: u64,
    /// DT_STRSZ.
    pub strings_size: u64,
    /// DT_SYMTAB.
    pub symbols: u64,
    /// DT_HASH.
    pub sysv_hash: Option<u64>,
    /// DT_GNU_HASH.
    pub gnu_hash: Option<u64>,
    /// DT_RELA and DT_RELASZ.
    pub rela: (u64, u64),
    /// DT_REL and DT_RELSZ.
    pub rel: (u64, u64),
    /// DT_PLTREL is DT_RELA.
    pub plt_rela: bool,
    /// DT_RELACOUNT, DT_RELCOUNT.
    pub relative_count: u64,
    /// DT_JMPREL and DT_PLTRELSZ.
    pub plt: (u64, u64),
    /// DT_PLTGOT.
    pub plt_got: Option<u64>,
    /// DT_RELR and DT_RELRSZ.
    pub relr: (u64, u64),
    /// DT_INIT.
    pub init: Option<u64>,
    /// DT_FINI.
    pub fini: Option<u64>,
    /// DT_PREINIT_ARRAY and its size.
    pub preinit_array: (u64, u64),
    /// DT_INIT_ARRAY and its size.
    pub init_array: (u64, u64),
    /// DT_FINI_ARRAY and its size.
    pub fini_array: (u64, u64),
    /// DT_VERSYM.
    pub versym: Option<u64>,
    /// DT_VERNEED and DT_VERNEEDNUM.
    pub verneed: (u64, u64),
    /// DT_VERDEF and DT_VERDEFNUM.
    pub verdef: (u64, u64),
    /// Lazy binding is off.
    pub now: bool,
    /// DF_1_NODELETE.
    pub nodelete: bool,
    /// DF_1_PIE.
    pub pie: bool,
    /// DF_SYMBOLIC or DT_SYMBOLIC.
    pub symbolic: bool,
    /// DF_TEXTREL or DT_TEXTREL.
    pub textrel: bool,
    /// DF_STATIC_TLS.
    pub static_tls: bool,
    /// What a loader would refuse or fall over, if anything.
    pub broken: Option<String>,
}

/// A tag, and one that must be there if it is.
const PAIRED: [(u32, u32); 11] = [
    (6, 11),
    (7, 8),
    (7, 9),
    (17, 18),
    (17, 19),
    (23, 2),
    (23, 20),
    (25, 27),
    (26, 28),
    (32, 33),
    (36, 35),
];

impl Dynamic {
    /// Reads the tags of a module that has a PT_DYNAMIC.
    pub(crate) fn read(image: &Image<'_>, machine: &Machine) -> Option<Self> {
        let (address, size) = image.dynamic?;
        let class = image.class;
        let (sizes, word) = (class.sizes(), class.word());
        let mut dynamic = Self::default();
        let mut seen = 0_u64;
        let mut ended = false;
        let tail = image.tail(address);
        let table = &tail[..tail.len().min(usize::try_from(size).unwrap_or(usize::MAX))];
        for entry in table.chunks_exact(sizes.dynamic as usize) {
            let (tag, value) = entry.split_at(word as usize);
            let (tag, value) = (crate::bytes::number(tag), crate::bytes::number(value));
            if tag == 0 {
                ended = true;
                break;
            }
            if tag < 64 {
                seen |= 1 << tag;
            }
            dynamic.tag(tag, value);
            dynamic.constant(tag, value, class, machine);
        }
        if !ended {
            dynamic.broken = Some("no DT_NULL at the end of PT_DYNAMIC".into());
        }
        for (tag, name) in [(5, "DT_STRTAB"), (6, "DT_SYMTAB")] {
            if seen & 1 << tag == 0 {
                dynamic.broken = Some(format!("no {name}"));
            }
        }
        for (one, other) in PAIRED {
            // An empty table may lack its address.
            if seen & 1 << one != 0 && seen & 1 << other == 0 {
                dynamic.broken = Some(format!("tag {one} without tag {other}"));
            }
        }
        Some(dynamic)
    }

    fn tag(&mut self, tag: u64, value: u64) {
        match tag {
            1 => self.needed.push(value),
            2 => self.plt.1 = value,
            3 => self.plt_got = Some(value),
            4 => self.sysv_hash = Some(value),
            5 => self.strings = value,
            6 => self.symbols = value,
            7 => self.rela.0 = value,
            8 => self.rela.1 = value,
            10 => self.strings_size = value,
            12 => self.init = Some(value),
            13 => self.fini = Some(value),
            14 => self.soname = Some(value),
            15 => self.runpath = self.runpath.or(Some(value)),
            16 => self.symbolic = true,
            17 => self.rel.0 = value,
            18 => self.rel.1 = value,
            20 => self.plt_rela = value == 7,
            22 => self.textrel = true,
            23 => self.plt.0 = value,
            24 => self.now = true,
            25 => self.init_array.0 = value,
            26 => self.fini_array.0 = value,
            27 => self.init_array.1 = value,
            28 => self.fini_array.1 = value,
            29 => self.runpath = Some(value),
            30 => {
                self.symbolic |= value & 2 != 0;
                self.textrel |= value & 4 != 0;
                self.now |= value & 8 != 0;
                self.static_tls |= value & 16 != 0;
            }
            32 => self.preinit_array.0 = value,
            33 => self.preinit_array.1 = value,
            35 => self.relr.1 = value,
            36 => self.relr.0 = value,
            0x6fff_fef5 => self.gnu_hash = Some(value),
            0x6fff_fff0 => self.versym = Some(value),
            0x6fff_fff9 | 0x6fff_fffa => self.relative_count = value,
            0x6fff_fffb => {
                self.now |= value & 1 != 0;
                self.nodelete |= value & 8 != 0;
                self.pie |= value & 0x0800_0000 != 0;
            }
            0x6fff_fffc => self.verdef.0 = value,
            0x6fff_fffd => self.verdef.1 = value,
            0x6fff_fffe => self.verneed.0 = value,
            0x6fff_ffff => self.verneed.1 = value,
            _ => {}
        }
    }

    /// Tags that a class and a machine leave no choice.
    fn constant(&mut self, tag: u64, value: u64, class: Class, machine: &Machine) {
        let sizes = class.sizes();
        match tag {
            7..=9 if machine.rel => self.broken = Some("RELA tables on a REL machine".into()),
            17..=19 if !machine.rel => self.broken = Some("REL tables on a RELA machine".into()),
            9 => self.must("DT_RELAENT", value, sizes.rela),
            11 => self.must("DT_SYMENT", value, sizes.symbol),
            19 => self.must("DT_RELENT", value, sizes.rel),
            20 => self.must("DT_PLTREL", value, if machine.rel { 17 } else { 7 }),
            37 => self.must("DT_RELRENT", value, class.word()),
            _ => {}
        }
    }

    fn must(&mut self, name: &str, value: u64, wanted: u64) {
        if value != wanted {
            self.broken = Some(format!("{name} is {value}, not {wanted}"));
        }
    }
}
