//! A mode on a target → what it adds to a link there, for a person. From the tables that links use.

use std::fmt::Write as _;

use super::{MARKERS, Mode, matrix, usage};
use crate::Result;
use crate::arch::ARCHES;

/// What mode `mode` adds on `goos/goarch`.
///
/// Errors: `usage` for a mode or a pair there is none of.
pub fn explain(mode: &str, goos: &str, goarch: &str) -> Result<String> {
    let mode = Mode::named(mode)?;
    mode.check(goos, goarch)?;
    let arch = ARCHES.iter().find(|arch| arch.name == goarch);
    let arch = arch.ok_or_else(|| usage(format!("no machine {goarch}")))?;
    let mut out = String::new();
    let mut line = |label: &str, text: &str| {
        let _ = writeln!(out, "{label:<10}{text}");
    };
    line("mode", &format!("{} on {goos}/{goarch}", mode.name));
    if matrix::is_elf(goos) {
        line("flags", &mode.flags().join(" "));
    }
    line("file", &format!("mode {:04o} less the umask", mode.file_mode));
    let entries = if matrix::is_elf(goos) { ".init_array" } else { "__DATA,__mod_init_func" };
    if let Some(start) = mode.entry(goos, goarch) {
        line("start", &format!("where {start} is defined, {entries} gets a pointer to it"));
    }
    let [first, second] = mode.data_names();
    line("data", &format!("DATA is {first}, or else {second}, as far as the module defines it"));
    line("announce", "where the module has DATA and no runtime.addmoduledata, a local function");
    line("", "go:link.addmoduledata hands DATA to its host's runtime:");
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
    line("", &format!("{entries} gets a pointer to it, go:link.addmoduledatainit"));
    line("list", "where the module has DATA, runtime.addmoduledata and runtime.lastmoduledatap,");
    line("", "runtime.lastmoduledatap points to DATA, whatever it was");
    line("markers", "if something refers to them and nothing defines them:");
    for (start, end, section) in MARKERS {
        line("", &format!("    {start} and {end} bound {section}"));
    }
    Ok(out)
}
