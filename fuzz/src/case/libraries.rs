//! Shared libraries of a link, and version scripts, as plain data.

use super::{Binding, SymbolKind, Visibility};

/// A shared library to link against: real and loadable, written by the emitter itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Library {
    /// `libx.so`.
    pub name: String,
    /// DT_SONAME; DT_NEEDED is `name` without one.
    pub soname: Option<String>,
    /// `--as-needed` around it.
    pub as_needed: bool,
    /// What it defines and needs.
    pub symbols: Vec<LibrarySymbol>,
    /// Mach-O: `-weak_library`: the program runs without it.
    pub weak: bool,
}

/// A dynamic symbol of a library.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LibrarySymbol {
    /// Its name without a version.
    pub name: String,
    /// Its version, and whether it is the default one.
    pub version: Option<(String, bool)>,
    /// STB_*; not local.
    pub binding: Binding,
    /// STT_*.
    pub kind: SymbolKind,
    /// STV_*: default or protected.
    pub visibility: Visibility,
    /// st_size.
    pub size: u64,
    /// Defined here, or undefined.
    pub defined: LibraryDefinition,
}

/// Where a library's symbol is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum LibraryDefinition {
    /// Undefined in the library.
    Undefined,
    /// In its code (functions), its data (objects) or its TLS template, by kind; the emitter gives
    /// each its own bytes. Symbols with the same `alias` number share an address.
    Defined {
        /// Same number, same address.
        alias: u32,
        /// In read-only data instead of writable data.
        readonly: bool,
    },
    /// SHN_ABS.
    Absolute(u64),
}

/// A version script.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VersionScript {
    /// Nodes in order; an anonymous script has one with an empty name.
    pub nodes: Vec<VersionNode>,
}

/// `NAME { global: …; local: …; } PARENT;`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VersionNode {
    /// The version's name; empty for an anonymous script.
    pub name: String,
    /// Exact names and globs made global.
    pub global: Vec<String>,
    /// Exact names and globs made local.
    pub local: Vec<String>,
    /// The version it inherits from.
    pub parent: Option<String>,
}
