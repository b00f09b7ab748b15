//! Numbers of variable length and strings, read one after the other from tables that may be damaged.
//!
//! It must not know what it reads.

/// A place in a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// From `at` on; none if that is outside.
    pub(super) fn at(bytes: &'a [u8], at: u64) -> Option<Self> {
        let at = usize::try_from(at).ok().filter(|at| *at <= bytes.len())?;
        Some(Self { bytes, at })
    }

    /// Bytes from the table's start.
    pub(super) fn position(&self) -> u64 {
        self.at as u64
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// Up to the NUL, which is skipped.
    pub(super) fn cstr(&mut self) -> Option<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let end = memchr::memchr(0, rest)?;
        self.at += end + 1;
        Some(&rest[..end])
    }

    /// ULEB128 of up to 64 bits.
    pub(super) fn uleb(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// SLEB128 of up to 64 bits.
    pub(super) fn sleb(&mut self) -> Option<i64> {
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let bits = shift + 7;
                if bits < 64 && byte & 0x40 != 0 {
                    value |= u64::MAX << bits;
                }
                return Some(value as i64);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_strings() {
        let bytes = [0xe5, 0x8e, 0x26, 0x7f, 0x80, 0x01, b'a', 0, 0x80];
        let mut reader = Reader::at(&bytes, 0).unwrap();
        assert_eq!(reader.uleb(), Some(624_485));
        assert_eq!(reader.sleb(), Some(-1));
        assert_eq!(reader.sleb(), Some(128));
        assert_eq!(reader.cstr(), Some(&b"a"[..]));
        assert_eq!(reader.uleb(), None);
        let long = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(Reader::at(&long, 0).unwrap().uleb(), Some(u64::MAX));
        assert_eq!(Reader::at(&long, 0).unwrap().sleb(), Some(-1));
        assert!(Reader::at(&long, 11).is_none());
        let over = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert_eq!(Reader::at(&over, 0).unwrap().uleb(), None);
    }
}
