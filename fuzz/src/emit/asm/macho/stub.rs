//! A library → the text stub that linkers take for it. It must not know objects.

use std::fmt::Write as _;

use crate::case::{Binding, Library, LibraryDefinition, LibrarySymbol, SymbolKind};
use crate::emit::macho;

/// A library as a text stub, which linkers take for it.
pub(in crate::emit::asm) fn library(library: &Library) -> String {
    const TARGETS: &str = "[ x86_64-macos, arm64-macos ]";
    let name = macho::install_name(library);
    let mut text =
        format!("--- !tapi-tbd\ntbd-version: 4\ntargets: {TARGETS}\ninstall-name: '{name}'\n");
    let _ = writeln!(text, "exports:\n  - targets: {TARGETS}");
    let kind = |symbol: &LibrarySymbol| match (symbol.binding, symbol.kind) {
        (_, SymbolKind::Tls) => "thread-local-symbols",
        (Binding::Weak, _) => "weak-symbols",
        _ => "symbols",
    };
    for list in ["symbols", "weak-symbols", "thread-local-symbols"] {
        let defined = library.symbols.iter().filter(|s| s.defined != LibraryDefinition::Undefined);
        let names: Vec<String> =
            defined.filter(|s| kind(s) == list).map(|s| format!("'{}'", s.name)).collect();
        if !names.is_empty() {
            let _ = writeln!(text, "    {list}: [ {} ]", names.join(", "));
        }
    }
    text.push_str("...\n");
    text
}
