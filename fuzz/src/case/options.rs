//! Options of a case.

/// An option that changes what the result means.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs)] // Named after the flag.
pub enum Opt {
    Bsymbolic,
    BsymbolicFunctions,
    ExportDynamic,
    GcSections,
    NoRelax,
    Now,
    Nodelete,
    PackRelativeRelocs,
    /// `--hash-style=sysv|gnu|both`.
    HashStyle(HashStyle),
    /// `--defsym=NAME=VALUE` (a number), or another symbol's name.
    Defsym(String, DefsymValue),
    /// `--wrap=NAME`.
    Wrap(String),
    /// `-soname=NAME`.
    Soname(String),
    /// `--dynamic-list=FILE` with these names.
    DynamicList(Vec<String>),
    /// `-e NAME`.
    Entry(String),
    /// `-u NAME`.
    Undefined(String),
    /// `-O2`: string tails may be merged.
    O2,
    /// `-z defs`.
    Defs,
    /// `--as-needed` from here on.
    AsNeeded,
    /// ARM: `--target1-rel` or `--target1-abs`: whether R_ARM_TARGET1 is a distance.
    Target1Relative(bool),
    /// `--goos=android`, of what a build mode makes.
    Android,
    /// Mach-O: `-fixup_chains` or `-no_fixup_chains`.
    FixupChains(bool),
    /// Mach-O: the oldest macOS it runs on, in `-platform_version`; 13 without it.
    MinOs(u8),
    /// Mach-O: `-undefined dynamic_lookup`.
    DynamicLookup,
    /// Mach-O: `-U NAME`.
    MayBeUndefined(String),
    /// Mach-O: `-exported_symbol NAME`.
    Exported(String),
    /// Mach-O: `-unexported_symbol NAME`.
    Unexported(String),
}

/// The value of `--defsym`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum DefsymValue {
    /// An absolute number.
    Number(u64),
    /// The value of another symbol.
    Symbol(String),
}

/// Which hash tables are asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs)] // Named after the flag's argument.
pub enum HashStyle {
    Sysv,
    Gnu,
    Both,
}
