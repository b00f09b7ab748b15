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
    for (_, object) in res.objects() {
        for (at, &id) in (0..).zip(&object.globals) {
            let symbol = object.symbols.get(object.first_global + at);
            let uses = symbol.home == Home::Undefined;
            let row = rows.entry(res.names.get(id)).or_default();
            row[usize::from(uses)].push(&object.name);
        }
    }
    // Wherever they are on the command line. What only they mention is none of this link's symbols.
    for file in &res.files {
        let File::Shared(library) = file else { continue };
        for symbol in &library.defined {
            if let Some(row) = rows.get_mut(symbol.name) {
                row[0].push(&library.name);
            }
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

#[cfg(test)]
mod tests {
    use crate::link_args;
    use crate::robustness::sample;

    #[test]
    fn a_library_named_first_defines_what_later_objects_use() {
        let files = sample::files();
        for order in ["libx.so a.o", "a.o libx.so"] {
            let args: Vec<String> = "-shared --cref -Map=m"
                .split(' ')
                .chain(order.split(' '))
                .map(String::from)
                .collect();
            let text = link_args(&args, &files).unwrap().1.map.unwrap_or_default();
            let row = text.lines().find(|l| l.starts_with("imported ")).unwrap_or_default();
            assert!(row.ends_with(" libx.so"), "{order}: {text}");
        }
    }
}
