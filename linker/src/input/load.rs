//! From names on the command line to [`Input`]s: searching, sniffing, expanding.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use object::elf;
use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};

use super::script::{NOT_RECOGNIZED, Script};
use super::{Archive, Data, Files, Input, InputKind, Inputs, archive};
use crate::arch::{ARCHES, Arch};
use crate::format::elf::class::Class;
use crate::options::{InputArg, Named, State};
use crate::{Error, ErrorKind, Errors, Options, Result};

/// Scripts within scripts.
const MAX_SCRIPTS: usize = 16;
/// From here on, files are opened by several threads.
const PARALLEL_FROM: usize = 32;

/// Machine, class and type of an ELF file, from its first bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Ident {
    is_64: bool,
    is_little: bool,
    e_type: u16,
    machine: u16,
}

impl Ident {
    /// Reads `e_ident`, `e_type`, `e_machine`; `None` if it is no ELF file.
    fn read(bytes: &[u8]) -> Option<Self> {
        let head = bytes.get(..20).filter(|head| head.starts_with(&elf::ELFMAG))?;
        let is_little = head[5] != elf::ELFDATA2MSB.0;
        let half = |at: usize| {
            let pair = [head[at], head[at + 1]];
            if is_little { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) }
        };
        Some(Self {
            is_64: head[4] != elf::ELFCLASS32.0,
            is_little,
            e_type: half(16),
            machine: half(18),
        })
    }

    fn is_for(self, arch: &Arch) -> bool {
        let is_64 = arch.class == Class::Elf64;
        self.is_little && (self.is_64, self.machine) == (is_64, arch.machine)
    }

    fn emulation(self) -> Option<&'static Arch> {
        ARCHES.iter().find(|arch| self.is_for(arch)).copied()
    }
}

/// What one file of the command line (or of a script) brought.
struct Unit {
    path: PathBuf,
    is_archive: bool,
    inputs: Vec<Input>,
}

/// What [`load`] has at hand in every step.
struct Loader<'a> {
    options: &'a Options,
    files: &'a dyn Files,
    /// The machine to skip other machines' libraries for, if it is known beforehand.
    emulation: Option<&'static Arch>,
}

/// What one argument brought.
#[derive(Default)]
struct Found {
    units: Vec<Unit>,
    opened: Vec<PathBuf>,
    warnings: Vec<String>,
}

/// See [`Inputs::load`].
pub(super) fn load(options: &Options, files: &dyn Files) -> Result<Inputs, Errors> {
    let mut loader = Loader { options, files, emulation: options.emulation };
    loader.emulation = loader.emulation.or_else(|| loader.guess());
    let one = |arg: &InputArg| {
        let mut found = Found::default();
        loader.argument(arg, &mut found).map(|()| found)
    };
    let results: Vec<Result<Found>> = if options.inputs.len() < PARALLEL_FROM {
        options.inputs.iter().map(one).collect()
    } else {
        options.inputs.par_iter().map(one).collect()
    };
    let mut inputs = Inputs { emulation: options.emulation, ..Inputs::default() };
    let mut units = Vec::with_capacity(results.len());
    let mut errors = Vec::new();
    let mut opened = FxHashSet::default();
    for result in results {
        match result {
            Ok(found) => {
                units.extend(found.units);
                inputs.warnings.extend(found.warnings);
                let new = found.opened.into_iter().filter(|path| opened.insert(path.clone()));
                inputs.opened.extend(new);
            }
            // Every missing library is named, not only the first.
            Err(error) => errors.push(error),
        }
    }
    if let Some(errors) = Errors::collect(errors) {
        return Err(errors);
    }
    merge(units, &mut inputs);
    check_machines(&mut inputs)?;
    Ok(inputs)
}

/// Flattens the units; an archive or library named again is not read twice.
fn merge(units: Vec<Unit>, inputs: &mut Inputs) {
    let mut seen: FxHashMap<PathBuf, Range<usize>> = FxHashMap::default();
    let mut archives = 0;
    for unit in units {
        let is_shared = unit.inputs.iter().any(|i| i.kind == InputKind::Shared);
        if (is_shared || unit.is_archive)
            && let Some(first) = seen.get(&unit.path)
        {
            // The more demanding mention counts.
            for (old, new) in inputs.list[first.clone()].iter_mut().zip(&unit.inputs) {
                old.lazy &= new.lazy;
                old.state.as_needed &= new.state.as_needed;
            }
            continue;
        }
        let start = inputs.list.len();
        inputs.list.extend(unit.inputs);
        if unit.is_archive {
            inputs.list[start..].iter_mut().for_each(|input| input.archive = Some(archives));
            archives += 1;
        }
        if is_shared || unit.is_archive {
            seen.insert(unit.path, start..inputs.list.len());
        }
    }
}

