//! `--cref`: the resolved link → a table of symbols with the files that define and use them, the definer
//! first, in the form of GNU ld. Changes nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::object::Home;
use crate::resolve::{File, Resolution};

/// Where file names start.
const COLUMN: usize = 50;

/// The table, sorted by name.
pub fn table(res: &Resolution<'_>) -> String {
    // For each name its definers, then its users.
    let mut rows: BTreeMap<&[u8], [Vec<&str>; 2]> = BTreeMap::new();
    for file in &res.files {
        match file {
            File::Object(object) => {
                for (at, &id) in (0..).zip(&object.globals) {
                    let symbol = object.symbols.get(object.first_global + at);
                    let uses = symbol.home == Home::Undefined;
                    let row = rows.entry(res.names.get(id)).or_default();
                    row[usize::from(uses)].push(&object.name);
                }
            }
            File::Shared(library) => {
                for symbol in &library.defined {
                    // What only libraries mention is none of this link's symbols.
                    if let Some(row) = rows.get_mut(symbol.name) {
                        row[0].push(&library.name);
                    }
                }
            }
            _ => {}
        }
    }
    let mut text = String::from("\nCross Reference Table\n\n");
    let _ = writeln!(text, "{:COLUMN$}File", "Symbol");
    for (name, files) in rows {
        let mut head = String::from_utf8_lossy(name).into_owned();
        for file in files.iter().flatten() {
            if head.len() >= COLUMN {
                head.push('\n');
                text += &std::mem::take(&mut head);
            }
            let _ = writeln!(text, "{head:COLUMN$}{file}");
            head.clear();
        }
    }
    text
}
