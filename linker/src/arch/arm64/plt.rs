//! arm64's PLT: each entry loads its slot into x17 and leaves the slot's address in x16.
//!
//! Spec: AAELF64 §9 "Program Linkage Table", with `bti c` where indirect branches are tracked and `autia1716`
//! where slots are signed. What is resolved at once (IRELATIVE) is never signed: no loader is told to.

use super::fields::{ADRP, LO12, LO12_8};
use super::put_all;
use crate::arch::{Code, PltEntries};

/// `bti c`: a no-op where it is unknown.
const BTI_C: u32 = 0xd503_245f;
/// `autia1716`: x17 is what was signed for x16, or no address.
const AUTIA1716: u32 = 0xd503_219f;
/// `br x17`
const BR_X17: u32 = 0xd61f_0220;

const DT_AARCH64_BTI_PLT: u64 = 0x7000_0001;
const DT_AARCH64_PAC_PLT: u64 = 0x7000_0003;

const PLAIN: PltEntries = PltEntries {
    size: 16,
    lazy: |buf, at, slot, _, _| put(buf, at, slot, false, None),
    eager: |buf, at, slot| put(buf, at, slot, false, None),
    first: |_, header| header,
    tags: &[],
};

static FORMS: [PltEntries; 4] = [
    PLAIN,
    PltEntries {
        size: 24,
        lazy: |buf, at, slot, _, _| put(buf, at, slot, true, None),
        eager: |buf, at, slot| put(buf, at, slot, true, None),
        tags: &[DT_AARCH64_BTI_PLT],
        ..PLAIN
    },
    PltEntries {
        size: 24,
        lazy: |buf, at, slot, _, _| put(buf, at, slot, false, Some(AUTIA1716)),
        tags: &[DT_AARCH64_PAC_PLT],
        ..PLAIN
    },
    PltEntries {
        size: 24,
        lazy: |buf, at, slot, _, _| put(buf, at, slot, true, Some(AUTIA1716)),
        eager: |buf, at, slot| put(buf, at, slot, true, None),
        tags: &[DT_AARCH64_BTI_PLT, DT_AARCH64_PAC_PLT],
        ..PLAIN
    },
];

/// The entries that indirect branches may go to, or that check a signature.
pub(super) fn entries(marked: bool, signed: bool) -> &'static PltEntries {
    &FORMS[usize::from(marked) + 2 * usize::from(signed)]
}

/// `adrp x16, slot; ldr x17, [x16, lo12(slot)]; add x16, x16, lo12(slot)`, at address `at`.
fn load_slot(at: u64, slot: u64) -> [u32; 3] {
    let page = (slot & !0xfff).wrapping_sub(at & !0xfff) as i64;
    let low = (slot & 0xfff) as i64;
    let put = |field: &Code, insn, value| (field.put)(insn, value);
    [put(&ADRP, 0x9000_0010, page), put(&LO12_8, 0xf940_0211, low), put(&LO12, 0x9100_0210, low)]
}

/// `bti c; stp x16, x30, [sp, #-16]!;` load of `.got.plt`'s third word; `br x17`.
pub(super) fn header(buf: &mut [u8], at: u64, got: u64) {
    let [adrp, ldr, add] = load_slot(at + 8, got + 16);
    put_all(buf, [BTI_C, 0xa9bf_7bf0, adrp, ldr, add, BR_X17]);
}

/// A mark, if any; load of the slot; a check, if any; `br x17`.
fn put(buf: &mut [u8], at: u64, slot: u64, marked: bool, check: Option<u32>) {
    let [adrp, ldr, add] = load_slot(at + if marked { 4 } else { 0 }, slot);
    let mark = marked.then_some(BTI_C).into_iter();
    put_all(buf, mark.chain([adrp, ldr, add]).chain(check).chain([BR_X17]));
}

#[cfg(test)]
mod tests {
    use super::super::NOP;
    use super::*;

    fn entry(marked: bool, signed: bool) -> Vec<u32> {
        let form = entries(marked, signed);
        let mut buf = vec![0; form.size as usize];
        (form.lazy)(&mut buf, 0x41_0020, 0x42_1018, 0, 0);
        buf.chunks(4).map(|b| u32::from_le_bytes(b.try_into().unwrap())).collect()
    }

    #[test]
    fn an_entry_goes_through_its_slot() {
        // adrp x16, 421000; ldr x17, [x16, #24]; add x16, x16, #24; br x17
        let plain = [0xb000_0090, 0xf940_0e11, 0x9100_6210, BR_X17];
        assert_eq!(entry(false, false), plain);
        assert_eq!(entry(true, false), [&[BTI_C], &plain[..], &[NOP]].concat());
        assert_eq!(entry(false, true), [&plain[..3], &[AUTIA1716, BR_X17, NOP]].concat());
        assert_eq!(entry(true, true), [&[BTI_C], &plain[..3], &[AUTIA1716, BR_X17]].concat());
    }
}
