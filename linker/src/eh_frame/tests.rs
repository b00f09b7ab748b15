use proptest::prelude::*;

use super::*;

/// A CIE as gcc makes it for x86-64: `zR`, pcrel sdata4.
fn cie() -> Vec<u8> {
    let mut b = vec![20, 0, 0, 0, 0, 0, 0, 0, 1];
    b.extend_from_slice(b"zR\0");
    b.extend_from_slice(&[1, 0x78, 16, 1, 0x1b, 12, 7, 8, 0x90, 1, 0, 0]);
    b
}

/// An FDE at `at` whose CIE is at `cie`.
fn fde(at: u32, cie: u32) -> Vec<u8> {
    let mut b = vec![16, 0, 0, 0];
    b.extend_from_slice(&(at + 4 - cie).to_le_bytes());
    b.extend_from_slice(&[0xaa; 12]);
    b
}

/// CIE, two FDEs, terminator, another CIE and its FDE.
fn sample() -> Vec<u8> {
    let mut b = cie();
    b.extend(fde(24, 0));
    b.extend(fde(44, 0));
    b.extend([0; 4]);
    b.extend(cie());
    b.extend(fde(92, 68));
    b
}

#[test]
fn records_are_split() {
    let b = sample();
    let records = split(&b).unwrap();
    let kinds: Vec<RecordKind> = records.iter().map(|r| r.kind).collect();
    use RecordKind::*;
    assert_eq!(kinds, [Cie, Fde { cie: 0 }, Fde { cie: 0 }, Terminator, Cie, Fde { cie: 68 }]);
    assert_eq!(records[1].pc_begin(), 32);
    assert_eq!(records[5].bytes(&b).len(), 20);
    assert_eq!(records[1].relocations(&[0, 23, 24, 32, 43, 44, 50]), 2..5);
    assert_eq!(records[5].relocations(&[0, 23]), 2..2);
}

#[test]
fn only_a_terminator() {
    let records = split(&[0; 4]).unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].kind, RecordKind::Terminator);
    assert!(split(&[]).unwrap().is_empty());
}

#[test]
fn a_wide_length_keeps_the_id_narrow() {
    let mut b = vec![0xff, 0xff, 0xff, 0xff, 20, 0, 0, 0, 0, 0, 0, 0];
    b.extend_from_slice(&cie()[4..]);
    b.extend([0xff, 0xff, 0xff, 0xff, 12, 0, 0, 0, 0, 0, 0, 0]);
    b.extend(44u32.to_le_bytes());
    b.extend([0; 8]);
    let records = split(&b).unwrap();
    assert_eq!(records[1].kind, RecordKind::Fde { cie: 0 });
    assert_eq!((records[0].size, records[1].pc_begin()), (32, 48));
    let cie = parse_cie(records[0].bytes(&b), records[0].id_at, 8).unwrap();
    assert_eq!(cie.fde_encoding, 0x1b);
}

#[test]
fn each_fault_has_its_offset() {
    let fault = |edit: fn(&mut Vec<u8>)| {
        let mut b = sample();
        edit(&mut b);
        let e = split(&b).unwrap_err();
        (e.offset, e.text)
    };
    assert_eq!(fault(|b| b[24] = 200), (24, ".eh_frame record ends past the end of the section"));
    assert_eq!(fault(|b| b[24] = 3).0, 24);
    assert_eq!(fault(|b| b[28] = 29), (24, "CIE pointer of an FDE points to no CIE"));
    assert_eq!(fault(|b| b[48] = 24), (44, "CIE pointer of an FDE points to no CIE"));
    assert_eq!(fault(|b| b.truncate(26)), (24, "length field of an .eh_frame record is cut off"));
    assert_eq!(fault(|b| b[24..28].fill(0xff)).0, 24);
    assert_eq!(fault(|b| b[24..28].copy_from_slice(&[0xf0, 255, 255, 255])).0, 24);
}

#[test]
fn cies_say_their_encodings() {
    let read = |augmentation: &[u8], data: &[u8]| {
        let mut b = vec![0; 8];
        b.push(1);
        b.extend_from_slice(augmentation);
        b.extend_from_slice(&[0, 1, 0x78, 16]);
        b.extend_from_slice(data);
        parse_cie(&b, 4, 8)
    };
    let cie = read(b"zPLR", &[7, 0x9b, 1, 2, 3, 4, 0x1b, 0x1b]).unwrap();
    assert_eq!(cie.personality, Some((19, 0x9b)));
    assert_eq!((cie.lsda_encoding, cie.fde_encoding, cie.augmented), (0x1b, 0x1b, true));
    let cie = read(b"", &[]).unwrap();
    assert_eq!((cie.fde_encoding, cie.lsda_encoding, cie.augmented), (0, 0xff, false));
    assert!(read(b"zRS", &[1, 3]).unwrap().signal);
    assert_eq!(read(b"zX", &[1]).unwrap_err().text, "unknown augmentation of a CIE");
    assert_eq!(read(b"zP", &[1, 0x9b, 1]).unwrap_err().text, "CIE is cut off");
    assert_eq!(read(b"zP", &[1, 0x51]).unwrap_err().text, "unknown pointer encoding");
    assert_eq!(parse_cie(&[0, 0, 0, 0, 0, 0, 0, 0, 9], 4, 8).unwrap_err().offset, 8);
}

#[test]
fn pointers_read_as_the_unwinder_does() {
    let minus = [0xfc, 0xff, 0xff, 0xff];
    assert_eq!(read_pointer(&minus, 0x1000, 0x1b, 8), Some(0xffc));
    assert_eq!(read_pointer(&minus, 0x1000, 0x0b, 8), Some(-4i64 as u64));
    assert_eq!(read_pointer(&minus, 0x1000, 0x03, 8), Some(0xffff_fffc));
    assert_eq!(read_pointer(&minus, 0x1000, 0x1b, 4), Some(0xffc));
    assert_eq!(read_pointer(&minus, 2, 0x10, 4), Some(0xffff_fffe));
    assert_eq!(read_pointer(&[5, 0, 0, 0, 0, 0, 0, 0], 9, 0x10, 8), Some(14));
    assert_eq!(read_pointer(&[5, 0], 9, 0x0a, 8), Some(5));
    assert_eq!(read_pointer(&[5, 0], 9, 0x1b, 8), None, "cut off");
    assert_eq!(read_pointer(&minus, 9, 0x9b, 8), None, "indirect");
}

proptest! {
    #[test]
    fn any_bytes_split(b in prop::collection::vec(prop_oneof![Just(0u8), 0u8..24, any::<u8>()], 0..120)) {
        if let Ok(records) = split(&b) {
            let total: usize = records.iter().map(|r| r.size as usize).sum();
            prop_assert_eq!(total, b.len(), "records cover the section");
            for r in records {
                r.bytes(&b);
                r.pc_begin();
            }
        }
    }

    #[test]
    fn any_bytes_are_no_panic_as_cie(b in prop::collection::vec(any::<u8>(), 0..60), id_at in prop_oneof![Just(4u8), Just(12)]) {
        let _ = parse_cie(&b, id_at, 8);
        let mut b = b;
        if b.len() > 12 {
            b[8] = 1;
            b[9] = b'z';
            let _ = parse_cie(&b, 4, 4);
        }
    }
}
