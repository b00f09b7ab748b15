//! Initialiser sections: a section's name → which array it goes to, in what order, turned round or not.
//!
//! Must not know files' contents. `.ctors` and `.dtors` fold into the arrays: they were run from the
//! end, so their words are written in reverse, and their number counts down from 65535.

/// The array an initialiser section goes to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum InitArray {
    /// `.preinit_array`: executables only.
    Preinit,
    /// `.init_array`, run forwards.
    Init,
    /// `.fini_array`, run backwards.
    Fini,
}

/// What the name of an initialiser section says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InitSection {
    /// Where it goes.
    pub array: InitArray,
    /// Sections go by rising rank, ties by input order: 0..=65535 as
    /// `__attribute__((constructor(N)))` says, 65536 without a priority.
    pub rank: u32,
    /// Whether its words are written in reverse (see [`reversed`]).
    pub reversed: bool,
}

/// The rank of a section without a priority: after all that have one.
pub const NO_PRIORITY: u32 = 65536;

/// Reads the name of an initialiser section; `None` for any other name.
///
/// A suffix that is no number up to 65535 counts as none, as GNU ld's sort puts it last.
pub fn classify(name: &[u8]) -> Option<InitSection> {
    const ROWS: [(&[u8], InitArray, bool); 5] = [
        (b".preinit_array", InitArray::Preinit, false),
        (b".init_array", InitArray::Init, false),
        (b".fini_array", InitArray::Fini, false),
        (b".ctors", InitArray::Init, true),
        (b".dtors", InitArray::Fini, true),
    ];
    ROWS.iter().find_map(|&(base, array, reversed)| {
        let rank = match name.strip_prefix(base)? {
            [] => NO_PRIORITY,
            [b'.', digits @ ..] => match priority(digits) {
                Some(n) if reversed => 65535 - n,
                Some(n) => n,
                None => NO_PRIORITY,
            },
            _ => return None,
        };
        Some(InitSection { array, rank, reversed })
    })
}

fn priority(digits: &[u8]) -> Option<u32> {
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let number = plain.then(|| std::str::from_utf8(digits).ok()?.parse().ok())??;
    (number <= 65535).then_some(number)
}

/// Where the word at `offset` of a section of `size` bytes goes when its words are reversed; the
/// same for the bytes inside a word. A size that is no multiple of `word` leaves everything in place.
pub fn reversed(offset: u64, size: u64, word: u64) -> u64 {
    if word == 0 || offset >= size || !size.is_multiple_of(word) {
        return offset;
    }
    size - word - (offset - offset % word) + offset % word
}

/// Whether `.ctors` and `.dtors` of this file only mark the table's ends (`crtbegin*.o`,
/// `crtend*.o`): they would be wild function pointers in an array.
pub fn is_table_end(file: &str) -> bool {
    let base = file.rsplit('/').next().unwrap_or(file);
    ["crtbegin", "crtend"].iter().any(|stem| {
        let rest = base.strip_prefix(stem).and_then(|r| r.strip_suffix(".o"));
        rest.is_some_and(|r| r.chars().count() <= 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_array_and_rank() {
        let rank = |name: &str| classify(name.as_bytes()).map(|s| (s.array, s.rank, s.reversed));
        use InitArray::*;
        assert_eq!(rank(".init_array"), Some((Init, 65536, false)));
        assert_eq!(rank(".init_array.00101"), Some((Init, 101, false)));
        assert_eq!(rank(".init_array.65535"), Some((Init, 65535, false)));
        assert_eq!(rank(".ctors.65434"), Some((Init, 101, true)));
        assert_eq!(rank(".ctors"), Some((Init, 65536, true)));
        assert_eq!(rank(".dtors.00000"), Some((Fini, 65535, true)));
        assert_eq!(rank(".fini_array.5"), Some((Fini, 5, false)));
        assert_eq!(rank(".preinit_array"), Some((Preinit, 65536, false)));
        assert_eq!(rank(".init_array.x"), Some((Init, 65536, false)));
        assert_eq!(rank(".init_array.65536"), Some((Init, 65536, false)));
        assert_eq!(rank(".init_array.99999999999999999999"), Some((Init, 65536, false)));
        assert_eq!(rank(".init_array."), Some((Init, 65536, false)));
        assert_eq!(rank(".init_arrays"), None);
        assert_eq!(rank(".init"), None);
    }

    #[test]
    fn words_turn_round() {
        let places: Vec<u64> = [0, 8, 16, 17].map(|o| reversed(o, 24, 8)).to_vec();
        assert_eq!(places, [16, 8, 0, 1]);
        assert_eq!(reversed(0, 8, 8), 0);
        assert_eq!(reversed(4, 7, 4), 4);
        assert_eq!(reversed(24, 24, 8), 24, "past the end");
    }

    #[test]
    fn table_ends_go_by_file_name() {
        for yes in ["/usr/lib/crtbegin.o", "crtbeginS.o", "crtendT.o", "crtend.o"] {
            assert!(is_table_end(yes), "{yes}");
        }
        for no in ["crtbeginning.o", "a.o", "crtbegin", "/crtbegin.o/x.o", "xcrtend.o"] {
            assert!(!is_table_end(no), "{no}");
        }
    }
}
