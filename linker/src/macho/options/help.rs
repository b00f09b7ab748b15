//! The text of `--help` where the command line is ld64's, made from the tables.

use std::fmt::Write as _;

use super::table::{ATTACHED, IGNORED, ROWS, Row};

/// Where the meanings start.
const COLUMN: usize = 34;

/// Options that are parsed by themselves.
const OTHERS: &[(&str, &str)] = &[
    ("-platform_version macos MIN SDK", "The oldest macOS that the output runs on, and the SDK"),
    ("-filelist FILE[,DIR]", "Link the files that FILE names, in DIR"),
    ("-exported_symbols_list FILE", "-exported_symbol for every line of FILE"),
    ("-unexported_symbols_list FILE", "-unexported_symbol for every line of FILE"),
    ("--buildmode=MODE", "Link a Go module: c-shared, plugin or pie"),
    ("--goos=GOOS, --goarch=GOARCH", "What the module is for (darwin, the machine of -arch)"),
];

/// The whole text.
pub(super) fn text() -> String {
    let mut out = String::from(
        "Usage: ld.scold -arch ARCH [options] file...\n\
         Links Mach-O objects, archives, libraries and their stubs, as clang, go and rustc call ld64.\n\n\
         @FILE reads options from FILE.\n\nOptions:\n",
    );
    let mut line = |spelling: &str, help: &str| {
        let _ = match spelling.len() + 2 < COLUMN {
            true => writeln!(out, "  {spelling:<width$}{help}", width = COLUMN - 2),
            false => writeln!(out, "  {spelling}\n{:COLUMN$}{help}", ""),
        };
    };
    let shown = |row: &&Row| !row.help.1.is_empty();
    for row in ROWS.iter().filter(shown) {
        let space = if row.args > 0 { " " } else { "" };
        line(&format!("-{}{space}{}", row.name, row.help.0), row.help.1);
    }
    for row in ATTACHED.iter().rev().filter(shown) {
        line(&format!("-{}{}", row.name, row.help.0), row.help.1);
    }
    OTHERS.iter().for_each(|(spelling, help)| line(spelling, help));
    let names: Vec<_> = IGNORED.iter().map(|(name, _)| format!("-{name}")).collect();
    out.push_str("\nAccepted, and nothing comes of them:\n");
    for names in names.chunks(3) {
        let _ = writeln!(out, "  {}", names.join(" "));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_told() {
        let text = text();
        for row in ROWS.iter().chain(ATTACHED).filter(|row| !row.help.1.is_empty()) {
            assert!(text.contains(&format!("  -{}", row.name)), "{}", row.name);
            assert_eq!(row.args > 0, !row.help.0.is_empty(), "{}", row.name);
        }
        assert!(text.lines().all(|line| line.len() <= 100), "{text}");
    }
}
