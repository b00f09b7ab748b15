//! The ad-hoc code signature: an image → the hashes of its pages, in the big-endian blobs the kernel
//! reads. Must not know what an image holds.

use rayon::prelude::*;
use sha2::{Digest, Sha256};

/// Bytes under one hash, whatever the machine's pages are.
const PAGE: usize = 4096;
const HASH: usize = 32;
/// Where the identifier stands in the directory.
const IDENT: usize = 88;
/// Super blob with one index entry.
const OUTER: usize = 20;

/// What is signed.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// The output's name without its folder.
    pub ident: &'a str,
    /// Bytes of the image before the signature.
    pub limit: u64,
    /// Bytes of __TEXT in the file.
    pub text: u64,
    /// Whether it is a program.
    pub main: bool,
}

impl Signed<'_> {
    /// Bytes of the signature.
    pub fn len(&self) -> usize {
        OUTER + self.hashes_at() + (self.limit as usize).div_ceil(PAGE) * HASH
    }

    /// Never.
    pub fn is_empty(&self) -> bool {
        false
    }

    fn hashes_at(&self) -> usize {
        IDENT + self.ident.len() + 1
    }

    /// Writes the signature of the image's first `limit` bytes behind them.
    pub fn sign(&self, image: &mut [u8]) {
        let (code, rest) = image.split_at_mut(self.limit as usize);
        let out = &mut rest[..self.len()];
        let directory = (self.len() - OUTER) as u32;
        let mut words = |at: usize, list: &[u32]| {
            for (i, word) in list.iter().enumerate() {
                out[at + 4 * i..at + 4 * i + 4].copy_from_slice(&word.to_be_bytes());
            }
        };
        words(0, &[0xfade_0cc0, self.len() as u32, 1, 0, OUTER as u32]);
        let pages = code.len().div_ceil(PAGE) as u32;
        let flags = 0x2_0002; // ad hoc, by the linker
        let hashes = self.hashes_at() as u32;
        let limit = u32::try_from(self.limit).unwrap_or(0);
        words(OUTER, &[0xfade_0c02, directory, 0x2_0400, flags, hashes, IDENT as u32, 0, pages]);
        words(OUTER + 32, &[limit, u32::from_be_bytes([HASH as u8, 2, 0, 12])]);
        let wide = if limit == 0 { self.limit } else { 0 };
        words(OUTER + 56, &[(wide >> 32) as u32, wide as u32, 0, 0]);
        words(OUTER + 72, &[(self.text >> 32) as u32, self.text as u32, 0, self.main.into()]);
        let ident = OUTER + IDENT;
        out[ident..ident + self.ident.len()].copy_from_slice(self.ident.as_bytes());
        out[OUTER + self.hashes_at()..]
            .par_chunks_mut(HASH)
            .zip(code.par_chunks(PAGE))
            .for_each(|(hash, page)| hash.copy_from_slice(&Sha256::digest(page)));
    }
}

/// A UUID that follows from `image`: the same bytes have the same one.
pub fn uuid(image: &[u8]) -> [u8; 16] {
    let parts: Vec<[u8; HASH]> =
        image.par_chunks(1 << 20).map(|part| Sha256::digest(part).into()).collect();
    let mut uuid = [0; 16];
    uuid.copy_from_slice(&Sha256::digest(parts.concat())[..16]);
    // Version 3: made from a name.
    uuid[6] = uuid[6] & 0x0f | 0x30;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    uuid
}
