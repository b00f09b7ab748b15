//! RELR: sorted addresses of relative relocations → the words of `.relr.dyn`.
//!
//! An even word is an address; an odd one is a bitmap over the words that follow the last word
//! covered. Must not know where the relocations come from, or write the addends.

/// Encodes `addresses`, sorted, distinct and even, as RELR words.
///
/// The number of words depends on the distances only, so it can be asked before addresses are
/// final as long as no distance changes. Units: `word` is 8 for ELF64, 4 for ELF32.
/// Spec: gABI, "Relative Relocation Table".
pub fn encode(addresses: &[u64], word: usize) -> Vec<u64> {
    let bits = word as u64 * 8 - 1;
    let size = word as u64;
    let mut words = Vec::new();
    let mut i = 0;
    while i < addresses.len() {
        debug_assert!(addresses[i].is_multiple_of(2), "RELR takes even addresses only");
        words.push(addresses[i]);
        let mut base = addresses[i].wrapping_add(size);
        i += 1;
        loop {
            let mut map = 0u64;
            while let Some(&address) = addresses.get(i) {
                let delta = address.wrapping_sub(base);
                if delta >= bits * size || !delta.is_multiple_of(size) {
                    break;
                }
                map |= 1 << (delta / size);
                i += 1;
            }
            if map == 0 {
                break;
            }
            words.push(map << 1 | 1);
            base = base.wrapping_add(bits * size);
        }
    }
    words
}

/// Writes `words` into `out`, and fills what is left of it with empty bitmaps, which mean nothing.
///
/// `out` may be larger than needed where a layout was planned with more words.
pub fn write(words: &[u64], word: usize, out: &mut [u8]) {
    let words = words.iter().copied().chain(std::iter::repeat(1));
    for (field, value) in out.chunks_exact_mut(word).zip(words) {
        field.copy_from_slice(&value.to_le_bytes()[..word]);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// The addresses that RELR words stand for.
    ///
    /// A bitmap before any address stands for nothing.
    fn decode(words: impl IntoIterator<Item = u64>, word: usize) -> Vec<u64> {
        let bits = word as u64 * 8 - 1;
        let mut addresses = Vec::new();
        let mut base = None;
        for w in words {
            if w & 1 == 0 {
                addresses.push(w);
                base = Some(w.wrapping_add(word as u64));
            } else if let Some(b) = base {
                addresses.extend(
                    (0..bits)
                        .filter(|i| w >> (i + 1) & 1 == 1)
                        .map(|i| b.wrapping_add(i * word as u64)),
                );
                base = Some(b.wrapping_add(bits * word as u64));
            }
        }
        addresses
    }

    #[test]
    fn a_run_is_one_address_and_one_bitmap() {
        let run: Vec<u64> = (0..64).map(|i| 0x1000 + 8 * i).collect();
        assert_eq!(encode(&run, 8), [0x1000, u64::MAX]);
        let run: Vec<u64> = (0..65).map(|i| 0x1000 + 8 * i).collect();
        assert_eq!(encode(&run, 8), [0x1000, u64::MAX, 3]);
        assert_eq!(encode(&[0x1000, 0x1004], 8), [0x1000, 0x1004]);
        assert_eq!(encode(&[0x1000, 0x1004], 4), [0x1000, 3]);
        assert!(encode(&[], 8).is_empty());
    }

    #[test]
    fn spare_words_mean_nothing() {
        let mut out = [0xaa; 24];
        write(&[0x1000], 8, &mut out);
        let words = out.chunks(8).map(|c| u64::from_le_bytes(c.try_into().unwrap()));
        assert_eq!(decode(words, 8), [0x1000]);
    }

    proptest! {
        #[test]
        fn decode_undoes_encode(
            set in prop::collection::btree_set(prop_oneof![0u64..200, 0u64..0x7fff_ff00], 0..200),
            word in prop_oneof![Just(4usize), Just(8)],
        ) {
            let list: Vec<u64> =
                set.iter().map(|a| a * 2).collect::<BTreeSet<u64>>().into_iter().collect();
            let words = encode(&list, word);
            prop_assert!(words.len() <= list.len());
            prop_assert_eq!(decode(words.iter().copied(), word), list.clone());
            let moved: Vec<u64> = list.iter().map(|a| a + 0x2000).collect();
            prop_assert_eq!(encode(&moved, word).len(), words.len());
        }

        #[test]
        fn any_words_decode(words in prop::collection::vec(any::<u64>(), 0..50)) {
            decode(words, 8);
        }
    }
}
