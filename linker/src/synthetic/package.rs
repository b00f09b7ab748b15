//! `--package-metadata`: the JSON text → `.note.package`, by which a core dump names its package.
//!
//! Spec: systemd, "Package Metadata for Executable Files": owner `FDO`, type 0xcafe1a7e, the text with a
//! terminating zero. Must not read the JSON.

/// The note before its descriptor: three words and `FDO\0`.
const HEADER: usize = 16;
/// `NT_FDO_PACKAGING_METADATA`.
const KIND: u32 = 0xcafe_1a7e;

/// The size of the note; 0 without a text.
pub fn size(text: Option<&[u8]>) -> usize {
    text.map_or(0, |text| HEADER + (text.len() + 1).next_multiple_of(4))
}

/// Writes the note into `out`, which is zeroed and of that size.
pub fn write(text: &[u8], out: &mut [u8]) {
    for (i, value) in [4, text.len() as u32 + 1, KIND].into_iter().enumerate() {
        out[4 * i..4 * i + 4].copy_from_slice(&value.to_le_bytes());
    }
    out[12..16].copy_from_slice(b"FDO\0");
    out[HEADER..HEADER + text.len()].copy_from_slice(text);
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_text_ends_with_a_zero_inside_the_note() {
        let mut out = vec![0; super::size(Some(b"{\"a\":1}!"))];
        assert_eq!(out.len(), 28);
        super::write(b"{\"a\":1}!", &mut out);
        assert_eq!(&out[..8], [4, 0, 0, 0, 9, 0, 0, 0]);
        assert_eq!(&out[12..], b"FDO\0{\"a\":1}!\0\0\0\0");
        assert_eq!(super::size(None), 0);
    }
}
