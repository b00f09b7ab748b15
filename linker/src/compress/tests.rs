use proptest::prelude::*;

use super::*;

fn round(plain: &[u8], method: Method, word: usize) -> Option<Vec<u8>> {
    let packed = compress(plain, method, 4, word)?;
    let head = header(&packed, word).unwrap();
    assert_eq!((head.method, head.align), (method, 4));
    Some(decompress(&packed, &head).unwrap())
}

/// Text that compresses, longer than two chunks.
fn long() -> Vec<u8> {
    (0..400_000u32)
        .flat_map(|i| (i.wrapping_mul(i) % 7919).to_le_bytes()[..3].to_vec())
        .chain(std::iter::repeat_n(0, CHUNK))
        .collect()
}

#[test]
fn several_chunks_are_one_section() {
    let plain = long();
    assert!(plain.len() > 2 * CHUNK);
    assert_eq!(round(&plain, Method::Zlib, 8).unwrap(), plain);
    assert_eq!(round(&plain, Method::Zstd, 8).unwrap(), plain);
    assert_eq!(round(&plain, Method::Zlib, 4).unwrap(), plain);
}

#[test]
fn what_does_not_shrink_stays_plain() {
    assert_eq!(compress(b"", Method::Zlib, 1, 8), None);
    assert_eq!(compress(b"abc", Method::Zstd, 1, 8), None);
}

#[test]
fn legacy_sections_are_read() {
    let plain = vec![7; 1000];
    let packed = compress(&plain, Method::Zlib, 1, 8).unwrap();
    let mut old = b"ZLIB".to_vec();
    old.extend(1000u64.to_be_bytes());
    old.extend_from_slice(&packed[24..]);
    let head = legacy_header(&old).unwrap().unwrap();
    assert_eq!(decompress(&old, &head).unwrap(), plain);
    assert_eq!(legacy_header(b"ZLIM....").unwrap(), None);
    assert_eq!(legacy_header(b"ZLIB\0").unwrap_err().offset, 4);
}

#[test]
fn false_sizes_are_refused() {
    for method in [Method::Zlib, Method::Zstd] {
        let packed = compress(&[1; 5000], method, 1, 8).unwrap();
        let claim = |size: u64| {
            let mut b = packed.clone();
            b[8..16].copy_from_slice(&size.to_le_bytes());
            header(&b, 8).and_then(|h| decompress(&b, &h)).unwrap_err()
        };
        let (few, many) = (claim(4999), claim(5001));
        assert_eq!(few.text, "compressed section does not hold what its header says");
        assert_eq!((few.text, few.offset), (many.text, 24));
        let bomb = claim(1 << 60);
        assert_eq!(
            (bomb.offset, bomb.text),
            (8, "compressed section claims more than its bytes can hold")
        );
        assert_eq!(claim(u64::MAX).text, bomb.text);
    }
}

#[test]
fn malformed_bytes_are_refused() {
    for method in [Method::Zlib, Method::Zstd] {
        let plain: Vec<u8> = (0..3000u32).map(|i| (i * i % 251) as u8).chain([0; 500]).collect();
        let packed = compress(&plain, method, 1, 8).unwrap();
        let cut = &packed[..packed.len() - 9];
        assert_eq!(decompress(cut, &header(cut, 8).unwrap()).unwrap_err().offset, 24, "{method:?}");
        let mut b = packed.clone();
        b[24] ^= 0xff;
        assert_eq!(
            decompress(&b, &header(&b, 8).unwrap()).unwrap_err().text,
            "compressed section is malformed"
        );
        b[0] = 9;
        assert_eq!(header(&b, 8).unwrap_err().text, "section compressed in an unknown way");
        b[0] = 1;
        b[16] = 3;
        assert_eq!(header(&b, 8).unwrap_err().offset, 16);
    }
    assert_eq!(
        header(&[1, 0, 0], 8).unwrap_err().text,
        "header of a compressed section is cut off"
    );
}

#[test]
fn a_skippable_frame_is_skipped() {
    let packed = compress(&[3; 4000], Method::Zstd, 1, 8).unwrap();
    let mut b = packed[..24].to_vec();
    b.extend([0x53, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9]);
    b.extend_from_slice(&packed[24..]);
    assert_eq!(decompress(&b, &header(&b, 8).unwrap()).unwrap(), [3; 4000]);
}

#[test]
fn checksums_join() {
    let plain = long();
    for at in [0, 1, 5552, 70000, plain.len()] {
        let (a, b) = plain.split_at(at);
        assert_eq!(adler32_join(adler32(a), adler32(b), b.len() as u64), adler32(&plain));
    }
    assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn plain_comes_back(plain in prop::collection::vec(0u8..4, 0..3000), word in prop_oneof![Just(4usize), Just(8)]) {
        for method in [Method::Zlib, Method::Zstd] {
            if let Some(back) = round(&plain, method, word) {
                prop_assert_eq!(&back, &plain);
            }
        }
    }

    #[test]
    fn damaged_bytes_never_panic(
        plain in prop::collection::vec(0u8..4, 200..3000),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        for method in [Method::Zlib, Method::Zstd] {
            let Some(mut packed) = compress(&plain, method, 1, 8) else { continue };
            for (at, value) in &damage {
                let at = 24 + at.index(packed.len() - 24);
                packed[at] = *value;
            }
            let head = header(&packed, 8).unwrap();
            if let Ok(back) = decompress(&packed, &head) {
                prop_assert_eq!(back.len(), plain.len());
            }
        }
    }

    #[test]
    fn any_bytes_are_an_error_or_not(b in prop::collection::vec(any::<u8>(), 0..80), method in 1u8..3) {
        let mut b = b;
        if b.len() >= 24 {
            b[..24].fill(0);
            (b[0], b[9]) = (method, 1);
        }
        if let Ok(head) = header(&b, 8) {
            let _ = decompress(&b, &head);
        }
        let _ = legacy_header(&b);
    }
}
