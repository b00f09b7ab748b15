//! The classic fixups: places and what goes there → streams of opcodes for rebasing, binding, weak and
//! lazy binding. Must not know why a place needs mending.

use super::chained::Import;
use super::{pad, put_sleb, put_uleb};

/// A place: segment by number, offset in it.
pub type Place = (u8, u64);

/// A place bound to a symbol.
#[derive(Clone, Copy, Debug)]
pub struct Bind<'a> {
    /// Where.
    pub place: Place,
    /// Whose address.
    pub import: Import<'a>,
    /// What is added to it.
    pub addend: i64,
}

/// Bit of a symbol's flags: this image has a strong definition that all weak ones yield to.
const NON_WEAK: u8 = 8;

/// Places that hold addresses of the image, sorted.
pub fn rebases(places: &[Place]) -> Vec<u8> {
    let mut out = vec![];
    if places.is_empty() {
        return out;
    }
    out.push(0x11); // pointers
    let mut now = None;
    let mut rest = places;
    while let Some(&(segment, offset)) = rest.first() {
        let run = 1 + rest.windows(2).take_while(|p| p[1] == (p[0].0, p[0].1 + 8)).count();
        match now {
            Some((at, from)) if at == segment && offset > from => {
                let gap = offset - from;
                if gap < 128 && gap.is_multiple_of(8) {
                    out.push(0x40 | (gap / 8) as u8);
                } else {
                    out.push(0x30);
                    put_uleb(&mut out, gap);
                }
            }
            Some((at, from)) if at == segment && offset == from => {}
            _ => {
                out.push(0x20 | segment);
                put_uleb(&mut out, offset);
            }
        }
        if run < 16 {
            out.push(0x50 | run as u8);
        } else {
            out.push(0x60);
            put_uleb(&mut out, run as u64);
        }
        now = Some((segment, offset + 8 * run as u64));
        rest = &rest[run..];
    }
    out.push(0);
    pad(&mut out, 8);
    out
}

/// What a stream of binds has said last.
#[derive(Default)]
struct Said<'a> {
    ordinal: Option<i32>,
    symbol: Option<(&'a [u8], bool)>,
    addend: i64,
    place: Option<Place>,
}

fn put_ordinal(out: &mut Vec<u8>, ordinal: i32) {
    match ordinal {
        ..=0 => out.push(0x30 | ordinal as u8 & 0xf),
        1..16 => out.push(0x10 | ordinal as u8),
        _ => {
            out.push(0x20);
            put_uleb(out, ordinal as u64);
        }
    }
}

fn put_symbol(out: &mut Vec<u8>, name: &[u8], flags: u8) {
    out.push(0x40 | flags);
    out.extend(name);
    out.push(0);
}

/// The stream of `binds`: of those that libraries have, or, without ordinals, of weak ones.
pub fn binds(binds: &[Bind<'_>], weak: bool, overrides: &[&[u8]]) -> Vec<u8> {
    let mut out = vec![];
    if binds.is_empty() && overrides.is_empty() {
        return out;
    }
    for name in overrides {
        put_symbol(&mut out, name, NON_WEAK);
    }
    let mut said = Said::default();
    if !binds.is_empty() {
        out.push(0x51); // pointers
    }
    for bind in binds {
        let import = bind.import;
        if !weak && said.ordinal != Some(import.ordinal) {
            put_ordinal(&mut out, import.ordinal);
            said.ordinal = Some(import.ordinal);
        }
        if said.symbol != Some((import.name, import.weak)) {
            put_symbol(&mut out, import.name, import.weak.into());
            said.symbol = Some((import.name, import.weak));
        }
        if said.addend != bind.addend {
            out.push(0x60);
            put_sleb(&mut out, bind.addend);
            said.addend = bind.addend;
        }
        let (segment, offset) = bind.place;
        match said.place {
            Some((at, from)) if at == segment && from == offset => {}
            Some((at, from)) if at == segment && from < offset => {
                out.push(0x80);
                put_uleb(&mut out, offset - from);
            }
            _ => {
                out.push(0x70 | segment);
                put_uleb(&mut out, offset);
            }
        }
        out.push(0x90);
        said.place = Some((segment, offset + 8));
    }
    out.push(0);
    pad(&mut out, 8);
    out
}

/// The stream of lazy binds, and where each starts.
pub fn lazy(binds: &[Bind<'_>]) -> (Vec<u8>, Vec<u32>) {
    let mut out = vec![];
    let mut starts = Vec::with_capacity(binds.len());
    for bind in binds {
        starts.push(out.len() as u32);
        out.push(0x70 | bind.place.0);
        put_uleb(&mut out, bind.place.1);
        put_ordinal(&mut out, bind.import.ordinal);
        put_symbol(&mut out, bind.import.name, bind.import.weak.into());
        out.extend([0x90, 0]);
    }
    pad(&mut out, 8);
    (out, starts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_pointers_are_one_opcode() {
        let places: Vec<Place> = (0..20).map(|i| (2, 8 * i)).chain([(2, 0x200), (3, 0)]).collect();
        let out = rebases(&places);
        // Type, segment 2 + 0, 20 times, add 0x160, once, segment 3 + 0, once, done.
        let wanted = [0x11, 0x22, 0, 0x60, 20, 0x30, 0xe0, 2, 0x51, 0x23, 0, 0x51, 0, 0, 0, 0];
        assert_eq!(out, wanted);
    }

    #[test]
    fn only_what_changes_is_said_again() {
        let import = Import { name: b"_a", ordinal: -2, weak: true };
        let bind = |offset, addend| Bind { place: (1, offset), import, addend };
        let out = binds(&[bind(0, 0), bind(8, 0), bind(24, -1)], false, &[]);
        let wanted =
            [0x51, 0x3e, 0x41, b'_', b'a', 0, 0x71, 0, 0x90, 0x90, 0x60, 0x7f, 0x80, 8, 0x90, 0];
        assert_eq!(out, wanted);
    }
}
