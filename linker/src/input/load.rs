//! From names on the command line to [`Input`]s: searching, sniffing, expanding.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use object::elf;
use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};

use super::expand::is_format;
use super::script::{Said, Script};
use super::{Data, Files, Input, InputKind, Inputs, archive, made};
use crate::arch::{ARCHES, Arch};
use crate::format::elf::class::Class;
use crate::options::{InputArg, Named, State};
use crate::{Error, ErrorKind, Errors, Options, Result};

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
pub(super) struct Loader<'a> {
    pub(super) options: &'a Options,
    pub(super) files: &'a dyn Files,
    /// The machine to skip other machines' libraries for, if it is known beforehand.
    pub(super) emulation: Option<&'static Arch>,
}

/// What one argument brought.
#[derive(Default)]
pub(super) struct Found {
    units: Vec<Unit>,
    pub(super) opened: Vec<PathBuf>,
    pub(super) said: Said,
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
                if let Err(error) = inputs.said.append(found.said, "linker scripts") {
                    errors.push(error);
                }
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
    check_machines(&mut inputs, options)?;
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
fn check_machines(inputs: &mut Inputs, options: &Options) -> Result<(), Errors> {
    let mut errors = Vec::new();
    for input in &inputs.list {
        // Sniffing has read it already.
        let Some(ident) = Ident::read(input.bytes()) else { continue };
        let wanted = match inputs.emulation.or_else(|| ident.emulation()) {
            Some(wanted) => wanted,
            None => {
                // A machine of Go's has no mode here; others are no machine at all.
                let machine = (ident.machine, ident.is_64, ident.is_little);
                let mode = crate::mode::check_machine(options, machine).err();
                let error = mode.unwrap_or_else(|| wrong_machine(ident, None));
                errors.push(error.in_file(&input.name));
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

pub(crate) fn os_error(error: &io::Error, path: &Path) -> Error {
    let kind = ErrorKind::of_open(error);
    Error::new(kind, format!("cannot open: {error}")).in_file(path.display().to_string())
}

pub(super) fn bad_input(name: &str, text: &str) -> Error {
    Error::new(ErrorKind::BadInput, text).in_file(name)
}

/// Whether `data` is an ELF file or a linker script for another machine than `arch`.
fn is_other(data: &[u8], arch: &Arch) -> bool {
    if let Some(ident) = Ident::read(data) {
        return !ident.is_for(arch);
    }
    let is_script = !archive::is_archive(data) && !data.starts_with(&elf::ELFMAG);
    let script = if is_script { Script::parse(data, "").ok() } else { None };
    script.and_then(|s| s.format).is_some_and(|format| !is_format(&format, arch))
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
            Named::Symbols(path) => {
                let data = self.files.open(path).map_err(|error| os_error(&error, path))?;
                let name = path.display().to_string();
                let object = made::symbols(&data, &name, self.arch()?)?;
                found.opened.push(path.clone());
                found.units.push(self.object(path.clone(), object.into(), arg.state, None));
                Ok(())
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

    pub(super) fn library(
        &self,
        name: &str,
        state: State,
        depth: usize,
        found: &mut Found,
    ) -> Result<()> {
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
                if self.emulation.is_some_and(|arch| is_other(&data, arch)) {
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
    pub(super) fn file(
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
        if state.binary {
            let object = made::binary(&data, &name, self.arch()?)?;
            found.units.push(self.object(path, object.into(), state, None));
            return Ok(());
        }
        if archive::is_archive(&data) {
            let inputs = self.archive(&path, &name, &data, state, found)?;
            found.units.push(Unit { path, is_archive: true, inputs });
            return Ok(());
        }
        match sniff(&data, &name)? {
            Some(InputKind::Object) => found.units.push(self.object(path, data, state, needed)),
            Some(InputKind::Shared) => {
                let mut unit = self.object(path, data, state, needed);
                for input in &mut unit.inputs {
                    (input.kind, input.lazy) = (InputKind::Shared, false);
                }
                found.units.push(unit);
            }
            None => self.script(&path, &name, &data, state, depth, found)?,
        }
        Ok(())
    }

    /// One file that is an object.
    fn object(&self, path: PathBuf, data: Data, state: State, needed: Option<&str>) -> Unit {
        let name = path.display().to_string();
        let input = Input {
            needed: needed.unwrap_or(&name).to_owned(),
            name,
            path: path.clone(),
            kind: InputKind::Object,
            state,
            lazy: state.lazy_objects,
            archive: None,
            hidden: false,
            range: 0..data.len(),
            data,
        };
        Unit { path, is_archive: false, inputs: vec![input] }
    }

    /// The machine that objects made here are for.
    fn arch(&self) -> Result<&'static Arch> {
        let arch = self.emulation.or_else(|| ARCHES.first().copied());
        arch.ok_or_else(|| Error::new(ErrorKind::WrongMachine, "no machine is supported"))
    }
}

/// What `bytes` are; `None` for what may be a script.
pub(super) fn sniff(bytes: &[u8], name: &str) -> Result<Option<InputKind>> {
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
