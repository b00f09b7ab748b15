use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const STRINGS: MergeKind = MergeKind { entry: 1, strings: true };

fn merge<'a>(kind: MergeKind, inputs: &[(&'a [u8], u64)], tails: bool) -> (Merged<'a>, Vec<u8>) {
    let inputs = inputs.iter().map(|&(bytes, align)| MergeInput { bytes, align }).collect();
    let merged = Split::new(kind, inputs).unwrap().merge(tails);
    let mut out = vec![0xaa; merged.size() as usize];
    merged.write(&mut out);
    (merged, out)
}

#[test]
fn equal_strings_are_one() {
    let (m, out) = merge(STRINGS, &[(b"ab\0c\0", 1), (b"c\0d\0ab\0", 1)], false);
    assert_eq!(out, b"ab\0c\0d\0");
    assert_eq!(m.place(0, 3), Some(3));
    assert_eq!(m.place(1, 0), Some(3));
    assert_eq!(m.place(1, 4), Some(0));
    assert_eq!(m.place(1, 5), Some(1), "an addend into a piece stays in it");
    assert_eq!(m.place(1, 7), Some(3), "the end of an input is the end of its last piece");
    assert_eq!(m.place(1, 8), None);
}

#[test]
fn tails_are_shared_only_when_asked() {
    let inputs: &[(&[u8], u64)] = &[(b"xbar\0ar\0", 1), (b"bar\0\0foo\0", 1)];
    let (_, plain) = merge(STRINGS, inputs, false);
    assert_eq!(plain.len(), 5 + 3 + 4 + 1 + 4);
    let (m, out) = merge(STRINGS, inputs, true);
    assert_eq!(out.len(), 5 + 4);
    for (input, offset, want) in [(0, 0, &b"xbar\0"[..]), (0, 5, b"ar\0"), (1, 4, b"\0")] {
        let at = m.place(input, offset).unwrap() as usize;
        assert_eq!(&out[at..at + want.len()], want);
    }
}

#[test]
fn a_tail_that_would_be_misaligned_is_not_shared() {
    let (m, out) = merge(STRINGS, &[(b"xab\0", 4), (b"ab\0", 2)], true);
    let at = m.place(1, 0).unwrap();
    assert_eq!(at % 2, 0);
    assert_eq!(&out[at as usize..][..3], b"ab\0");
    assert_eq!(m.align(), 4);
}

#[test]
fn wide_strings_end_at_a_whole_zero() {
    let kind = MergeKind { entry: 2, strings: true };
    let (m, out) = merge(kind, &[(b"a\0\0b\0\0", 2), (b"\0b\0\0", 2)], true);
    assert_eq!(out, b"a\0\0b\0\0");
    assert_eq!(m.place(1, 0), Some(2));
}

#[test]
fn constants_keep_their_alignment() {
    let kind = MergeKind { entry: 4, strings: false };
    let (m, out) = merge(kind, &[(b"aaaabbbb", 4), (b"bbbb", 16), (b"aaaa", 8)], false);
    assert_eq!(m.place(1, 0).unwrap() % 16, 0);
    assert_eq!(m.place(0, 4), m.place(1, 0));
    assert_eq!(m.place(0, 6), Some(m.place(1, 2).unwrap()));
    assert_eq!(m.align(), 16);
    assert_eq!(&out[4..16], &[0; 12], "gaps are zero");
}

#[test]
fn faults_have_their_input_and_offset() {
    let fail = |kind, bytes| {
        let inputs = vec![MergeInput { bytes: b"", align: 1 }, MergeInput { bytes, align: 1 }];
        let (input, e) = Split::new(kind, inputs).unwrap_err();
        (input, e.offset, e.text)
    };
    assert_eq!(fail(STRINGS, b"ab\0cd"), (1, 3, "string in a SHF_MERGE section has no end"));
    let text = "size of a SHF_MERGE section is no multiple of sh_entsize";
    assert_eq!(fail(MergeKind { entry: 4, strings: false }, b"abcdef"), (1, 6, text));
    assert_eq!(fail(MergeKind { entry: 2, strings: true }, b"a\0b"), (1, 3, text));
}

#[test]
fn nothing_in_nothing_out() {
    let (m, out) = merge(STRINGS, &[(b"", 1)], true);
    assert!(out.is_empty());
    assert_eq!((m.place(0, 0), m.align()), (None, 1));
}

/// Enough pieces for several shards: the result is that of one thread.
#[test]
fn threads_do_not_show() {
    let texts: Vec<Vec<u8>> = (0..40u32)
        .map(|i| {
            (0..400)
                .flat_map(|j| format!("s{}\0", (i * 977 + j * 31) % 5003).into_bytes())
                .collect()
        })
        .collect();
    let run = |threads, tails| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let inputs: Vec<(&[u8], u64)> = texts.iter().map(|t| (&t[..], 1)).collect();
            let (m, out) = merge(STRINGS, &inputs, tails);
            let places: Vec<_> = (0..40).map(|i| m.place(i, 100)).collect();
            (out, places)
        })
    };
    for tails in [false, true] {
        let one = run(1, tails);
        assert_eq!(one, run(2, tails));
        assert_eq!(one, run(7, tails));
    }
}

fn section() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec("[a-b]{0,3}", 0..12)
        .prop_map(|list| list.iter().flat_map(|s| [s.as_bytes(), b"\0"].concat()).collect())
}

proptest! {
    #[test]
    fn every_string_reads_back(
        sections in prop::collection::vec((section(), 0u32..5), 0..6), tails in any::<bool>(),
    ) {
        let inputs: Vec<(&[u8], u64)> = sections.iter().map(|(b, a)| (&b[..], 1 << a)).collect();
        let (m, out) = merge(STRINGS, &inputs, tails);
        for (i, (bytes, align)) in inputs.iter().enumerate() {
            for offset in 0..bytes.len() {
                let place = m.place(i, offset as u64).unwrap() as usize;
                let len = bytes[offset..].iter().position(|&b| b == 0).unwrap() + 1;
                prop_assert_eq!(&bytes[offset..offset + len], &out[place..place + len]);
                let aligned = if offset == 0 { *align } else { (*align).min(1 << offset.trailing_zeros()) };
                let starts = offset == 0 || bytes[offset - 1] == 0;
                prop_assert!(!starts || (place as u64).is_multiple_of(aligned));
                prop_assert!(m.align() >= aligned || !starts);
            }
        }
        if !tails && inputs.iter().all(|(_, a)| *a == 1) {
            let all: BTreeSet<&[u8]> = inputs.iter().flat_map(|(b, _)| b.split_inclusive(|&b| b == 0)).collect();
            prop_assert_eq!(out.len(), all.iter().map(|s| s.len()).sum::<usize>());
        }
    }

    #[test]
    fn any_bytes_split(bytes in prop::collection::vec(0u8..3, 0..40), entry in 1u32..9, strings in any::<bool>(), at in 0u64..60) {
        let inputs = vec![MergeInput { bytes: &bytes, align: 3 }];
        if let Ok(split) = Split::new(MergeKind { entry, strings }, inputs) {
            let m = split.merge(true);
            prop_assert_eq!(m.place(0, at).is_some(), at <= bytes.len() as u64 && !bytes.is_empty());
            m.write(&mut vec![0; m.size() as usize]);
        }
    }
}
