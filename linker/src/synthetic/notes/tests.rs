use proptest::prelude::*;

use super::*;

const X86: Own = crate::arch::amd64::AMD64.properties.merge;
const FEATURE_1_AND: u32 = 0xc000_0002;
const ISA_1_NEEDED: u32 = 0xc000_8002;
const ISA_1_USED: u32 = 0xc001_0002;

fn word(kind: u32, value: u32) -> Property {
    Property { kind, data: value.to_le_bytes().to_vec() }
}

fn merged(objects: &[&[Property]]) -> Vec<Property> {
    merge(objects.iter().copied(), X86, &[])
}

#[test]
fn all_must_have_what_is_anded() {
    let (both, ibt) = ([word(FEATURE_1_AND, 3)], [word(FEATURE_1_AND, 1)]);
    let one = &both[..];
    assert_eq!(merged(&[one, &ibt]), ibt);
    assert!(merged(&[one, &[]]).is_empty(), "missing in the last");
    assert!(merged(&[&[], one]).is_empty(), "missing in the first");
    assert!(merged(&[one, &[], one]).is_empty(), "missing between");
    assert!(merged(&[&ibt, &[word(FEATURE_1_AND, 2)]]).is_empty(), "no bit in common");
    assert_eq!(merged(&[one, one]), both);
    assert!(merged(&[]).is_empty());
}

#[test]
fn what_any_needs_is_ored() {
    let list = merged(&[&[word(ISA_1_NEEDED, 1)], &[], &[word(ISA_1_NEEDED, 4)]]);
    assert_eq!(list, [word(ISA_1_NEEDED, 5)]);
    assert!(merged(&[&[word(ISA_1_NEEDED, 0)]]).is_empty());
}

#[test]
fn what_is_used_must_be_known_of_all() {
    let (a, b) = ([word(ISA_1_USED, 1)], [word(ISA_1_USED, 2)]);
    assert_eq!(merged(&[&a, &b]), [word(ISA_1_USED, 3)]);
    assert!(merged(&[&a, &[], &b]).is_empty());
}

#[test]
fn other_rules() {
    let stack = |n: u64| Property { kind: 1, data: n.to_le_bytes().to_vec() };
    assert_eq!(merged(&[&[stack(9)], &[stack(5)], &[]]), [stack(9)]);
    let flag = [Property { kind: 2, data: vec![] }];
    assert_eq!(merged(&[&[], &flag]), flag);
    assert!(merged(&[&[word(0xc123_4567, 1)]]).is_empty(), "unknown");
    let bti = [word(0xc000_0000, 3)];
    let arm64: Own = |kind| (kind == 0xc000_0000).then_some(Merge::And);
    assert_eq!(merge([&bti[..]], arm64, &[]), bti);
    assert!(merge([&bti[..]], X86, &[]).is_empty(), "another machine's");
}

#[test]
fn forced_bits_are_there() {
    let shstk = [word(FEATURE_1_AND, 2)];
    let force = [(FEATURE_1_AND, 1)];
    assert_eq!(merge([&shstk[..]], X86, &force), [word(FEATURE_1_AND, 3)]);
    assert_eq!(merge([&shstk[..], &[]], X86, &force), [word(FEATURE_1_AND, 1)]);
    assert_eq!(merge([], X86, &force), [word(FEATURE_1_AND, 1)]);
}

#[test]
fn faults_have_their_offset() {
    let list = [word(FEATURE_1_AND, 3), word(ISA_1_NEEDED, 1)];
    let mut good = vec![0; size(&list, 8)];
    write(&list, 8, &mut good);
    let fault = |at: usize, value: u8| {
        let mut b = good.clone();
        b[at] = value;
        let e = parse(&b, X86, 8).unwrap_err();
        (e.offset, e.text)
    };
    assert_eq!(fault(4, 255), (0, "note ends past the end of the section"));
    assert_eq!(fault(0, 255), (0, "note ends past the end of the section"));
    assert_eq!(fault(36, 200), (32, "program property is cut off"));
    assert_eq!(fault(20, 8), (16, "program property of a wrong size"));
    assert_eq!(fault(4, 20), (32, "program property is cut off"));
    assert_eq!(parse(&good[..9], X86, 8).unwrap_err().text, "note header is cut off");
}

proptest! {
    #[test]
    fn written_lists_read_back(
        kinds in prop::collection::btree_set(prop_oneof![0xc000_0002u32..0xc000_0009, 0xc000_8000u32..0xc000_8003], 0..5),
        value in 1u32.., wide in prop_oneof![Just(4usize), Just(8)],
    ) {
        let list: Vec<Property> = kinds.into_iter().map(|k| word(k, value)).collect();
        let mut out = vec![0xaa; size(&list, wide)];
        if !list.is_empty() {
            write(&list, wide, &mut out);
        }
        let back = parse(&out, X86, wide).unwrap();
        prop_assert_eq!(&back, &list);
        prop_assert_eq!(merge([&back[..], &back[..]], X86, &[]), list);
    }

    #[test]
    fn any_bytes_parse(b in prop::collection::vec(prop_oneof![Just(0u8), 0u8..9, any::<u8>()], 0..80), wide in prop_oneof![Just(4usize), Just(8)]) {
        let _ = parse(&b, X86, wide);
        let mut b = b;
        if b.len() >= 16 {
            let desc = (b.len() - 16) as u32;
            b[..4].copy_from_slice(&4u32.to_le_bytes());
            b[4..8].copy_from_slice(&desc.to_le_bytes());
            b[8..12].copy_from_slice(&5u32.to_le_bytes());
            b[12..16].copy_from_slice(b"GNU\0");
            if let Ok(list) = parse(&b, X86, wide) {
                merge([&list[..], &[]], X86, &[]);
            }
        }
    }
}
