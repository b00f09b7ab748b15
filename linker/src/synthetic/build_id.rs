//! `--build-id`: a finished image → the note that identifies it.
//!
//! The id is a function of the image with the id's own bytes zero. Hashing is parallel over chunks of
//! a fixed size, so threads don't show. Must not know sections or segments.

use std::hash::{BuildHasher, RandomState};

use object::elf;
use rayon::prelude::*;
use sha1::{Digest, Sha1};

use crate::layout::Made;
use crate::link::Link;
use crate::options::BuildId;

/// The note before its descriptor: three words and `GNU\0`.
const HEADER: usize = 16;
/// Bytes hashed by one task.
const CHUNK: usize = 1 << 20;

/// The bytes of the id itself; `md5` is as long as that hash, and cut from the SHA-1.
fn len(id: &BuildId) -> usize {
    match id {
        BuildId::None => 0,
        BuildId::Sha1 => 20,
        BuildId::Md5 | BuildId::Fast | BuildId::Uuid => 16,
        BuildId::Hex(bytes) => bytes.len(),
    }
}

/// The size of `.note.gnu.build-id`, 0 without one.
pub fn size(id: &BuildId) -> usize {
    if *id == BuildId::None { 0 } else { HEADER + len(id).next_multiple_of(4) }
}

/// Writes the note with an id of zeros; `stamp` fills it when the image is done.
pub fn write(id: &BuildId, out: &mut [u8]) {
    out.fill(0);
    for (i, value) in [4, len(id) as u32, elf::NT_GNU_BUILD_ID.0].into_iter().enumerate() {
        out[4 * i..4 * i + 4].copy_from_slice(&value.to_le_bytes());
    }
    out[12..16].copy_from_slice(b"GNU\0");
}

/// Fills in the id of the finished `image`, if one was asked for.
pub fn finish(link: &Link<'_>, image: &mut [u8]) {
    if let Some(note) = link.out_of(Made::BuildId) {
        stamp(&link.options.build_id, image, note.offset as usize);
    }
}

/// Computes the id of `image`, whose note (still zero) starts at `note`, and writes it there.
fn stamp(id: &BuildId, image: &mut [u8], note: usize) {
    if *id == BuildId::None {
        return;
    }
    let bytes = compute(id, image);
    image[note + HEADER..][..bytes.len()].copy_from_slice(&bytes);
}

fn compute(id: &BuildId, image: &[u8]) -> Vec<u8> {
    match id {
        BuildId::None => Vec::new(),
        BuildId::Sha1 => sha1_tree(image).to_vec(),
        BuildId::Md5 => sha1_tree(image)[..16].to_vec(),
        BuildId::Fast => fast_tree(image).to_vec(),
        BuildId::Uuid => uuid().to_vec(),
        BuildId::Hex(bytes) => bytes.clone(),
    }
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
    fn the_note_holds_the_id() {
        let id = BuildId::Hex(vec![1, 2, 3, 4, 5]);
        let mut image = vec![0xaa; 40];
        assert_eq!(size(&id), 24);
        write(&id, &mut image[8..32]);
        stamp(&id, &mut image, 8);
        let note = [4, 0, 0, 0, 5, 0, 0, 0, 3, 0, 0, 0, b'G', b'N', b'U', 0];
        assert_eq!(image[8..24], note);
        assert_eq!(image[24..32], [1, 2, 3, 4, 5, 0, 0, 0]);
        assert_eq!(image[32..], [0xaa; 8]);
        assert_eq!(size(&BuildId::None), 0);
    }

    #[test]
    fn every_byte_of_the_image_matters() {
        for id in [BuildId::Sha1, BuildId::Fast, BuildId::Md5] {
            let mut image = vec![0u8; CHUNK + 77];
            let before = compute(&id, &image);
            assert_eq!(before.len(), len(&id));
            for at in [0, 31, 32, CHUNK - 1, CHUNK, CHUNK + 76] {
                image[at] = 1;
                assert_ne!(compute(&id, &image), before, "{id:?} at {at}");
                image[at] = 0;
            }
            image.push(0);
            assert_ne!(compute(&id, &image), before, "{id:?} longer");
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
