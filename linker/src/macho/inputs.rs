//! Inputs: the files of a link, found as ld64 finds them and told apart by content: objects, archives,
//! dynamic libraries, text stubs, or files of several machines with one of them inside. Libraries
//! are read here, with those they pass on. Must not know what is inside an object.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

mod archive;
mod reexport;

use super::machine::Machine;
use super::options::{Named, Options, Take};
use crate::format::macho::read::{File, Read, bad, is_fat, is_macho, slices};
use crate::format::macho::stub::Library;
use crate::format::macho::{dylib, filetype, lc, platform, tbd};
use crate::input::{BITCODE, Data, Files, is_archive, is_bitcode, os_error};
use crate::{Error, ErrorKind, Result};

/// What an input is.
#[derive(Clone, Debug)]
pub enum Content {
    /// A relocatable object.
    Object,
    /// An archive of them.
    Archive,
    /// A dynamic library, read.
    Library(Box<Library>),
    /// For another machine: why it is as if it were not there.
    Ignored(String),
}

/// One file.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Input {
    /// What people call it.
    pub name: String,
    pub path: PathBuf,
    pub content: Content,
    pub take: Take,
    /// An object asked for it, not the command line: it stays only if it is used.
    pub auto: bool,
    data: Data,
    range: Range<usize>,
    /// The members of a thin archive, which are files of their own.
    thin: Vec<(PathBuf, Data)>,
}

impl Input {
    /// Why it is left out, if it is.
    pub fn ignored(&self) -> Option<&str> {
        match &self.content {
            Content::Ignored(text) => Some(text),
            _ => None,
        }
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.data[self.range.clone()]
    }
}

/// `inputs` after an object that the linker made, called [`crate::mode::OBJECT`].
pub fn with_made(object: &[u8], inputs: &[Input]) -> Vec<Input> {
    let made = Input {
        name: crate::mode::OBJECT.into(),
        path: PathBuf::new(),
        content: Content::Object,
        take: Take::default(),
        auto: false,
        range: 0..object.len(),
        data: object.to_vec().into(),
        thin: Vec::new(),
    };
    std::iter::once(made).chain(inputs.iter().cloned()).collect()
}

/// Loads everything `options` name; and what is wrong with it: `missing-file`, `bad-input`, `wrong-machine`, `io`.
pub fn load(options: &Options, files: &dyn Files) -> (Vec<Input>, Vec<Error>) {
    let mut loader = Loader {
        options,
        files,
        list: Vec::new(),
        implied: Vec::new(),
        seen: BTreeSet::new(),
        errors: Vec::new(),
    };
    for (named, take) in &options.inputs {
        let result = loader.named(named, *take, false);
        loader.note(result);
    }
    if let Some(path) = &options.bundle_loader {
        let result = loader.host(path);
        loader.note(result);
    }
    loader.auto_link();
    loader.add_implied();
    (loader.list, loader.errors)
}

struct Loader<'o> {
    options: &'o Options,
    files: &'o dyn Files,
    list: Vec<Input>,
    /// Those that are linked because one of the list passes them on, and whether that is `auto`.
    implied: Vec<(reexport::Implied, bool)>,
    /// Libraries and archives named twice count once.
    seen: BTreeSet<PathBuf>,
    errors: Vec<Error>,
}

/// How libraries end, in the order they are looked for.
const LIBRARIES: [&str; 3] = [".tbd", ".dylib", ".a"];