/// All inputs must be for one machine: that of `-m`, else that of the first input.
fn check_machines(inputs: &mut Inputs) -> Result<(), Errors> {
    let mut errors = Vec::new();
    for input in &inputs.list {
        // Sniffing has read it already.
        let Some(ident) = Ident::read(input.bytes()) else { continue };
        let wanted = match inputs.emulation.or_else(|| ident.emulation()) {
            Some(wanted) => wanted,
            None => {
                errors.push(wrong_machine(ident, None).in_file(&input.name));
                break;
            }
        };
        inputs.emulation = Some(wanted);
        if !ident.is_for(wanted) {
            errors.push(wrong_machine(ident, Some(wanted)).in_file(&input.name));
        }
    }
    Errors::collect(errors).map_or(Ok(()), Err)
}

fn wrong_machine(ident: Ident, wanted: Option<&Arch>) -> Error {
    let class = if ident.is_64 { 64 } else { 32 };
    let end = if ident.is_little { "little" } else { "big" };
    let what = format!("ELF{class} {end}-endian, machine {}", ident.machine);
    let text = match wanted {
        Some(e) => format!("incompatible with {}: it is {what}", e.emulation),
        None => format!("no supported machine: it is {what}"),
    };
    Error::new(ErrorKind::WrongMachine, text)
}

fn os_error(error: &io::Error, path: &Path) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::MissingFile,
        _ => ErrorKind::Io,
    };
    Error::new(kind, format!("cannot open: {error}")).in_file(path.display().to_string())
}

fn bad_input(name: &str, text: &str) -> Error {
    Error::new(ErrorKind::BadInput, text).in_file(name)
}

