//! Symbol hash tables: names' hashes → `.gnu.hash` and `.hash`.
//!
//! Must not know symbols: it sees hashes and gives back an order. Little-endian only.

/// The hash of `.gnu.hash` (Bernstein's, times 33 plus byte).
pub fn gnu_hash(name: &[u8]) -> u32 {
    name.iter().fold(5381, |h: u32, &c| h.wrapping_mul(33).wrapping_add(u32::from(c)))
}

/// The hash of `.hash`, of version names, and of `DT_HASH` lookups.
///
/// Spec: gABI ch. 5 "Hash Table". Computed in 32 bits, as every loader does; the gABI's own C
/// code gives other values for long names where `unsigned long` has 64.
pub fn sysv_hash(name: &[u8]) -> u32 {
    name.iter().fold(0, |h: u32, &c| {
        let h = (h << 4).wrapping_add(u32::from(c));
        let top = h & 0xf000_0000;
        (h ^ (top >> 24)) & !top
    })
}

/// Bits of the second bloom probe: loaders shift the hash right by this much.
const BLOOM_SHIFT: u32 = 26;
/// Bloom bits per symbol: about 2 % false positives, as lld and mold choose.
const BLOOM_BITS: usize = 12;
/// Symbols per bucket.
const LOAD: usize = 4;

/// The plan of a `.gnu.hash`: which symbol comes where, and how large the section is.
#[derive(Clone, Debug)]
pub struct GnuHash {
    word: usize,
    buckets: u32,
    bloom: usize,
    order: Vec<u32>,
    hashes: Vec<u32>,
}

impl GnuHash {
    /// Plans the table of the defined dynamic symbols whose hashes are `hashes`.
    ///
    /// Units: `word` is 8 for ELF64, 4 for ELF32.
    pub fn plan(hashes: &[u32], word: usize) -> Self {
        let count = hashes.len();
        let buckets = count.div_ceil(LOAD).max(1) as u32;
        let bloom = (count * BLOOM_BITS).div_ceil(word * 8).max(1).next_power_of_two();
        // A counting sort by bucket; stable, so the order is a function of the input alone.
        let mut next = vec![0u32; buckets as usize + 1];
        for &h in hashes {
            next[(h % buckets) as usize + 1] += 1;
        }
        for i in 1..next.len() {
            next[i] += next[i - 1];
        }
        let mut order = vec![0; count];
        let mut sorted = vec![0; count];
        for (i, &h) in hashes.iter().enumerate() {
            let slot = &mut next[(h % buckets) as usize];
            order[*slot as usize] = i as u32;
            sorted[*slot as usize] = h;
            *slot += 1;
        }
        Self { word, buckets, bloom, order, hashes: sorted }
    }

    /// The order the symbols must have in `.dynsym`: the i-th of them is `hashes[order()[i]]`.
    pub fn order(&self) -> &[u32] {
        &self.order
    }

    /// The size of the section in bytes.
    pub fn size(&self) -> usize {
        16 + self.bloom * self.word + 4 * self.buckets as usize + 4 * self.hashes.len()
    }

    /// Writes the section; the symbols in [`order`](Self::order) start at index `first` of
    /// `.dynsym` and are its last.
    pub fn write(&self, first: u32, out: &mut [u8]) {
        let (header, rest) = out.split_at_mut(16);
        let (bloom, rest) = rest.split_at_mut(self.bloom * self.word);
        let (buckets, chains) = rest.split_at_mut(4 * self.buckets as usize);
        let head = [self.buckets, first, self.bloom as u32, BLOOM_SHIFT];
        for (field, value) in header.chunks_exact_mut(4).zip(head) {
            field.copy_from_slice(&value.to_le_bytes());
        }
        self.write_bloom(bloom);
        buckets.fill(0);
        for (i, (&h, chain)) in self.hashes.iter().zip(chains.chunks_exact_mut(4)).enumerate() {
            let bucket = h % self.buckets;
            let last = self.hashes.get(i + 1).is_none_or(|&n| n % self.buckets != bucket);
            chain.copy_from_slice(&((h & !1) | u32::from(last)).to_le_bytes());
            if i == 0 || self.hashes[i - 1] % self.buckets != bucket {
                let at = 4 * bucket as usize;
                buckets[at..at + 4].copy_from_slice(&(first + i as u32).to_le_bytes());
            }
        }
    }

    fn write_bloom(&self, out: &mut [u8]) {
        out.fill(0);
        let bits = self.word * 8;
        for &h in &self.hashes {
            let base = ((h as usize / bits) & (self.bloom - 1)) * self.word;
            // Little-endian words: bit n of the word is bit n % 8 of byte n / 8.
            for bit in [h as usize % bits, (h >> BLOOM_SHIFT) as usize % bits] {
                out[base + bit / 8] |= 1 << (bit % 8);
            }
        }
    }
}

/// The plan of a `.hash`: every entry of `.dynsym` is in it, so its size tells their number.
#[derive(Clone, Copy, Debug)]
pub struct SysvHash {
    buckets: u32,
    symbols: u32,
}

impl SysvHash {
    /// Plans the table for `symbols` entries of `.dynsym`, the null entry included.
    pub fn plan(symbols: u32) -> Self {
        Self { buckets: (symbols / 2).max(1), symbols }
    }

    /// The size of the section in bytes.
    pub fn size(&self) -> usize {
        8 + 4 * (self.buckets as usize + self.symbols as usize)
    }

