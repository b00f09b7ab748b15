//! A mode on a target → what it adds to a link there, for a person. From the tables that links use.

use std::fmt::Write as _;

use super::{MARKERS, Mode, matrix, usage};
use crate::Result;
use crate::arch::ARCHES;
use crate::macho::mode as macho;
use crate::options::OutputKind;

/// Whose the data is.
const OWN: &str = "it is this module's own, whatever others have; none sees local.moduledata";

/// Who defines what a mode looks for.
const LOCAL: &str =
    "what no object defines for all may be a local symbol of one: each name but markers;";
const NUMBERS: &str = "two such symbols are an error, and so is data or a start that is a number";
/// Where nothing moves a number is as good as a place.
const NO_NUMBERS: &str = "two such symbols are an error";

/// When what calls the start is not added.
const CALLED: &str = "unless it has one already, or -init names that";

/// What the Go linker has done already.
const COMPLETE: &str = "where an object has a local symbol of that name, nothing is added at all";

/// Who wins.
const RULE: [&str; 2] = [
    "as if they stood first: other flags win over them, wherever they stand, but one",
    "that asks for another kind of output is an error",
];

/// What mode `mode` adds on `goos/goarch`.
///
/// Errors: `usage` for a mode or a pair there is none of.
pub fn explain(mode: &str, goos: &str, goarch: &str) -> Result<String> {
    let mode = Mode::named(mode)?;
    mode.check(goos, goarch)?;
    if !matrix::is_elf(goos) {
        return darwin(mode, goos, goarch);
    }
    let arch = ARCHES.iter().find(|arch| arch.name == goarch);
    let arch = arch.ok_or_else(|| usage(format!("no machine {goarch}")))?;
    let mut out = String::new();
    let mut line = |label: &str, text: &str| {
        let _ = writeln!(out, "{label:<10}{text}");
    };
    line("mode", &format!("{} on {goos}/{goarch}", mode.name));
    line("flags", &mode.flags().join(" "));
    for text in RULE {
        line("", text);
    }
    line("file", &format!("mode {:04o} less the umask", mode.file_mode));
    let entries = ".init_array";
    if let Some(start) = mode.entry(goos, goarch) {
        line("start", &format!("where {start} is defined, {entries} gets a pointer to it,"));
        line("", CALLED);
    }
    let [first, second] = mode.data_names();
    line("data", &format!("DATA is {first}, or else {second}, as far as the module defines it"));
    line("", OWN);
    line("local", LOCAL);
    line("", if mode.kind == OutputKind::Exe { NO_NUMBERS } else { NUMBERS });
    announcement(mode).into_iter().for_each(|(label, text)| line(label, text));
    for text in arch.module_init.text {
        line("", &format!("    {text}"));
    }
    let bytes: Vec<_> = arch.module_init.code.iter().map(|b| format!("{b:02x}")).collect();
    line("", &format!("as {}", bytes.join(" ")));
    let data = arch.module_init.data.iter().map(|field| (field, "DATA"));
    for (field, to) in data.chain([(&arch.module_init.call, "runtime.addmoduledata")]) {
        let name = arch.row(field.kind).map_or("", |row| row.name);
        line("", &format!("    +{} {name} {to}{:+}", field.offset, field.addend));
    }
    line("", &format!("{entries} gets a pointer to it, go:link.addmoduledatainit;"));
    line("", COMPLETE);
    list(mode).into_iter().for_each(|(label, text)| line(label, text));
    line("markers", "if something refers to them and nothing defines them:");
    for (start, end, section, moved) in MARKERS {
        let or = moved.map_or(String::new(), |moved| format!(", or {moved} if there is none"));
        line("", &format!("    {start} and {end} bound {section}{or}"));
    }
    Ok(out)
}

/// When a module is announced.
fn announcement(mode: &Mode) -> Vec<(&'static str, &'static str)> {
    let mut lines = match mode.has_runtime_if_listed() {
        true => vec![
            ("announce", "where the module has DATA, but neither runtime.addmoduledata"),
            ("", "nor runtime.lastmoduledatap, a local function"),
        ],
        false => vec![
            ("announce", "where the module has DATA, but neither runtime.addmoduledata"),
            ("", "nor a local runtime.lastmoduledatap, a local function"),
        ],
    };
    lines.push(("", "go:link.addmoduledata hands DATA to its host's runtime:"));
    lines
}

/// When it starts the list.
fn list(mode: &Mode) -> [(&'static str, &'static str); 2] {
    let when = match mode.has_runtime_if_listed() {
        true => "where the module has DATA and runtime.lastmoduledatap,",
        false => "where the module has DATA, runtime.addmoduledata and runtime.lastmoduledatap,",
    };
    [("list", when), ("", "runtime.lastmoduledatap points to DATA, whatever it was")]
}

/// The same for Mach-O.
fn darwin(mode: &Mode, goos: &str, goarch: &str) -> Result<String> {
    let init = macho::init(if goarch == "amd64" { "x86_64" } else { goarch });
    let init = init.ok_or_else(|| usage(format!("no machine {goarch}")))?;
    let mut out = String::new();
    let mut line = |label: &str, text: &str| {
        let _ = writeln!(out, "{label:<10}{text}");
    };
    line("mode", &format!("{} on {goos}/{goarch}", mode.name));
    line("flags", macho::flags(mode));
    for text in RULE {
        line("", text);
    }
    line("file", &format!("mode {:04o} less the umask", mode.file_mode));
    line("names", "every one has a leading underscore in objects");
    // Where objects have it in __DATA: only images for systems before 10.15 leave it there.
    let entries =
        "__DATA_CONST,__mod_init_func, or __TEXT,__init_offsets where fixups are chained,";
    if let Some(start) = mode.entry(goos, goarch) {
        line("start", &format!("where {start} is defined,"));
        line("", &format!("{entries} gets a pointer to it,"));
        line("", CALLED);
    }
    let [first, second] = mode.data_names();
    line("data", &format!("DATA is {first}, or else {second}, as far as the module defines it"));
    line("", "no other image sees local.moduledata");
    line("local", LOCAL);
    line("", NUMBERS);
    announcement(mode).into_iter().for_each(|(label, text)| line(label, text));
    for text in init.text {
        line("", &format!("    {text}"));
    }
    let bytes: Vec<_> = init.code.iter().map(|b| format!("{b:02x}")).collect();
    line("", &format!("as {}", bytes.join(" ")));
    let data = init.data.iter().map(|field| (field, "DATA"));
    for ((offset, _, name, addend), to) in data.chain([(&init.call, "runtime.addmoduledata")]) {
        line("", &format!("    +{offset} {name} {to}{addend:+}"));
    }
    line("", entries);
    line("", "gets a pointer to it, go:link.addmoduledatainit;");
    line("", COMPLETE);
    list(mode).into_iter().for_each(|(label, text)| line(label, text));
    line("markers", "if something refers to them and nothing defines them:");
    for (start, end, segment, section, _) in macho::MARKERS {
        line("", &format!("    {start} and {end} bound {segment},{section}"));
    }
    if mode.is_guest {
        line(
            "order",
            "markers are symbols with a size: the head of a section, its tail; but for code",
        );
        line("", "those between lie by size, then as they came");
        line("read-only", "sections of __TEXT with addresses in them go to __DATA_CONST");
    }
    Ok(out)
}
