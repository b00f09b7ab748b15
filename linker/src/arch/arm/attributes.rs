//! arm's build attributes: what each object needs of the processor and of its callers → what the output
//! needs, and its `e_flags`.
//!
//! Spec: Addenda to the ABI (Addenda32) §3; where it leaves the merge to tools, binutils' rules. Must not
//! know of files: it sees bytes, and names them in what it complains of.

use std::collections::{BTreeMap, BTreeSet};

use crate::Malformed;
use crate::arch::Attributed;

/// The value of an attribute.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Value {
    Number(u32),
    Text(Vec<u8>),
    Both(u32, Vec<u8>),
}

/// The attributes of a whole file, by tag; what is 0 is left out.
type Attributes = BTreeMap<u32, Value>;

const CPU_RAW_NAME: u32 = 4;
const CPU_NAME: u32 = 5;
const CPU_ARCH: u32 = 6;
const PROFILE: u32 = 7;
const FP_ARCH: u32 = 10;
const R9_USE: u32 = 14;
const WCHAR: u32 = 18;
const NUMBER_MODEL: u32 = 23;
const ENUM_SIZE: u32 = 26;
const VFP_ARGS: u32 = 28;
const COMPATIBILITY: u32 = 32;
const FP16_FORMAT: u32 = 38;
const DIV_USE: u32 = 44;
const CONFORMANCE: u32 = 67;
const VIRTUALIZATION: u32 = 68;
const MP_LEGACY: u32 = 70;
const MP_USE: u32 = 42;

const EABI: u32 = 0xff00_0000;
const EABI_5: u32 = 0x0500_0000;
const FLOAT_SOFT: u32 = 0x200;
const FLOAT_HARD: u32 = 0x400;
/// Big-endian code in a little-endian image, and data that is big-endian.
const BE8: u32 = 0x0080_0000;

/// Reads on in `bytes`.
struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Reader<'b> {
    fn bad(&self, text: &'static str) -> Malformed {
        Malformed { offset: self.at as u64, text }
    }

    fn word(&mut self) -> Result<u32, Malformed> {
        let word = self.bytes.get(self.at..self.at + 4).ok_or(self.bad("a length is cut off"))?;
        self.at += 4;
        Ok(u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
    }

    fn number(&mut self) -> Result<u32, Malformed> {
        let (mut value, mut shift) = (0u64, 0);
        loop {
            let byte = *self.bytes.get(self.at).ok_or(self.bad("a number is cut off"))?;
            if shift > 28 {
                return Err(self.bad("a number is too large"));
            }
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                let value = u32::try_from(value).map_err(|_| self.bad("a number is too large"))?;
                return Ok(value);
            }
        }
    }

    fn text(&mut self) -> Result<Vec<u8>, Malformed> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let end = memchr::memchr(0, rest).ok_or(self.bad("a text has no end"))?;
        self.at += end + 1;
        Ok(rest[..end].to_vec())
    }

    /// What the length at its head, which counts from `from`, covers.
    fn part(&mut self, from: usize) -> Result<Reader<'b>, Malformed> {
        let end = from.saturating_add(self.word()? as usize);
        if end < self.at || end > self.bytes.len() {
            return Err(Malformed { offset: from as u64, text: "a length is wrong" });
        }
        let part = Reader { bytes: &self.bytes[..end], at: self.at };
        self.at = end;
        Ok(part)
    }
}

/// The attributes of the file; those of single sections and symbols are passed over.
fn parse(bytes: &[u8]) -> Result<Attributes, Malformed> {
    let mut found = Attributes::new();
    let mut all = Reader { bytes, at: 1 };
    if bytes.first().is_some_and(|&version| version != b'A') {
        return Err(Malformed { offset: 0, text: "attributes of an unknown version" });
    }
    while all.at < bytes.len() {
        let mut vendor = all.part(all.at)?;
        if vendor.text()? != b"aeabi" {
            continue;
        }
        while vendor.at < vendor.bytes.len() {
            let from = vendor.at;
            let scope = vendor.number()?;
            let mut list = vendor.part(from)?;
            while scope == 1 && list.at < list.bytes.len() {
                let tag = list.number()?;
                let value = match tag {
                    COMPATIBILITY => Value::Both(list.number()?, list.text()?),
                    CPU_RAW_NAME | CPU_NAME => Value::Text(list.text()?),
                    tag if tag > 32 && tag % 2 == 1 => Value::Text(list.text()?),
                    _ => Value::Number(list.number()?),
                };
                if value != Value::Number(0) {
                    found.insert(tag, value);
                }
            }
        }
    }
    Ok(found)
}

