//! Parts → GNU as text, the same object byte for byte where it counts.

use std::fmt::Write as _;

use super::edit::{Change, Mark, Pointer};
use super::{ALIAS, Part};

/// The text.
pub(super) fn print(parts: &[Part]) -> String {
    let mut out = String::new();
    for (at, part) in parts.iter().enumerate() {
        let letters = [(2, 'a'), (1, 'w'), (4, 'x')];
        let flags: String =
            letters.iter().filter(|(bit, _)| part.flags & bit != 0).map(|(_, c)| c).collect();
        let kind = match part.kind {
            8 => "nobits",
            14 => "init_array",
            _ => "progbits",
        };
        // Parts of one name stay apart.
        let again = parts[..at].iter().any(|other| other.name == part.name);
        let unique = if again { format!(",unique,{at}") } else { String::new() };
        let _ = writeln!(out, "\t.section {},\"{flags}\",%{kind}{unique}", part.name);
        let _ = writeln!(out, "\t.balign {}", part.align);
        for symbol in &part.symbols {
            let kind = match symbol.kind {
                super::FUNC => "function",
                super::DATA => "object",
                _ => "notype",
            };
            if symbol.global {
                let _ = writeln!(out, "\t.globl \"{}\"", symbol.name);
            }
            if symbol.hidden {
                let _ = writeln!(out, "\t.hidden \"{}\"", symbol.name);
            }
            let _ = writeln!(out, "\t.type \"{}\", %{kind}", symbol.name);
            let _ = writeln!(out, "\t.size \"{}\", {}", symbol.name, part.bytes.len());
            let _ = writeln!(out, "\"{}\":", symbol.name);
        }
        for line in &part.lines {
            let _ = writeln!(out, "\t{line}");
        }
        let mut own = parts.iter().flat_map(|part| &part.symbols);
        let aliases = part.fields.iter().filter(|field| field.symbol.starts_with(ALIAS));
        if let Some(alias) = aliases.map(|field| &field.symbol).next()
            && !own.any(|symbol| symbol.name == *alias)
        {
            let _ = writeln!(out, "\t.hidden \"{alias}\"");
        }
    }
    out.push_str("\t.section .note.GNU-stack,\"\",%progbits\n");
    out
}

/// Asks for `name`.
pub(super) fn want(out: &mut String, name: &str) {
    let _ = writeln!(out, "\t.globl \"{name}\"");
}

/// Says what is another in `file`.
pub(super) fn remark(out: &mut String, file: &str, change: &Change) {
    for (_, alias) in &change.aliases {
        let name = alias.strip_prefix(ALIAS).unwrap_or(alias);
        let _ = writeln!(
            out,
            "# in {file}: .set \"{alias}\", \"{name}\"; .globl \"{alias}\"; .hidden \"{alias}\""
        );
    }
    for (_, name) in &change.hidden {
        let _ = writeln!(out, "# in {file}: .hidden \"{name}\"");
    }
    for Mark { section, name, at_end } in &change.marks {
        let place = if *at_end { "behind" } else { "before" };
        let _ = writeln!(out, "# in {file}: \"{name}\" {place} {section}; .hidden \"{name}\"");
    }
    if let Some(Pointer { symbol: (_, variable), target }) = &change.pointer {
        let _ = writeln!(out, "# in {file}: \"{variable}\" holds the address of \"{target}\"");
    }
}
