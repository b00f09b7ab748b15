//! `--build-id`: a finished image → the note that identifies it.
//!
//! The id is a function of the image with the id's own bytes zero. Hashing is parallel over chunks of
//! a fixed size, so threads don't show. Must not know sections or segments.

use std::hash::{BuildHasher, RandomState};

use object::elf;
use rayon::prelude::*;
use sha1::{Digest, Sha1};

/// What kind of id is asked for.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub enum BuildId {
    /// No note.
    #[default]
    None,
    /// 20 bytes: SHA-1 of the SHA-1s of each mebibyte.
    Sha1,
    /// 16 bytes, as long as the MD5 that `--build-id=md5` names; cut from the SHA-1.
    Md5,
    /// 16 bytes of a quick hash that no adversary is kept from matching.
    Fast,
    /// 16 random bytes: the one id that differs from link to link.
    Uuid,
    /// Bytes given by the user.
    Hex(Vec<u8>),
}

/// The note before its descriptor: three words and `GNU\0`.
const HEADER: usize = 16;
/// Bytes hashed by one task.
const CHUNK: usize = 1 << 20;

impl BuildId {
    /// Reads the argument of `--build-id=`; an empty one means `sha1`, as without an argument.
    ///
    /// `None` if there is no such style, or the hexadecimal digits are odd in number or not digits.
    pub fn parse(style: &str) -> Option<Self> {
        Some(match style {
            "none" => Self::None,
            "" | "sha1" | "tree" => Self::Sha1,
            "md5" => Self::Md5,
            "fast" => Self::Fast,
            "uuid" => Self::Uuid,
            _ => {
                let digits = style.strip_prefix("0x").or_else(|| style.strip_prefix("0X"))?;
                Self::Hex(hex(digits)?)
            }
        })
    }

    /// The bytes of the id itself.
    pub fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Sha1 => 20,
            Self::Md5 | Self::Fast | Self::Uuid => 16,
            Self::Hex(bytes) => bytes.len(),
        }
    }

    /// Whether there is no id.
    pub fn is_empty(&self) -> bool {
        *self == Self::None
    }

    /// The size of `.note.gnu.build-id`, 0 without one.
    pub fn note_size(&self) -> usize {
        if self.is_empty() { 0 } else { HEADER + self.len().next_multiple_of(4) }
    }

    /// Writes the note with an id of zeros; [`stamp`](Self::stamp) fills it when the image is done.
    pub fn write_note(&self, out: &mut [u8]) {
        out.fill(0);
        for (i, value) in [4, self.len() as u32, elf::NT_GNU_BUILD_ID.0].into_iter().enumerate() {
            out[4 * i..4 * i + 4].copy_from_slice(&value.to_le_bytes());
        }
        out[12..16].copy_from_slice(b"GNU\0");
    }

    /// Computes the id of `image`, whose note (still zero) starts at `note`, and writes it there.
    pub fn stamp(&self, image: &mut [u8], note: usize) {
        if self.is_empty() {
            return;
        }
        let id = self.compute(image);
        image[note + HEADER..][..id.len()].copy_from_slice(&id);
    }

    fn compute(&self, image: &[u8]) -> Vec<u8> {
        match self {
            Self::None => Vec::new(),
            Self::Sha1 => sha1_tree(image).to_vec(),
            Self::Md5 => sha1_tree(image)[..16].to_vec(),
            Self::Fast => fast_tree(image).to_vec(),
            Self::Uuid => uuid().to_vec(),
            Self::Hex(bytes) => bytes.clone(),
        }
    }
}

fn hex(digits: &str) -> Option<Vec<u8>> {
    // GNU ld lets `-` and `:` separate bytes, so that a UUID can be pasted.
    let digits: Vec<u8> = digits.bytes().filter(|b| !matches!(b, b'-' | b':')).collect();
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |b: u8| char::from(b).to_digit(16).map(|d| d as u8);
    digits.chunks(2).map(|p| Some(digit(p[0])? << 4 | digit(p[1])?)).collect()
}

fn sha1_tree(image: &[u8]) -> [u8; 20] {
    let leaves: Vec<[u8; 20]> =
        image.par_chunks(CHUNK).map(|chunk| Sha1::digest(chunk).into()).collect();
    Sha1::digest(leaves.as_flattened()).into()
}

fn fast_tree(image: &[u8]) -> [u8; 16] {
    let leaves: Vec<[u8; 16]> = image.par_chunks(CHUNK).map(fast).collect();
    fast(leaves.as_flattened())
}

