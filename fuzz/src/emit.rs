//! Case → bytes: a [`Request`] whose files are the objects, archives, libraries and scripts of a case.
//!
//! Objects and libraries are written directly, because assemblers fold what linkers must decide. Here is what
//! GNU-style linkers are called with; [`macho`] has the rest.
//! Nothing here must know how a link ends, or which linker performs it.

pub mod archive;
pub mod asm;
mod bytes;
pub mod elf;
pub mod library;
pub mod machine;
pub mod macho;
#[cfg(test)]
mod tests;

use std::fmt::Write;
use std::sync::Arc;

use scold_diff::desugar::desugar;
use scold_diff::model::{MARKER_MAGIC, digest};
use scold_diff::request::File;
use scold_diff::{Arch, Format, Mode, Request, Target};

use crate::Case;
use crate::case::{Archive, Data, DefsymValue, HashStyle, Input, Library, Object, Opt};
use crate::case::{Marker, VersionScript};

/// The marker that starts section `index` of the object called `object`.
pub fn marker(object: &str, index: usize) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&MARKER_MAGIC);
    let seed = digest(object.as_bytes()) ^ (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bytes[8..].copy_from_slice(&unique(seed).to_le_bytes());
    bytes
}

/// A number that differs for each `seed` (splitmix64).
pub(crate) fn unique(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The bytes of section `index` of `object` in the object file, marker included; none for NOBITS.
pub fn contents(object: &Object, index: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    append_contents(object, index, &mut bytes);
    bytes
}

fn append_contents(object: &Object, index: usize, out: &mut Vec<u8>) {
    let section = &object.sections[index];
    if section.kind.is_zerofill() {
        return;
    }
    if section.has_marker(Marker::Head) {
        out.extend_from_slice(&marker(&object.name, index));
    }
    match &section.data {
        Data::Bytes(bytes) => out.extend_from_slice(bytes),
        Data::Zeros(len) => out.resize(out.len() + *len as usize, 0),
    }
    if section.has_marker(Marker::Tail) {
        out.extend_from_slice(&marker(&object.name, index));
    }
}

/// The link that `case` describes, with every file's bytes.
pub fn request(case: &Case) -> Request {
    match case.target.format {
        Format::Elf => gnu_request(case),
        Format::Macho => macho::request(case),
    }
}

fn gnu_request(case: &Case) -> Request {
    let mut link = Link { target: case.target, args: Vec::new(), files: Vec::new() };
    for option in &case.options {
        link.option(option);
    }
    if let Some(script) = &case.versions {
        link.args.push("--version-script=v.map".into());
        link.file("v.map", version_script(script).into_bytes());
    }
    let as_needed = case.options.contains(&Opt::AsNeeded);
    for input in &case.inputs {
        match input {
            Input::Object(object) => link.object(object),
            Input::Archive(archive) => link.archive(archive),
            Input::Library(library) => link.library(library, as_needed),
            Input::Group(archives) => {
                link.arg("--start-group");
                archives.iter().for_each(|archive| link.archive(archive));
                link.arg("--end-group");
            }
        }
    }
    let Link { args, files, .. } = link;
    let goos = case.options.contains(&Opt::Android).then(|| case.goos());
    let goos = goos.filter(|_| case.mode != Mode::Shared);
    desugar(Request { target: case.target, mode: case.mode, args, files, goos })
}

struct Link {
    target: Target,
    args: Vec<String>,
    files: Vec<File>,
}

impl Link {
    fn arg(&mut self, arg: &str) {
        self.args.push(arg.to_owned());
    }

    fn file(&mut self, name: &str, bytes: Vec<u8>) {
        self.files.push(File { name: name.to_owned(), bytes: Arc::from(bytes) });
    }

    fn object(&mut self, object: &Object) {
        self.arg(&object.name);
        self.file(&object.name, elf::object(object, self.target));
    }

    fn archive(&mut self, archive: &Archive) {
        if archive.whole {
            self.arg("--whole-archive");
        }
        self.arg(&archive.name);
        if archive.whole {
            self.arg("--no-whole-archive");
        }
        let target = self.target;
        let members: Vec<_> = archive.members.iter().map(|m| elf::object(m, target)).collect();
        self.file(&archive.name, archive::archive(archive, &members));
        if archive.thin {
            for (member, bytes) in archive.members.iter().zip(members) {
                self.file(&member.name, bytes);
            }
        }
    }

    fn library(&mut self, library: &Library, as_needed: bool) {
        let wrap = library.as_needed && !as_needed;
        if wrap {
            self.arg("--as-needed");
        }
        self.arg(&library.name);
        if wrap {
            self.arg("--no-as-needed");
        }
        self.file(&library.name, library::library(library, self.target));
    }

    fn option(&mut self, option: &Opt) {
        match option {
            Opt::Bsymbolic => self.arg("-Bsymbolic"),
            Opt::BsymbolicFunctions => self.arg("-Bsymbolic-functions"),
            Opt::ExportDynamic => self.arg("--export-dynamic"),
            Opt::GcSections => self.arg("--gc-sections"),
            Opt::NoRelax => self.arg("--no-relax"),
            Opt::Now => self.keyword("now"),
            Opt::Nodelete => self.keyword("nodelete"),
            Opt::PackRelativeRelocs => self.keyword("pack-relative-relocs"),
            Opt::HashStyle(HashStyle::Sysv) => self.arg("--hash-style=sysv"),
            Opt::HashStyle(HashStyle::Gnu) => self.arg("--hash-style=gnu"),
            Opt::HashStyle(HashStyle::Both) => self.arg("--hash-style=both"),
            Opt::Defsym(name, DefsymValue::Number(value)) => {
                self.args.push(format!("--defsym={name}={value:#x}"));
            }
            Opt::Defsym(name, DefsymValue::Symbol(other)) => {
                self.args.push(format!("--defsym={name}={other}"));
            }
            Opt::Wrap(name) => self.args.push(format!("--wrap={name}")),
            Opt::Soname(name) => self.args.push(format!("-soname={name}")),
            Opt::DynamicList(names) => {
                let file = format!("dynamic{}.list", self.files.len());
                self.args.push(format!("--dynamic-list={file}"));
                self.file(&file, dynamic_list(names).into_bytes());
            }
            Opt::Entry(name) => self.pair("-e", name),
            Opt::Undefined(name) => self.pair("-u", name),
            Opt::O2 => self.arg("-O2"),
            Opt::Defs => self.keyword("defs"),
            Opt::AsNeeded => self.arg("--as-needed"),
            Opt::Target1Relative(relative) if self.target.arch == Arch::Arm => {
                self.arg(if *relative { "--target1-rel" } else { "--target1-abs" });
            }
            Opt::Target1Relative(_)
            | Opt::Android
            | Opt::FixupChains(_)
            | Opt::MinOs(_)
            | Opt::DynamicLookup
            | Opt::MayBeUndefined(_)
            | Opt::Exported(_)
            | Opt::Unexported(_) => {}
        }
    }

    fn keyword(&mut self, keyword: &str) {
        self.pair("-z", keyword);
    }

    fn pair(&mut self, flag: &str, value: &str) {
        self.arg(flag);
        self.arg(value);
    }
}

fn version_script(script: &VersionScript) -> String {
    let mut text = String::new();
    for node in &script.nodes {
        let _ = writeln!(text, "{} {{", node.name);
        for (scope, names) in [("global", &node.global), ("local", &node.local)] {
            if !names.is_empty() {
                let _ = writeln!(text, "{scope}:");
            }
            for name in names {
                let _ = writeln!(text, "  {};", script_name(name));
            }
        }
        let _ = writeln!(text, "}} {};", node.parent.as_deref().unwrap_or(""));
    }
    text
}

fn dynamic_list(names: &[String]) -> String {
    let mut text = String::from("{\n");
    for name in names {
        let _ = writeln!(text, "  {};", script_name(name));
    }
    text.push_str("};\n");
    text
}

/// Names and globs stand as they are; what a script's lexer would split is quoted.
fn script_name(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.$*?[]-:".contains(c);
    if name.chars().all(plain) { name.to_owned() } else { format!("\"{name}\"") }
}
