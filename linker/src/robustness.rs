//! Property tests of the whole linker: whatever the files hold, a link ends with an image or with
//! errors. Never a panic, a hang, or memory out of proportion to the inputs.
//!
//! `PROPTEST_CASES=100000 cargo test --release -p scold-linker robustness` looks longer.

mod arm;
mod limits;
pub(crate) mod sample;
mod shapes;

use proptest::prelude::*;
use proptest::sample::Index;

use crate::link_args;

/// One change to a file's bytes.
#[derive(Clone, Debug)]
enum Change {
    /// A byte takes another value.
    Byte(Index, u8),
    /// An aligned word of 1, 2, 4 or 8 bytes takes a value that tends to break things.
    Word(Index, u8, u64),
    /// A field of the header or of a section header, where most checks are.
    Header(Index, u64),
    /// Some bytes are copied over others.
    Copy(Index, Index, u8),
    /// The file ends early.
    Cut(Index),
}

fn nasty() -> impl Strategy<Value = u64> {
    prop_oneof![
        0u64..70,
        any::<u64>(),
        any::<u32>().prop_map(u64::from),
        (0u32..64).prop_map(|n| 1 << n),
        (0u32..64).prop_map(|n| (1u64 << n).wrapping_sub(1)),
        (0u64..70).prop_map(|n| n.wrapping_neg()),
        Just(0xfff1),
        Just(0xfff2),
        Just(0xffff),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => (any::<Index>(), any::<u8>()).prop_map(|(at, v)| Change::Byte(at, v)),
        3 => (any::<Index>(), 0u8..4, nasty()).prop_map(|(at, n, v)| Change::Word(at, n, v)),
        5 => (any::<Index>(), nasty()).prop_map(|(at, v)| Change::Header(at, v)),
        1 => (any::<Index>(), any::<Index>(), 1u8..64).prop_map(|(a, b, n)| Change::Copy(a, b, n)),
        1 => any::<Index>().prop_map(Change::Cut),
    ]
}

/// Offset and size of every field of the ELF header and the section headers.
fn header_fields(bytes: &[u8]) -> Vec<(usize, usize)> {
    const HEADER: [(usize, usize); 7] =
        [(4, 1), (16, 2), (18, 2), (40, 8), (58, 2), (60, 2), (62, 2)];
    const SECTION: [(usize, usize); 9] =
        [(0, 4), (4, 4), (8, 8), (24, 8), (32, 8), (40, 4), (44, 4), (48, 8), (56, 8)];
    let mut fields = HEADER.to_vec();
    if let Some(raw) = bytes.get(40..61) {
        let start = u64::from_le_bytes(raw[..8].try_into().unwrap()) as usize;
        let count = usize::from(raw[20]).min(64);
        for i in 0..count {
            fields.extend(SECTION.map(|(at, n)| (start.saturating_add(64 * i + at), n)));
        }
    }
    fields
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    if bytes.is_empty() {
        return;
    }
    match change {
        Change::Byte(at, value) => {
            let at = at.index(bytes.len());
            bytes[at] = *value;
        }
        Change::Word(at, log, value) => {
            let size = 1 << log;
            let at = at.index(bytes.len()) / size * size;
            put(bytes, at, size, *value);
        }
        Change::Header(at, value) => {
            let fields = header_fields(bytes);
            let (at, size) = fields[at.index(fields.len())];
            put(bytes, at, size, *value);
        }
        Change::Copy(from, to, len) => {
            let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
            let len = usize::from(*len).min(bytes.len() - from.max(to));
            bytes.copy_within(from..from + len, to);
        }
        Change::Cut(at) => bytes.truncate(at.index(bytes.len())),
    }
}

/// Gives every named symbol of an object that is no section's the type `kind`.
fn set_symbol_types(bytes: &mut [u8], kind: u8) {
    let word = |bytes: &[u8], at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let start = word(bytes, 40) as usize;
    let headers = bytes[start..].chunks_exact(64).map(|h| (h[4], word(h, 24), word(h, 32)));
    let tables: Vec<_> = headers.filter(|h| h.0 == 2).collect();
    for (_, from, size) in tables {
        for symbol in bytes[from as usize..][..size as usize].chunks_exact_mut(24).skip(1) {
            if !matches!(symbol[4] & 15, 3 | 4) {
                symbol[4] = symbol[4] & 0xf0 | kind;
            }
        }
    }
}

fn put(bytes: &mut [u8], at: usize, size: usize, value: u64) {
    if let Some(field) = bytes.get_mut(at..at.saturating_add(size)) {
        field.copy_from_slice(&value.to_le_bytes()[..size]);
    }
}

/// Links `file` beside the other samples; what comes of it does not matter.
fn link(name: &str, file: Vec<u8>, options: &str) {
    let mut files = sample::files();
    files.insert(name, file);
    let _ = link_args(&arguments(options), &files);
}

/// `options` and every sample that such a link can take.
fn arguments(options: &str) -> Vec<String> {
    let library = (!options.contains("-static") && !options.contains("-r")).then_some("libx.so");
    let inputs = ["a.o", "b.o", "l.a"].into_iter().chain(library);
    options.split(' ').chain(inputs).map(String::from).collect()
}

fn options() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "-shared",
        "-shared -z now --eh-frame-hdr --build-id --hash-style=both",
        "-shared --gc-sections -O2 --emit-relocs",
        "-shared -z pack-relative-relocs --compress-debug-sections=zlib",
        "-pie --eh-frame-hdr --gc-sections --print-gc-sections",
        "-no-pie -Map=m",
        "-static --eh-frame-hdr",
        "-r",
        "-r -x -S",
        "-shared -s -z text --no-relax",
    ])
}

/// The samples themselves link in every way, else the tests below test little.
#[test]
fn samples_link() {
    let files = sample::files();
    for options in
        ["-shared", "-pie -e f", "-shared --gc-sections -O2 --eh-frame-hdr", "-r", "-r -x"]
    {
        if let Err(errors) = link_args(&arguments(options), &files) {
            panic!("{options}: {errors}");
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_no_panic(
        magic in prop::sample::select(vec![
            &b""[..], b"\x7fELF\x02\x01\x01", b"!<arch>\n", b"!<thin>\n", b"INPUT(", b"GROUP(",
        ]),
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        options in options(),
    ) {
        link("a.o", [magic, &bytes].concat(), options);
    }

    #[test]
    fn spoilt_objects_are_no_panic(
        changes in prop::collection::vec(change(), 1..6), options in options(), which in any::<bool>(),
    ) {
        let name = if which { "a.o" } else { "b.o" };
        let mut bytes = sample::bytes(name);
        changes.iter().for_each(|c| apply(&mut bytes, c));
        link(name, bytes, options);
    }

    #[test]
    fn spoilt_archives_and_libraries_are_no_panic(
        changes in prop::collection::vec(change(), 1..6), options in options(), which in any::<bool>(),
    ) {
        let name = if which { "l.a" } else { "libx.so" };
        let mut bytes = sample::bytes(name);
        changes.iter().for_each(|c| apply(&mut bytes, c));
        link(name, bytes, options);
    }

    #[test]
    fn spoilt_modules_are_no_panic(
        changes in prop::collection::vec(change(), 1..6),
        mode in prop::sample::select(vec!["c-shared", "plugin", "pie"]),
        zeros in any::<bool>(),
    ) {
        let mut bytes = crate::mode::module_sample(zeros);
        changes.iter().for_each(|c| apply(&mut bytes, c));
        link("a.o", bytes, &format!("--buildmode={mode} -u runtime.lastmoduledatap"));
    }
}