impl Loader<'_> {
    /// The machine of the first file named by path that is an object or a library.
    fn guess(&self) -> Option<&'static Arch> {
        self.options.inputs.iter().find_map(|arg| match &arg.what {
            Named::Path(path) => Ident::read(&self.files.open(path).ok()?)?.emulation(),
            _ => None,
        })
    }

    fn argument(&self, arg: &InputArg, found: &mut Found) -> Result<()> {
        match &arg.what {
            Named::Path(path) => {
                let data = self.files.open(path).map_err(|error| os_error(&error, path))?;
                self.file(path.clone(), data, arg.state, None, 0, found)
            }
            Named::Library(name) => self.library(name, arg.state, 0, found),
            Named::Exact(name) => {
                let (path, data) =
                    self.search(std::slice::from_ref(name), found).ok_or_else(|| {
                        Error::new(
                            ErrorKind::MissingFile,
                            format!("unable to find library -l:{name}"),
                        )
                    })?;
                self.file(path, data, arg.state, Some(name), 0, found)
            }
        }
    }

    fn library(&self, name: &str, state: State, depth: usize, found: &mut Found) -> Result<()> {
        let shared = format!("lib{name}.so");
        let archive = format!("lib{name}.a");
        let names = if state.prefer_static { vec![archive] } else { vec![shared, archive] };
        let (path, data) = self.search(&names, found).ok_or_else(|| {
            Error::new(ErrorKind::MissingFile, format!("unable to find library -l{name}"))
        })?;
        let needed = path.file_name().map(|n| n.to_string_lossy().into_owned());
        self.file(path, data, state, needed.as_deref(), depth, found)
    }

    /// The first of `names` in the library directories; other machines' files are passed over.
    fn search(&self, names: &[String], found: &mut Found) -> Option<(PathBuf, Data)> {
        for dir in &self.options.library_dirs {
            for name in names {
                let path = dir.join(name);
                let Ok(data) = self.files.open(&path) else { continue };
                let other = self
                    .emulation
                    .is_some_and(|e| Ident::read(&data).is_some_and(|ident| !ident.is_for(e)));
                if other {
                    let text = format!("skipping incompatible {}", path.display());
                    found.warnings.push(text);
                    continue;
                }
                return Some((path, data));
            }
        }
        None
    }

    /// Takes a file for what its content is.
    fn file(
        &self,
        path: PathBuf,
        data: Data,
        state: State,
        needed: Option<&str>,
        depth: usize,
        found: &mut Found,
    ) -> Result<()> {
        found.opened.push(path.clone());
        let name = path.display().to_string();
        if archive::is_archive(&data) {
            let inputs = self.archive(&path, &name, &data, state, found)?;
            found.units.push(Unit { path, is_archive: true, inputs });
            return Ok(());
        }
        match sniff(&data, &name)? {
            Some(kind) => {
                let input = Input {
                    needed: needed.unwrap_or(&name).to_owned(),
                    name,
                    path: path.clone(),
                    kind,
                    state,
                    lazy: kind == InputKind::Object && state.lazy_objects,
                    archive: None,
                    hidden: false,
                    range: 0..data.len(),
                    data,
                };
                found.units.push(Unit { path, is_archive: false, inputs: vec![input] });
                Ok(())
            }
            None => self.script(&path, &name, &data, state, depth, found),
        }
    }

    fn script(
        &self,
        path: &Path,
        name: &str,
        data: &[u8],
        state: State,
        depth: usize,
        found: &mut Found,
    ) -> Result<()> {
        let binary = |b: &u8| (*b < b' ' && !b.is_ascii_whitespace()) || *b == 0x7f;
        if data.iter().take(4096).any(binary) {
            return Err(bad_input(name, NOT_RECOGNIZED));
        }
        let script = Script::parse(data, name)?;
        if depth == MAX_SCRIPTS {
            let text = "linker scripts are nested too deeply";
            return Err(Error::new(ErrorKind::BadScript, text).in_file(name));
        }
        for input in script.inputs {
            let state = State { as_needed: state.as_needed || input.as_needed, ..state };
            if let Some(library) = input.name.strip_prefix("-l") {
                self.library(library, state, depth + 1, found)
                    .map_err(|error| error.in_file(name))?;
                continue;
            }
            let dirs = &script.search_dirs;
            let (path, data) = self.find_for_script(&input.name, path, dirs).ok_or_else(|| {
                let text = format!("cannot find {} named by the script", input.name);
                Error::new(ErrorKind::MissingFile, text).in_file(name)
            })?;
            let bare = !input.name.contains('/');
            self.file(path, data, state, bare.then_some(&input.name), depth + 1, found)?;
        }
        Ok(())
    }

    /// A file named by the script at `script`: absolute names lie in the sysroot if the script
    /// does; bare ones are tried here, in the library directories, and beside the script.
    fn find_for_script(
        &self,
        name: &str,
        script: &Path,
        search_dirs: &[String],
    ) -> Option<(PathBuf, Data)> {
        let root = self.options.sysroot.as_deref();
        let mut tries = Vec::new();
        if let Some(rest) = name.strip_prefix('=').or_else(|| name.strip_prefix("$SYSROOT")) {
            let root = root.unwrap_or(Path::new("/"));
            tries.push(root.join(rest.trim_start_matches('/')));
        } else if name.starts_with('/') {
            if let Some(root) = root.filter(|root| script.starts_with(root)) {
                tries.push(root.join(name.trim_start_matches('/')));
            }
            tries.push(PathBuf::from(name));
        } else {
            tries.push(PathBuf::from(name));
            tries.extend(self.options.library_dirs.iter().map(|dir| dir.join(name)));
            tries.extend(search_dirs.iter().map(|dir| Path::new(dir).join(name)));
            tries.extend(script.parent().map(|dir| dir.join(name)));
        }
        tries.into_iter().find_map(|path| {
            let data = self.files.open(&path).ok()?;
            Some((path, data))
        })
    }

    fn archive(
        &self,
        path: &Path,
        name: &str,
        data: &Data,
        state: State,
        found: &mut Found,
    ) -> Result<Vec<Input>> {
        let archive = Archive::parse(data, name)?;
        let file_name = path.file_name().map(|n| n.to_string_lossy());
        let hidden = self
            .options
            .exclude_libs
            .iter()
            .any(|lib| lib == "ALL" || Some(lib.as_str()) == file_name.as_deref());
        let mut inputs = Vec::with_capacity(archive.members.len());
        for member in &archive.members {
            let member_name = String::from_utf8_lossy(member.name);
            let display = format!("{name}({member_name})");
            let (data, range) = if archive.is_thin {
                let path = path.parent().unwrap_or(Path::new("")).join(&*member_name);
                let data = self.files.open(&path).map_err(|error| {
                    let error = os_error(&error, &path);
                    Error::new(error.kind(), format!("{}: {}", path.display(), error.text()))
                        .in_file(&display)
                })?;
                found.opened.push(path);
                if data.starts_with(b"!<") {
                    let text = "a thin archive's member is an archive";
                    return Err(Error::new(ErrorKind::BadInput, text).in_file(&display));
                }
                let len = data.len();
                (data, 0..len)
            } else {
                (data.clone(), member.range.clone())
            };
            // Archives hold other things too: rustc's metadata, notes, text. An index would not
            // name them either.
            if !data[range.clone()].starts_with(&elf::ELFMAG) {
                continue;
            }
            let kind = sniff(&data[range.clone()], &display)?;
            if kind != Some(InputKind::Object) {
                continue;
            }
            inputs.push(Input {
                name: display,
                path: path.to_owned(),
                kind: InputKind::Object,
                state,
                lazy: !state.whole_archive,
                archive: None,
                hidden,
                needed: String::new(),
                data,
                range,
            });
        }
        Ok(inputs)
    }
}

/// What `bytes` are; `None` for what may be a script.
fn sniff(bytes: &[u8], name: &str) -> Result<Option<InputKind>> {
    if bytes.is_empty() {
        return Err(bad_input(name, "file is empty"));
    }
    if bytes.starts_with(b"BC\xc0\xde") || bytes.starts_with(b"\xde\xc0\x17\x0b") {
        return Err(bad_input(name, "LLVM bitcode: link-time optimisation is not supported"));
    }
    if !bytes.starts_with(&elf::ELFMAG) {
        return Ok(None);
    }
    let ident = Ident::read(bytes).ok_or_else(|| bad_input(name, "ELF header is cut"))?;
    match elf::FileType(ident.e_type) {
        elf::ET_REL => Ok(Some(InputKind::Object)),
        elf::ET_DYN => Ok(Some(InputKind::Shared)),
        elf::ET_EXEC => Err(bad_input(name, "an executable can't be an input")),
        other => Err(bad_input(name, &format!("ELF file type {} can't be an input", other.0))),
    }
}
