//! `-map`: where everything went, for people, in ld64's form. Must not decide anything.

use std::fmt::Write as _;

use super::link::Link;
use super::object::Home;

/// The text.
pub fn text(link: &Link<'_>) -> String {
    let mut out = format!("# Path: {}\n", link.options.output.display());
    let _ =
        writeln!(out, "# Arch: {}\n# Object files:\n[  0] linker synthesized", link.machine.name);
    for (i, object) in link.files.iter().enumerate() {
        let _ = writeln!(out, "[{:3}] {}", i + 1, object.name);
    }
    out.push_str("# Sections:\n# Address\tSize    \tSegment\tSection\n");
    for section in &link.outs {
        let name = String::from_utf8_lossy(&section.name);
        let segment = String::from_utf8_lossy(&section.segment);
        let _ = writeln!(out, "0x{:08X}\t0x{:08X}\t{segment}\t{name}", section.addr, section.size);
    }
    out.push_str("# Symbols:\n# Address\tSize    \tFile  Name\n");
    let mut symbols = Vec::new();
    for (file, object) in link.files.iter().enumerate() {
        for symbol in &object.symbols {
            let Home::Atom(atom, offset) = symbol.home else { continue };
            let index = object.first_atom + atom;
            if link.is_kept(index) {
                let atom = &link.atoms[index as usize];
                let size = atom.size.saturating_sub(offset);
                symbols.push((atom.addr.wrapping_add(offset), size, file + 1, symbol.name));
            }
        }
    }
    symbols.sort_unstable();
    for (addr, size, file, name) in symbols {
        let name = String::from_utf8_lossy(name);
        let _ = writeln!(out, "0x{addr:08X}\t0x{size:08X}\t[{file:3}] {name}");
    }
    out
}
