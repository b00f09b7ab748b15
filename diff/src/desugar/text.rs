//! Parts → GNU as text, the same object byte for byte where it counts.

use std::fmt::Write as _;

use super::Part;
use super::edit::Change;

/// The text.
pub(super) fn print(parts: &[Part]) -> String {
    let mut out = String::new();
    for (at, part) in parts.iter().enumerate() {
        let (flags, kind) = match (part.flags & 4 != 0, part.kind) {
            (true, _) => ("ax", "progbits"),
            (_, 14) => ("aw", "init_array"),
            _ => ("aw", "progbits"),
        };
        // Parts of one name stay apart.
        let again = parts[..at].iter().any(|other| other.name == part.name);
        let unique = if again { format!(",unique,{at}") } else { String::new() };
        let _ = writeln!(out, "\t.section {},\"{flags}\",%{kind}{unique}", part.name);
        let _ = writeln!(out, "\t.balign {}", part.align);
        for symbol in &part.symbols {
            let kind = if symbol.kind == super::FUNC { "function" } else { "object" };
            if symbol.global {
                let _ = writeln!(out, "\t.globl \"{}\"", symbol.name);
            }
            let _ = writeln!(out, "\t.type \"{}\", %{kind}", symbol.name);
            let _ = writeln!(out, "\t.size \"{}\", {}", symbol.name, part.bytes.len());
            let _ = writeln!(out, "\"{}\":", symbol.name);
        }
        let _ = writeln!(out, ".Lpart{at}:");
        for field in &part.fields {
            let _ = writeln!(
                out,
                "\t.reloc .Lpart{at}+{}, {}, \"{}\"{:+}",
                field.offset, field.name, field.symbol, field.addend
            );
        }
        let bytes: Vec<_> = part.bytes.iter().map(|byte| format!("{byte:#04x}")).collect();
        let _ = writeln!(out, "\t.byte {}", bytes.join(", "));
    }
    out.push_str("\t.section .note.GNU-stack,\"\",%progbits\n");
    out
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
