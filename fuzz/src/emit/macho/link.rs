//! Case → a [`Request`] as ld64 is called.
//!
//! What only ELF has (version scripts, `--wrap`, hash styles, …) says nothing here, and a group is its archives:
//! they are searched until nothing is missing anyway.

use std::sync::Arc;

use scold_diff::desugar::desugar;
use scold_diff::request::File;
use scold_diff::{Mode, Request, Target};

use super::{archive, library, object};
use crate::Case;
use crate::case::{Archive, Input, Library, Object, Opt};

/// The install name of the library that everything is linked with.
pub const SYSTEM: &str = "/usr/lib/libSystem.B.dylib";

/// Its stub, which is the last input of every link: an image needs a library.
const STUB: &str = "libSystem.tbd";

const TARGETS: &str = "[ x86_64-macos, arm64-macos ]";

/// The link that `case` describes, with every file's bytes.
pub fn request(case: &Case) -> Request {
    let mut link = Link { target: case.target, args: Vec::new(), files: Vec::new() };
    for option in &case.options {
        link.option(option);
    }
    let named = case.options.iter().any(|option| matches!(option, Opt::Soname(_)));
    if matches!(case.mode, Mode::CShared | Mode::Plugin) && !named {
        link.pair("-install_name", "@rpath/scold.dylib");
    }
    for input in &case.inputs {
        match input {
            Input::Object(object) => link.object(object),
            Input::Archive(archive) => link.archive(archive),
            Input::Library(library) => link.library(library),
            Input::Group(archives) => archives.iter().for_each(|archive| link.archive(archive)),
        }
    }
    link.arg(STUB);
    link.file(STUB, system().into_bytes());
    let Link { args, files, .. } = link;
    desugar(Request { target: case.target, mode: case.mode, args, files, goos: None })
}

/// A text stub with what images of every kind need of the system.
fn system() -> String {
    format!(
        "--- !tapi-tbd\ntbd-version: 4\ntargets: {TARGETS}\ninstall-name: '{SYSTEM}'\n\
         exports:\n  - targets: {TARGETS}\n    symbols: [ dyld_stub_binder, __tlv_bootstrap ]\n...\n"
    )
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

    fn pair(&mut self, flag: &str, value: &str) {
        self.arg(flag);
        self.arg(value);
    }

    fn file(&mut self, name: &str, bytes: Vec<u8>) {
        self.files.push(File { name: name.to_owned(), bytes: Arc::from(bytes) });
    }

    fn object(&mut self, one: &Object) {
        self.arg(&one.name);
        self.file(&one.name, object(one, self.target));
    }

    fn archive(&mut self, one: &Archive) {
        if one.whole {
            self.arg("-force_load");
        }
        self.arg(&one.name);
        let members: Vec<_> = one.members.iter().map(|m| object(m, self.target)).collect();
        self.file(&one.name, archive::archive(one, &members));
    }

    fn library(&mut self, one: &Library) {
        if one.weak {
            self.arg("-weak_library");
        }
        self.arg(&one.name);
        self.file(&one.name, library::library(one, self.target));
    }

    fn option(&mut self, option: &Opt) {
        match option {
            Opt::GcSections => self.arg("-dead_strip"),
            Opt::ExportDynamic => self.arg("-export_dynamic"),
            Opt::Now => self.arg("-bind_at_load"),
            Opt::AsNeeded => self.arg("-dead_strip_dylibs"),
            Opt::Soname(name) => self.pair("-install_name", name),
            Opt::Entry(name) => self.pair("-e", name),
            Opt::Undefined(name) => self.pair("-u", name),
            Opt::FixupChains(true) => self.arg("-fixup_chains"),
            Opt::FixupChains(false) => self.arg("-no_fixup_chains"),
            Opt::MinOs(major) => {
                self.pair("-platform_version", "macos");
                self.pair(&format!("{major}.0"), "26.0");
            }
            Opt::DynamicLookup => self.pair("-undefined", "dynamic_lookup"),
            Opt::MayBeUndefined(name) => self.pair("-U", name),
            Opt::Exported(name) => self.pair("-exported_symbol", name),
            Opt::Unexported(name) => self.pair("-unexported_symbol", name),
            Opt::Bsymbolic
            | Opt::BsymbolicFunctions
            | Opt::NoRelax
            | Opt::Nodelete
            | Opt::PackRelativeRelocs
            | Opt::HashStyle(_)
            | Opt::Defsym(..)
            | Opt::Wrap(_)
            | Opt::DynamicList(_)
            | Opt::O2
            | Opt::Target1Relative(_)
            | Opt::Android
            | Opt::Defs => {}
        }
    }
}
