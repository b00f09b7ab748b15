//! Section headers and version records of an image, as lists of file offsets.

use std::ops::Range;

use super::super::mutations::edit::small;
use crate::Request;

/// A section header.
pub(super) struct Header {
    pub(super) name: String,
    pub(super) kind: usize,
    pub(super) flags: usize,
    pub(super) address: usize,
    pub(super) file: Range<usize>,
}

pub(super) fn headers(image: &[u8]) -> Vec<Header> {
    let table = small(image, 40, 8).unwrap_or(0);
    let names = small(image, 62, 2).and_then(|i| small(image, table + i * 64 + 24, 8));
    let read = |at: usize| {
        let name = names? + small(image, at, 4)?;
        let end = name + memchr::memchr(0, image.get(name..)?)?;
        let start = small(image, at + 24, 8)?;
        Some(Header {
            name: String::from_utf8_lossy(&image[name..end]).into_owned(),
            kind: small(image, at + 4, 4)?,
            flags: small(image, at + 8, 8)?,
            address: small(image, at + 16, 8)?,
            file: start..start + small(image, at + 32, 8)?,
        })
    };
    (0..small(image, 60, 2).unwrap_or(0)).filter_map(|i| read(table + i * 64)).collect()
}

/// Size of the input section with this marker.
pub(super) fn marked(request: &Request, marker: &[u8]) -> usize {
    let sizes = request.files.iter().flat_map(|file| {
        let found = memchr::memmem::find(&file.bytes, marker);
        found.and_then(|at| {
            let list = headers(&file.bytes);
            list.iter().find(|h| h.file.start == at).map(|h| h.file.len())
        })
    });
    sizes.max().unwrap_or(0)
}

/// Version definitions: where each is, its first name, whether it is the file's own.
pub(super) fn definitions(image: &[u8], file: Range<usize>) -> Vec<(usize, usize, bool)> {
    let mut list = Vec::new();
    let mut at = file.start;
    while at + 20 <= file.end {
        let aux = at + small(image, at + 12, 4).unwrap_or(0);
        list.push((at, aux, small(image, at + 2, 2).unwrap_or(0) & 1 != 0));
        match small(image, at + 16, 4) {
            Some(next) if next > 0 => at += next,
            _ => break,
        }
    }
    list
}

/// Version needs: where each is, and its names.
pub(super) fn needs(image: &[u8], file: Range<usize>) -> Vec<(usize, Vec<usize>)> {
    let mut list = Vec::new();
    let mut at = file.start;
    while at + 16 <= file.end {
        let mut aux = at + small(image, at + 8, 4).unwrap_or(0);
        let mut names = Vec::new();
        for _ in 0..small(image, at + 2, 2).unwrap_or(0) {
            names.push(aux);
            aux += small(image, aux + 12, 4).unwrap_or(0);
        }
        list.push((at, names));
        match small(image, at + 12, 4) {
            Some(next) if next > 0 => at += next,
            _ => break,
        }
    }
    list
}