/// Four lanes of multiply and fold: fast without SIMD, and every bit of input matters.
fn fast(bytes: &[u8]) -> [u8; 16] {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut lanes = [3u64, 5, 7, 11].map(|i| ODD.wrapping_mul(i ^ (bytes.len() as u64) << 8));
    let fold = |a: u64, b: u64| {
        let wide = u128::from(a) * u128::from(b);
        (wide as u64) ^ (wide >> 64) as u64
    };
    // Both halves of the product: the low one alone would hand high bits on to the next word
    // unmixed, where one flipped bit can undo another.
    let step = |lane: u64, w: u64| fold(lane ^ w, ODD);
    let mut blocks = bytes.chunks_exact(32);
    for block in &mut blocks {
        for (lane, w) in lanes.iter_mut().zip(block.chunks_exact(8)) {
            *lane = step(*lane, u64::from_le_bytes(w.try_into().unwrap_or_default()));
        }
    }
    for (i, &b) in blocks.remainder().iter().enumerate() {
        lanes[i % 4] = step(lanes[i % 4], u64::from(b) + 1);
    }
    let [a, b, c, d] = lanes;
    let low = [b, c, d].iter().fold(a, |h, &lane| step(h.rotate_left(23), lane));
    let high = [c, b, a].iter().fold(d, |h, &lane| step(h.rotate_left(41), lane));
    let mut out = [0; 16];
    out[..8].copy_from_slice(&low.to_le_bytes());
    out[8..].copy_from_slice(&high.to_le_bytes());
    out
}

/// A random (version 4) UUID, from the keys the standard library draws for its hash maps.
fn uuid() -> [u8; 16] {
    let mut out = [0; 16];
    out[..8].copy_from_slice(&RandomState::new().hash_one(0u8).to_le_bytes());
    out[8..].copy_from_slice(&RandomState::new().hash_one(1u8).to_le_bytes());
    out[6] = out[6] & 0x0f | 0x40;
    out[8] = out[8] & 0x3f | 0x80;
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_are_read() {
        assert_eq!(BuildId::parse(""), Some(BuildId::Sha1));
        assert_eq!(BuildId::parse("none"), Some(BuildId::None));
        assert_eq!(BuildId::parse("0xab-Cd"), Some(BuildId::Hex(vec![0xab, 0xcd])));
        for bad in ["0x", "0xabc", "0xag", "sha2", "0x+1", "abcd", "0xé"] {
            assert_eq!(BuildId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_note_holds_the_id() {
        let id = BuildId::Hex(vec![1, 2, 3, 4, 5]);
        let mut image = vec![0xaa; 40];
        assert_eq!(id.note_size(), 24);
        id.write_note(&mut image[8..32]);
        id.stamp(&mut image, 8);
        let note = [4, 0, 0, 0, 5, 0, 0, 0, 3, 0, 0, 0, b'G', b'N', b'U', 0];
        assert_eq!(image[8..24], note);
        assert_eq!(image[24..32], [1, 2, 3, 4, 5, 0, 0, 0]);
        assert_eq!(image[32..], [0xaa; 8]);
        assert_eq!(BuildId::None.note_size(), 0);
    }

    #[test]
    fn every_byte_of_the_image_matters() {
        for id in [BuildId::Sha1, BuildId::Fast, BuildId::Md5] {
            let mut image = vec![0u8; CHUNK + 77];
            let before = id.compute(&image);
            assert_eq!(before.len(), id.len());
            for at in [0, 31, 32, CHUNK - 1, CHUNK, CHUNK + 76] {
                image[at] = 1;
                assert_ne!(id.compute(&image), before, "{id:?} at {at}");
                image[at] = 0;
            }
            image.push(0);
            assert_ne!(id.compute(&image), before, "{id:?} longer");
        }
    }

    #[test]
    fn small_inputs_do_not_collide() {
        let mut seen = std::collections::BTreeSet::new();
        for len in 0..70 {
            for bit in 0..len * 8 {
                let mut bytes = vec![0u8; len];
                bytes[bit / 8] |= 1 << (bit % 8);
                assert!(seen.insert(fast(&bytes)), "{len} bytes, bit {bit}");
            }
            assert!(seen.insert(fast(&vec![0; len])));
        }
    }

    #[test]
    fn a_uuid_is_new_each_time() {
        let (a, b) = (uuid(), uuid());
        assert_ne!(a, b);
        assert_eq!((a[6] >> 4, a[8] >> 6), (4, 2));
    }
}