    /// Writes the section; `hashes[i]` belongs to `.dynsym` entry i + 1 (the null entry has none).
    pub fn write(&self, hashes: &[u32], out: &mut [u8]) {
        let mut heads = vec![0u32; self.buckets as usize];
        let mut chains = vec![0u32; self.symbols as usize];
        // From the last to the first, so that chains run in symbol order.
        for (i, &h) in hashes.iter().enumerate().rev() {
            let head = &mut heads[(h % self.buckets) as usize];
            chains[i + 1] = std::mem::replace(head, i as u32 + 1);
        }
        let words = [self.buckets, self.symbols].into_iter().chain(heads).chain(chains);
        for (field, value) in out.chunks_exact_mut(4).zip(words) {
            field.copy_from_slice(&value.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn word(bytes: &[u8], at: usize) -> u32 {
        u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
    }

    /// The lookup as ld.so does it; gives the .dynsym indexes whose hash matches.
    fn gnu_find(t: &[u8], wide: usize, hash: u32) -> Vec<u32> {
        let (buckets, first, bloom, shift) = (word(t, 0), word(t, 4), word(t, 8), word(t, 12));
        let bits = wide as u32 * 8;
        let at = 16 + ((hash / bits) & (bloom - 1)) as usize * wide;
        let mut w = [0; 8];
        w[..wide].copy_from_slice(&t[at..at + wide]);
        let w = u64::from_le_bytes(w);
        if w >> (hash % bits) & 1 == 0 || w >> ((hash >> shift) % bits) & 1 == 0 {
            return Vec::new();
        }
        let table = 16 + bloom as usize * wide;
        let mut i = word(t, table + 4 * (hash % buckets) as usize);
        let mut found = Vec::new();
        if i == 0 {
            return found;
        }
        loop {
            let chain = word(t, table + 4 * (buckets + i - first) as usize);
            if chain | 1 == hash | 1 {
                found.push(i);
            }
            if chain & 1 == 1 {
                return found;
            }
            i += 1;
        }
    }

    fn sysv_find(t: &[u8], hash: u32, hashes: &[u32]) -> Vec<u32> {
        let buckets = word(t, 0);
        let mut found = Vec::new();
        let mut i = word(t, 8 + 4 * (hash % buckets) as usize);
        while i != 0 {
            if hashes[i as usize - 1] == hash {
                found.push(i);
            }
            i = word(t, 8 + 4 * (buckets + i) as usize);
        }
        found
    }

    #[test]
    fn hashes_known_from_the_abi() {
        assert_eq!(gnu_hash(b""), 0x1505);
        assert_eq!(gnu_hash(b"printf"), 0x156b_2bb8);
        assert_eq!(gnu_hash(b"flapenguin.me"), 0x8ae9_f18e);
        assert_eq!(sysv_hash(b""), 0);
        assert_eq!(sysv_hash(b"printf"), 0x0779_05a6);
        assert_eq!(sysv_hash(b"GLIBC_2.2.5"), 0x0969_1a75);
        assert_eq!(sysv_hash(b"GLIBC_2.17"), 0x0696_9197);
        // Bit 31 set by the shift must be folded and cleared.
        assert_eq!(sysv_hash(&[0xff; 12]) >> 28, 0);
    }

    #[test]
    fn an_empty_table_answers_no() {
        for wide in [4, 8] {
            let plan = GnuHash::plan(&[], wide);
            let mut out = vec![0xaa; plan.size()];
            plan.write(7, &mut out);
            assert_eq!(word(&out, 4), 7);
            assert!(gnu_find(&out, wide, 0x1234).is_empty());
        }
    }

    #[test]
    fn a_lost_chain_end_would_be_seen() {
        let plan = GnuHash::plan(&[4, 8, 5], 8);
        let mut out = vec![0; plan.size()];
        plan.write(1, &mut out);
        let ends = out[out.len() - 12..].chunks(4).filter(|c| c[0] & 1 == 1).count();
        assert_eq!(ends, 1, "one bucket, one end");
    }

    proptest! {
        #[test]
        fn gnu_finds_all_and_only(
            hashes in prop::collection::vec(prop_oneof![any::<u32>(), 0u32..9], 0..80),
            first in 1u32..5, wide in prop_oneof![Just(4usize), Just(8)], absent in any::<u32>(),
        ) {
            let plan = GnuHash::plan(&hashes, wide);
            let mut out = vec![0xaa; plan.size()];
            plan.write(first, &mut out);
            let at = |h: u32| -> Vec<u32> {
                (0..hashes.len() as u32)
                    .filter(|&i| hashes[plan.order()[i as usize] as usize] | 1 == h | 1)
                    .map(|i| i + first).collect()
            };
            for &h in &hashes {
                let place = (0..hashes.len()).filter(|&i| hashes[plan.order()[i] as usize] == h);
                for i in place {
                    prop_assert!(gnu_find(&out, wide, h).contains(&(i as u32 + first)));
                }
            }
            let seen = gnu_find(&out, wide, absent);
            prop_assert!(seen.iter().all(|i| at(absent).contains(i)));
            let mut order = plan.order().to_vec();
            order.sort_unstable();
            prop_assert!(order.iter().enumerate().all(|(i, &o)| i as u32 == o));
        }

        #[test]
        fn sysv_finds_all(hashes in prop::collection::vec(prop_oneof![any::<u32>(), 0u32..9], 0..60)) {
            let plan = SysvHash::plan(hashes.len() as u32 + 1);
            let mut out = vec![0xaa; plan.size()];
            plan.write(&hashes, &mut out);
            prop_assert_eq!(word(&out, 4) as usize, hashes.len() + 1);
            for (i, &h) in hashes.iter().enumerate() {
                prop_assert!(sysv_find(&out, h, &hashes).contains(&(i as u32 + 1)));
            }
        }
    }
}