impl Loader<'_> {
    /// Notes what is wrong with a file. As ld64 does it, one for another machine is left out with a warning: a
    /// build for several machines gives each link the files of all.
    fn note(&mut self, result: Result<()>) {
        let Err(error) = result else { return };
        if error.kind() != ErrorKind::WrongMachine || self.options.arch_errors_fatal {
            self.errors.push(error);
            return;
        }
        let text = format!("{error}; ignored");
        if self.list.iter().any(|input| input.ignored() == Some(&text)) {
            return;
        }
        self.list.push(Input {
            name: String::new(),
            path: PathBuf::new(),
            content: Content::Ignored(text),
            take: Take::default(),
            auto: false,
            data: Vec::new().into(),
            range: 0..0,
            thin: Vec::new(),
        });
    }

    fn named(&mut self, named: &Named, take: Take, auto: bool) -> Result<()> {
        let missing = |text: String| Error::new(ErrorKind::MissingFile, text);
        match named {
            Named::Path(path) => self.path(path, take, auto),
            Named::Library(name) => {
                let dirs = self.library_folders();
                // `-lname.o` asks for just that file.
                let names: Vec<String> = match name.ends_with(".o") {
                    true => vec![name.clone()],
                    false => LIBRARIES.iter().map(|end| format!("lib{name}{end}")).collect(),
                };
                self.first(&dirs, &names, take, auto)?
                    .ok_or_else(|| missing(format!("library not found: -l{name}")))
            }
            Named::Framework(name) => {
                let dirs = self.framework_folders();
                let names: Vec<String> = [".tbd", ""]
                    .iter()
                    .map(|end| format!("{name}.framework/{name}{end}"))
                    .collect();
                self.first(&dirs, &names, take, auto)?
                    .ok_or_else(|| missing(format!("framework not found: {name}")))
            }
        }
    }

    /// Where libraries are.
    fn library_folders(&self) -> Vec<PathBuf> {
        self.folders(&self.options.library_paths, &["/usr/lib", "/usr/local/lib"])
    }

    /// Where frameworks are.
    fn framework_folders(&self) -> Vec<PathBuf> {
        let system = ["/Library/Frameworks", "/System/Library/Frameworks"];
        self.folders(&self.options.framework_paths, &system)
    }

    /// Where to look: absolute folders are inside the SDK first.
    fn folders(&self, own: &[PathBuf], system: &[&str]) -> Vec<PathBuf> {
        let roots = &self.options.roots;
        let mut out = Vec::new();
        let system = system.iter().map(|dir| PathBuf::from(*dir));
        let system = system.filter(|_| !self.options.no_default_paths);
        for (dir, is_system) in
            own.iter().cloned().map(|d| (d, false)).chain(system.map(|d| (d, true)))
        {
            let inside = |root: &PathBuf| root.join(dir.strip_prefix("/").unwrap_or(&dir));
            if dir.is_absolute() {
                out.extend(roots.iter().map(inside));
            }
            if !is_system || roots.is_empty() {
                out.push(dir);
            }
        }
        out
    }

    /// Loads the first of `names` that is in one of `dirs` and for this machine.
    fn first(
        &mut self,
        dirs: &[PathBuf],
        names: &[String],
        take: Take,
        auto: bool,
    ) -> Result<Option<()>> {
        // All folders may be searched for libraries first.
        let last = names.iter().filter(|name| self.options.dylibs_first && name.ends_with(".a"));
        let last: Vec<&String> = last.collect();
        let first: Vec<&String> = names.iter().filter(|name| !last.contains(name)).collect();
        let places = |names: Vec<&String>| -> Vec<PathBuf> {
            dirs.iter().flat_map(|dir| names.iter().map(|name| dir.join(name))).collect()
        };
        let mut unfit = Vec::new();
        for path in places(first).into_iter().chain(places(last)) {
            let Ok(data) = self.files.open(&path) else { continue };
            match self.file(&path, data, take, auto) {
                Err(error) if error.kind() == ErrorKind::WrongMachine => unfit.push(error),
                result => {
                    unfit.into_iter().for_each(|error| self.note(Err(error)));
                    return result.map(Some);
                }
            }
        }
        unfit.into_iter().next().map_or(Ok(None), Err)
    }

    fn open(&self, path: &Path) -> Result<Data> {
        self.files.open(path).map_err(|error| os_error(&error, path))
    }

    fn path(&mut self, path: &Path, take: Take, auto: bool) -> Result<()> {
        let data = self.open(path)?;
        self.file(path, data, take, auto)
    }

    /// Loads the program that the bundle is for.
    fn host(&mut self, path: &Path) -> Result<()> {
        let data = self.open(path)?;
        let name = path.display().to_string();
        let range = self.part(&data, &name)?;
        let bytes = &data[range.clone()];
        let is_program = |file: &File<'_>| file.header.filetype == filetype::EXECUTE;
        let file = is_macho(bytes).then(|| File::parse(bytes)).transpose();
        let Some(file) = file.map_err(|error| error.in_file(&name))?.filter(is_program) else {
            return Err(wrong(&name, "not a program, which -bundle_loader wants"));
        };
        check(&file, self.options.arch(), &name)?;
        let content = self.dylib(&file, path, &name, false)?;
        self.add(path, name, content, (Take::default(), false), (data, range))
    }

    /// The part of `data`, the file called `name`, for the machine.
    fn part(&self, data: &[u8], name: &str) -> Result<Range<usize>> {
        self.slice(data).map_err(|e| e.in_file(name))?.ok_or_else(|| {
            let text = format!("no part for {} in it", self.options.arch().name);
            Error::new(ErrorKind::WrongMachine, text).in_file(name)
        })
    }

    fn file(&mut self, path: &Path, data: Data, take: Take, auto: bool) -> Result<()> {
        let name = path.display().to_string();
        let range = self.part(&data, &name)?;
        let bytes = &data[range.clone()];
        let content = if is_archive(bytes) {
            Content::Archive
        } else if is_macho(bytes) {
            let file = File::parse(bytes).map_err(|error| error.in_file(&name))?;
            check(&file, self.options.arch(), &name)?;
            match file.header.filetype {
                filetype::OBJECT => Content::Object,
                filetype::DYLIB | filetype::DYLIB_STUB => self.dylib(&file, path, &name, auto)?,
                filetype::EXECUTE => {
                    return Err(wrong(&name, "a program, which only -bundle_loader takes"));
                }
                _ => return Err(wrong(&name, "neither an object nor a dynamic library")),
            }
        } else if tbd::is_stub(bytes) {
            let (text, arch) = (String::from_utf8_lossy(bytes), self.options.arch().name);
            let library = tbd::library(&text, arch).map_err(|text| wrong(&name, &text))?;
            let library = library.ok_or_else(|| {
                let text = format!("has nothing for {arch}-macos");
                Error::new(ErrorKind::WrongMachine, text).in_file(&name)
            })?;
            self.library(library, path, &name, auto)
        } else if is_bitcode(bytes) {
            return Err(wrong(&name, BITCODE));
        } else {
            return Err(wrong(&name, "not an object, archive, dynamic library or text stub"));
        };
        self.add(path, name, content, (take, auto), (data, range))
    }

    /// The dynamic library, or program, that `file` is.
    fn dylib(&mut self, file: &File<'_>, path: &Path, name: &str, auto: bool) -> Result<Content> {
        let library = dylib::library(file).map_err(|error| error.in_file(name))?;
        Ok(self.library(library, path, name, auto))
    }

    /// `library` with what it passes on.
    fn library(&mut self, mut library: Library, path: &Path, name: &str, auto: bool) -> Content {
        library.as_of(self.options.minos);
        let implied = self.pass_on(&mut library, reexport::folder(path), &Vec::new());
        self.implied.extend(implied.into_iter().map(|next| (next, auto)));
        self.check_passed_on(&library, name, auto);
        Content::Library(Box::new(library))
    }

    /// Adds an input.
    fn add(
        &mut self,
        path: &Path,
        name: String,
        content: Content,
        (take, auto): (Take, bool),
        (data, range): (Data, Range<usize>),
    ) -> Result<()> {
        // Objects named twice are linked twice, which is an error worth hearing of.
        let again = !matches!(content, Content::Object) && !self.seen.insert(path.to_owned());
        if again {
            let mut same = self.list.iter_mut().filter(|input| input.path == path);
            if let Some(input) = same.next() {
                input.take.add(take);
            }
            return Ok(());
        }
        let path = path.to_owned();
        let thin = match content {
            Content::Archive => self.thin(&path, &data[range.clone()], &name)?,
            _ => Vec::new(),
        };
        let input = Input { name, path, content, take, auto, data, range, thin };
        if matches!(input.content, Content::Archive) {
            // What is left out hasn't been seen: another name of it is told of, too, and looked past.
            input
                .check_members(self.options.arch())
                .inspect_err(|_| _ = self.seen.remove(&input.path))?;
        }
        self.list.push(input);
        Ok(())
    }

    /// The part of `data` for the machine: all of it unless the file is fat.
    fn slice(&self, data: &[u8]) -> Read<Option<Range<usize>>> {
        if !is_fat(data) {
            return Ok(Some(0..data.len()));
        }
        let wanted = self.options.arch();
        let mut mine = slices(data)?;
        mine.retain(|slice| slice.0 == wanted.cpu);
        // arm64e's part is for arm64 only if there is nothing else.
        mine.sort_by_key(|slice| slice.1 & 0xff_ffff != wanted.subtype);
        Ok(mine.into_iter().next().map(|slice| slice.2))
    }

    /// Loads what objects themselves ask for: `LC_LINKER_OPTION`. What is missing was a hint only.
    fn auto_link(&mut self) {
        let mut wanted: Vec<Vec<String>> = Vec::new();
        for input in &self.list {
            match input.content {
                Content::Object => wanted.extend(asks(input.bytes()).unwrap_or_default()),
                Content::Archive => {
                    let Ok(archive) = input.archive() else { continue };
                    let bytes = input.members(&archive).map(|member| member.bytes);
                    wanted.extend(bytes.flat_map(|bytes| asks(bytes).unwrap_or_default()));
                }
                Content::Library(_) | Content::Ignored(_) => {}
            }
        }
        wanted.sort();
        wanted.dedup();
        for option in wanted {
            let named = match option.as_slice() {
                [one] => match one.strip_prefix("-l") {
                    Some(name) => Named::Library(name.to_owned()),
                    None => continue,
                },
                [framework, name] if framework == "-framework" => Named::Framework(name.clone()),
                _ => continue,
            };
            let _ = self.named(&named, Take::default(), true);
        }
    }
}

