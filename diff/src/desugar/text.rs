//! Parts → GNU as text, the same object byte for byte where it counts.

use std::fmt::Write as _;

use super::Part;
use super::edit::Change;

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
    for name in &change.shared {
        let _ = writeln!(out, "# in {file}: .globl \"{name}\"; .hidden \"{name}\"");
    }
    if let Some((variable, target)) = &change.pointer {
        let _ = writeln!(out, "# in {file}: \"{variable}\" holds the address of \"{target}\"");
    }
}
