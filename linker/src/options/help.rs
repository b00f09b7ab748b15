//! The text of `--help`, made from the table.

use crate::arch::{ARCHES, Arch};
use std::fmt::Write;

use super::table::{self, Arg, Row};

/// Where the meanings start.
const COLUMN: usize = 30;

/// The whole text.
pub(super) fn text() -> String {
    let mut out = String::from(
        "Usage: ld.scold [options] file...\n\
         Links ELF objects, archives and shared libraries, as gcc, clang, rustc and go call ld.\n\n\
         Long options take one dash or two. @FILE reads options from FILE. With -arch ARCH it links\n\
         Mach-O as ld64 does: `ld.scold -arch arm64 --help` has those options.\n\nOptions:\n",
    );
    for row in table::all().filter(|row| !row.help.is_empty()) {
        let spelling = spelling(row);
        if spelling.len() + 2 < COLUMN {
            let _ = writeln!(out, "  {spelling:<width$}{}", row.help, width = COLUMN - 2);
        } else {
            let _ = writeln!(out, "  {spelling}\n{:COLUMN$}{}", "", row.help);
        }
    }
    out.push_str("\n-z KEYWORD:\n");
    for (keyword, help) in super::zkeyword::help() {
        let _ = writeln!(out, "  {keyword:<width$}{help}", width = COLUMN - 2);
    }
    // libtool and others look for this line to learn what the linker can make.
    let list = |name: fn(&Arch) -> &'static str| -> String {
        ARCHES.iter().map(|arch| format!(" {}", name(arch))).collect()
    };
    let _ = writeln!(out, "\nld.scold: supported targets:{}", list(|arch| arch.format));
    let _ = writeln!(out, "ld.scold: supported emulations:{}", list(|arch| arch.emulation));
    out
}

/// All spellings of a row with its argument.
fn spelling(row: &Row) -> String {
    let mut list = Vec::new();
    for name in row.names {
        let long = name.len() > 1;
        let dashes = if long { "--" } else { "-" };
        list.push(match (row.arg, long) {
            (Arg::No, _) => format!("{dashes}{name}"),
            (Arg::Needed(arg), true) => format!("{dashes}{name}={arg}"),
            (Arg::Needed(arg), false) => format!("{dashes}{name} {arg}"),
            (Arg::Maybe(arg), true) => format!("{dashes}{name}[={arg}]"),
            (Arg::Maybe(arg), false) => format!("{dashes}{name}[{arg}]"),
        });
    }
    list.join(", ")
}