/// Whether a link for `machine` can use `file`, called `name`.
///
/// Errors: `wrong-machine`; `bad-input` for another system.
pub fn check(file: &File<'_>, machine: &Machine, name: &str) -> Result<()> {
    let cpu = file.header.cpu;
    if cpu != machine.cpu {
        let text = match Machine::of(cpu) {
            Some(other) => format!("is for {}, the link for {}", other.name, machine.name),
            None => format!("is for an unknown machine, {cpu:#x}"),
        };
        return Err(Error::new(ErrorKind::WrongMachine, text).in_file(name));
    }
    // A library's code stays its own; that of an object calls, and is called, in another way.
    let stranger = machine.stranger(file.header.subtype);
    if let Some(other) = stranger.filter(|_| file.header.filetype == filetype::OBJECT) {
        let text = format!("is for {other}, the link for {}", machine.name);
        return Err(Error::new(ErrorKind::WrongMachine, text).in_file(name));
    }
    let platforms = file.platforms().map_err(|error| error.in_file(name))?;
    match platforms.first() {
        Some(&other) if !platforms.contains(&platform::MACOS) => {
            let (other, own) = (platform::name(other), platform::name(platform::MACOS));
            Err(wrong(name, &format!("is for {other}, the link for {own}")))
        }
        _ => Ok(()),
    }
}

/// The linker options in an object.
fn asks(bytes: &[u8]) -> Read<Vec<Vec<String>>> {
    let mut out = Vec::new();
    if !is_macho(bytes) {
        return Ok(out);
    }
    for command in File::parse(bytes)?.commands.iter().filter(|c| c.cmd == lc::LINKER_OPTION) {
        let count = command.bytes.u32(8)? as usize;
        let text = command.bytes.0.get(12..).unwrap_or_default();
        let words = text.split(|&byte| byte == 0).take(count);
        let words: Vec<String> =
            words.map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        if words.len() < count {
            return bad(command.at, "a linker option is cut short");
        }
        out.push(words);
    }
    Ok(out)
}

fn wrong(name: &str, text: &str) -> Error {
    Error::new(ErrorKind::BadInput, text).in_file(name)
}