fn write(attributes: &Attributes) -> Vec<u8> {
    // What says which version of the ABI this conforms to comes first.
    let first = attributes.iter().filter(|a| *a.0 == CONFORMANCE);
    let mut list = Vec::new();
    for (&tag, value) in first.chain(attributes.iter().filter(|a| *a.0 != CONFORMANCE)) {
        put_number(&mut list, tag);
        if let Value::Number(number) | Value::Both(number, _) = value {
            put_number(&mut list, *number);
        }
        if let Value::Text(text) | Value::Both(_, text) = value {
            list.extend_from_slice(text);
            list.push(0);
        }
    }
    if list.is_empty() {
        return list;
    }
    let mut bytes = b"A".to_vec();
    bytes.extend_from_slice(&(list.len() as u32 + 15).to_le_bytes());
    bytes.extend_from_slice(b"aeabi\0\x01");
    bytes.extend_from_slice(&(list.len() as u32 + 5).to_le_bytes());
    bytes.append(&mut list);
    bytes
}

fn put_number(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn number(attributes: &Attributes, tag: u32) -> u32 {
    match attributes.get(&tag) {
        Some(Value::Number(value) | Value::Both(value, _)) => *value,
        _ => 0,
    }
}

fn set(attributes: &mut Attributes, tag: u32, value: u32) {
    match value {
        0 => drop(attributes.remove(&tag)),
        _ => drop(attributes.insert(tag, Value::Number(value))),
    }
}

/// The architecture that runs code for both: the later one, but for branches that don't contain each other.
fn newest(a: u32, b: u32) -> u32 {
    // v6KZ, v6T2, v6K, v7.
    match (a.min(b), a.max(b)) {
        (7, 8) | (8, 9) => 10,
        (7, 9) => 7,
        (_, larger) => larger,
    }
}

/// Version and registers of a floating-point unit.
fn unit(arch: u32) -> (u32, u32) {
    match arch {
        3 => (3, 32),
        5 => (5, 32),
        7 => (7, 32),
        8 => (7, 16),
        6 => (5, 16),
        4 => (3, 16),
        other => (other, if other == 0 { 0 } else { 16 }),
    }
}

fn units(a: u32, b: u32) -> u32 {
    let ((a, small), (b, large)) = (unit(a), unit(b));
    let (version, registers) = (a.max(b), small.max(large));
    let short = version >= 3 && registers == 16;
    version + u32::from(short)
}

/// 2 is between 0 and 1.
fn middle(a: u32, b: u32) -> u32 {
    let order = |v: u32| match v {
        1 => 2,
        2 => 1,
        other => other,
    };
    if order(a) >= order(b) { a } else { b }
}

/// Merges `own`, one object's, into `all`; what contradicts it.
fn merge(all: &mut Attributes, own: &Attributes, complaints: &mut Vec<String>) {
    vfp_args(all, own, complaints);
    let arch = processor(all, own);
    let tags: BTreeSet<u32> = all.keys().chain(own.keys()).copied().collect();
    for tag in tags {
        match tag {
            CPU_RAW_NAME | CPU_NAME | VFP_ARGS | COMPATIBILITY => continue,
            // A text is everybody's or nobody's.
            tag if tag > 32 && tag % 2 == 1 => {
                if all.get(&tag) != own.get(&tag) {
                    all.remove(&tag);
                }
                continue;
            }
            _ => {}
        }
        let (a, b) = (number(all, tag), number(own, tag));
        let value = match tag {
            CPU_ARCH => arch,
            16 | 25 => smallest(all, own, tag),
            _ => both(tag, a, b, complaints),
        };
        set(all, tag, value);
        if tag == MP_LEGACY {
            let value = number(all, MP_USE).max(a).max(b);
            set(all, MP_USE, value);
        }
    }
}

/// The value of attribute `tag` that is `a` so far and `b` in an object; what contradicts it.
fn both(tag: u32, a: u32, b: u32, complaints: &mut Vec<String>) -> u32 {
    let mut differ = |what: &str| {
        if a != 0 && b != 0 && a != b {
            complaints.push(format!("{what} is {b} here, {a} before"));
        }
        if a == 0 { b } else { a }
    };
    match tag {
        FP_ARCH => units(a, b),
        PROFILE => match (a, b) {
            // 'S': either of 'A' and 'R'.
            (0, other) | (other, 0) | (0x53, other) | (other, 0x53) => other,
            _ if a == b => a,
            _ => {
                let [here, before] = [b, a].map(|profile| char::from(profile as u8));
                complaints.push(format!("made for profile {here} here, for {before} before"));
                a
            }
        },
        FP16_FORMAT => differ("the format of 16-bit floats"),
        // 3: it is not used.
        R9_USE if a == 3 || b == 3 => a.min(b),
        R9_USE => differ("the use of r9"),
        // bfd only warns, too.
        13 | 15 | 17 | 29 | WCHAR => {
            if a == 0 {
                b
            } else {
                a
            }
        }
        // What the first object is optimised for.
        30 | 31 => a,
        // 3: whatever the size, it is never seen.
        ENUM_SIZE => match (a, b) {
            (0 | 3, other) | (other, 0 | 3) => other,
            _ => a,
        },
        20 | 21 | 24 => middle(a, b),
        // 1: not to be used; 2: used though the architecture has it not.
        DIV_USE => match (a, b) {
            (2, _) | (_, 2) => 2,
            (1, 1) => 1,
            _ => 0,
        },
        VIRTUALIZATION => a | b,
        MP_LEGACY => 0,
        _ => a.max(b),
    }
}

/// Merges the processor's name; the architecture that is to be the output's.
fn processor(all: &mut Attributes, own: &Attributes) -> u32 {
    let (old, new) = (number(all, CPU_ARCH), number(own, CPU_ARCH));
    let arch = newest(old, new);
    // The name of a processor says no more than the architecture if that is another's.
    for tag in [CPU_RAW_NAME, CPU_NAME] {
        let name = if arch == old { all.get(&tag) } else { None };
        let other = if arch == new { own.get(&tag) } else { None };
        match name.or(other).cloned() {
            Some(name) => drop(all.insert(tag, name)),
            None => drop(all.remove(&tag)),
        }
    }
    arch
}

/// The smaller value; that of `own` where `all` has none yet.
fn smallest(all: &Attributes, own: &Attributes, tag: u32) -> u32 {
    match (all.len() > 1, number(all, tag), number(own, tag)) {
        (false, _, value) => value,
        (_, a, b) => a.min(b),
    }
}

/// How floating-point arguments are passed: objects that have none go with any.
fn vfp_args(all: &mut Attributes, own: &Attributes, complaints: &mut Vec<String>) {
    let (a, b) = (number(all, VFP_ARGS), number(own, VFP_ARGS));
    let uses = |attributes: &Attributes| number(attributes, NUMBER_MODEL) != 0;
    if a == b {
        return;
    }
    if !uses(all) || uses(own) && a == 3 {
        set(all, VFP_ARGS, b);
    } else if uses(own) && b != 3 {
        let name = |way: u32| match way {
            1 => "VFP registers",
            2 => "its own way",
            _ => "core registers",
        };
        let text = format!("floats are passed in {} here, in {} before", name(b), name(a));
        complaints.push(text);
    }
}

/// See [`crate::arch::Arch::attributes`].
pub(super) fn merged(inputs: &[(u32, Option<&[u8]>)]) -> Attributed {
    let mut out = Attributed::default();
    let mut all: Option<Attributes> = None;
    for (at, &(flags, bytes)) in inputs.iter().enumerate() {
        if flags & EABI != EABI_5 && flags & EABI != 0 {
            out.complaints.push((at, format!("made for version {} of the EABI", flags >> 24)));
        }
        if flags & BE8 != 0 {
            out.complaints.push((at, "big-endian data in an output that is not".into()));
        }
        let Some(bytes) = bytes else { continue };
        let own = match parse(bytes) {
            Ok(own) => own,
            Err(malformed) => {
                out.malformed.push((at, malformed));
                continue;
            }
        };
        let mut complaints = Vec::new();
        match &mut all {
            Some(all) => merge(all, &own, &mut complaints),
            none => *none = Some(own),
        }
        out.complaints.extend(complaints.into_iter().map(|text| (at, text)));
    }
    let all = all.unwrap_or_default();
    let float = match (number(&all, VFP_ARGS), number(&all, NUMBER_MODEL)) {
        (1, _) => FLOAT_HARD,
        (0, 1..) => FLOAT_SOFT,
        _ => 0,
    };
    out.flags = EABI_5 | float;
    out.bytes = write(&all);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(list: &[(u32, u32)]) -> Vec<u8> {
        write(&list.iter().map(|&(tag, value)| (tag, Value::Number(value))).collect())
    }

    fn merge_all(lists: &[&[(u32, u32)]]) -> (Attributes, Attributed) {
        let bytes: Vec<Vec<u8>> = lists.iter().map(|list| of(list)).collect();
        let inputs: Vec<_> = bytes.iter().map(|b| (EABI_5, Some(&b[..]))).collect();
        let out = merged(&inputs);
        (parse(&out.bytes).unwrap(), out)
    }

    #[test]
    fn values_are_merged_by_their_tag() {
        let (all, out) = merge_all(&[
            &[(CPU_ARCH, 8), (FP_ARCH, 3), (20, 2), (NUMBER_MODEL, 3), (VFP_ARGS, 1), (25, 1)],
            &[(CPU_ARCH, 9), (FP_ARCH, 6), (20, 1), (NUMBER_MODEL, 1), (VFP_ARGS, 1)],
        ]);
        let got = |tag| number(&all, tag);
        assert_eq!((got(CPU_ARCH), got(FP_ARCH), got(20), got(25)), (10, 5, 1, 0));
        assert!(out.complaints.is_empty(), "{:?}", out.complaints);
        assert_eq!(out.flags, EABI_5 | FLOAT_HARD);
    }

    #[test]
    fn floats_are_passed_in_one_way() {
        let hard: &[(u32, u32)] = &[(NUMBER_MODEL, 3), (VFP_ARGS, 1)];
        let (_, out) = merge_all(&[hard, &[(NUMBER_MODEL, 3)]]);
        assert_eq!(out.complaints.len(), 1, "{:?}", out.complaints);
        for other in [&[(CPU_ARCH, 10)][..], &[(NUMBER_MODEL, 3), (VFP_ARGS, 3)]] {
            for lists in [[hard, other], [other, hard]] {
                let (all, out) = merge_all(&lists);
                assert!(out.complaints.is_empty(), "{:?}", out.complaints);
                assert_eq!(number(&all, VFP_ARGS), 1, "{lists:?}");
            }
        }
    }

    #[test]
    fn architectures_that_contain_neither_need_a_later_one() {
        assert_eq!([newest(7, 8), newest(8, 9), newest(7, 9), newest(9, 7)], [10, 10, 7, 7]);
        assert_eq!([newest(8, 8), newest(10, 14), newest(0, 4)], [8, 14, 4]);
    }

    #[test]
    fn what_is_cut_off_is_an_error() {
        let whole = of(&[(CPU_ARCH, 10), (200, 1 << 20)]);
        assert!(parse(&whole).is_ok());
        for end in 2..whole.len() {
            let mut cut = whole[..end].to_vec();
            assert!(parse(&cut).is_err(), "{end}");
            if end >= 5 {
                cut[1..5].copy_from_slice(&(end as u32 - 1).to_le_bytes());
                let _ = parse(&cut);
            }
        }
        assert!(parse(b"B").is_err() && parse(b"A").is_ok());
    }
}
