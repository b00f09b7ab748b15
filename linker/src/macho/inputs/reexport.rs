//! Libraries that a library passes on: their install names → their files, their names, or libraries that are linked
//! themselves. Must not know what is used.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rustc_hash::FxHashMap;

use super::{Content, Input, Loader};
use crate::format::macho::read::File;
use crate::format::macho::stub::Library;
use crate::format::macho::{dylib, filetype, tbd};
use crate::macho::options::{Kind, Take};
use crate::{Error, ErrorKind};

/// A library that another passes on, or loads.
struct Wanted {
    name: Vec<u8>,
    /// The other's folder.
    dir: PathBuf,
    /// What `@rpath` may be: the other's `LC_RPATH` and its folder, then those of who passes that on.
    rpaths: Rpaths,
    /// The other is linked itself.
    linked: bool,
}

/// A library that who uses it links, though only another names it.
pub(super) struct Implied {
    why: Why,
    library: Library,
    dir: PathBuf,
    rpaths: Rpaths,
}

/// Why a library is linked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    /// Anybody may link it, and another passes it on.
    PassedOn,
    /// It had names on an older system that another has now.
    Previous,
}

/// Folders, each with that of the image which says so.
pub(super) type Rpaths = Vec<(Vec<u8>, PathBuf)>;

/// All that `library`, a file in `dir`, passes on; or, if `loads`, the rest of what it loads.
fn wanted(library: &Library, dir: &Path, above: &Rpaths, loads: bool) -> Vec<Wanted> {
    let own = library.rpaths.iter().map(|path| (path.clone(), dir.to_owned()));
    let rpaths: Rpaths = own.chain(above.iter().cloned()).collect();
    let list = if loads { &library.loads } else { &library.reexports };
    let one = |name: &Vec<u8>| Wanted {
        name: name.clone(),
        dir: dir.to_owned(),
        rpaths: rpaths.clone(),
        linked: false,
    };
    list.iter().map(one).collect()
}

/// Whether a library called so is there for everybody: one of the system, and no part of another.
///
/// Spec: man ld, `-no_implicit_dylibs`: "a re-exported dylib that is public (in /usr/lib or
/// /System/Library/Frameworks)".
fn is_public(name: &[u8]) -> bool {
    if let Some(leaf) = name.strip_prefix(b"/usr/lib/") {
        return !leaf.contains(&b'/');
    }
    let Some(inside) = name.strip_prefix(b"/System/Library/Frameworks/") else { return false };
    let mut parts = inside.split(|&byte| byte == b'/');
    let framework = parts.next().and_then(|part| part.strip_suffix(b".framework"));
    framework.is_some() && parts.next_back() == framework
}

/// The folder of the file at `path`.
pub(super) fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

impl Loader<'_> {
    /// Adds the names of the libraries that `library`, which is in `dir`, passes on; in a flat namespace those of
    /// all that it loads are seen, too. Gives those that are linked themselves.
    pub(super) fn pass_on(
        &self,
        library: &mut Library,
        dir: &Path,
        above: &Rpaths,
    ) -> Vec<Implied> {
        let mut implied = Vec::new();
        let mut work = wanted(library, dir, above, false);
        let mut later = wanted(library, dir, above, true);
        work.iter_mut().for_each(|wanted| wanted.linked = true);
        let mut inline = std::mem::take(&mut library.inline);
        let mut done: BTreeSet<Vec<u8>> = BTreeSet::from([library.install_name.clone()]);
        let mut flat = false;
        loop {
            let Some(next) = work.pop() else {
                if flat || !self.options.flat {
                    break;
                }
                (work, flat) = (std::mem::take(&mut later), true);
                continue;
            };
            if !done.insert(next.name.clone()) {
                continue;
            }
            let inner = inline.iter().position(|inner| inner.install_name == next.name);
            let found = match inner {
                Some(at) => Some((std::mem::take(&mut inline[at]), next.dir.clone())),
                None => self.library_at(&next).map(|(lib, path)| (lib, folder(&path).to_owned())),
            };
            let Some((mut inner, dir)) = found else {
                // What is only loaded need not be here.
                library.missing.extend((!flat).then_some(next.name));
                continue;
            };
            if next.linked && self.implies(&inner, &next.name) {
                inner.inline.extend(inline.iter().cloned());
                let (why, rpaths) = (Why::PassedOn, next.rpaths);
                implied.push(Implied { why, library: inner, dir, rpaths });
                continue;
            }
            work.extend(wanted(&inner, &dir, &next.rpaths, false));
            let loads = wanted(&inner, &dir, &next.rpaths, true);
            match flat {
                true => work.extend(loads),
                false => later.extend(loads),
            }
            let names = if flat { &mut library.indirect } else { &mut library.exports };
            names.extend(inner.exports);
            library.previous.extend(inner.previous);
        }
        let previous = std::mem::take(&mut library.previous).into_iter();
        implied.extend(previous.map(|library| Implied {
            why: Why::Previous,
            library,
            dir: dir.to_owned(),
            rpaths: Rpaths::new(),
        }));
        implied
    }

    /// Whether `library`, passed on as `name` by one that is linked, is linked itself.
    fn implies(&self, library: &Library, name: &[u8]) -> bool {
        !self.options.no_implicit
            && !self.options.flat
            && !library.restricted
            && library.install_name == name
            && is_public(name)
    }

    /// Adds the libraries that are linked because others pass them on: behind all that are named, sorted, and only
    /// if used.
    pub(super) fn add_implied(&mut self) {
        let named = self.list.len();
        let name_of = |input: &Input| match &input.content {
            Content::Library(library) => Some(library.install_name.clone()),
            _ => None,
        };
        let known = self.list.iter().enumerate().rev();
        let known = known.filter_map(|(at, input)| Some((name_of(input)?, at)));
        let mut known: FxHashMap<Vec<u8>, usize> = known.collect();
        while !self.implied.is_empty() {
            for (next, auto) in std::mem::take(&mut self.implied) {
                let Implied { why, mut library, dir, rpaths } = next;
                if let Some(&same) = known.get(&library.install_name) {
                    // It may be known by what it is now.
                    if let (Why::Previous, Content::Library(same)) =
                        (why, &mut self.list[same].content)
                    {
                        same.exports.extend(library.exports);
                    }
                    continue;
                }
                known.insert(library.install_name.clone(), self.list.len());
                let more = self.pass_on(&mut library, &dir, &rpaths);
                self.implied.extend(more.into_iter().map(|next| (next, auto)));
                let name = String::from_utf8_lossy(&library.install_name).into_owned();
                self.check_passed_on(&library, &name, auto);
                self.list.push(Input {
                    path: PathBuf::from(&name),
                    name,
                    content: Content::Library(Box::new(library)),
                    take: Take::default(),
                    auto: true,
                    data: Vec::new().into(),
                    range: 0..0,
                    thin: Vec::new(),
                });
            }
        }
        self.list[named..].sort_by(|one, other| one.name.cmp(&other.name));
    }

    /// Complains of what `library`, called `name`, passes on and nobody finds, as ld64 and lld do. What
    /// an object asked for was a hint only: there a name that is undefined is told why.
    pub(super) fn check_passed_on(&mut self, library: &Library, name: &str, auto: bool) {
        for missing in library.missing.iter().filter(|_| !auto) {
            let text = format!("unable to locate re-export {}", String::from_utf8_lossy(missing));
            self.errors.push(Error::new(ErrorKind::MissingFile, text).in_file(name));
        }
    }

    /// The library that `wanted` is, and its file, if it can be found: first where libraries are looked for.
    fn library_at(&self, wanted: &Wanted) -> Option<(Library, PathBuf)> {
        let name = std::str::from_utf8(&wanted.name).ok()?;
        let places = self.places(name, wanted);
        let stub = |place: PathBuf| [place.with_extension("tbd"), place];
        let places = places.into_iter().flat_map(stub);
        self.searched(name).into_iter().chain(places).find_map(|place| {
            let data = self.files.open(&place).ok()?;
            let mut library = self.read(&data[self.slice(&data).ok().flatten()?])?;
            library.as_of(self.options.minos);
            Some((library, place))
        })
    }

    /// The library that `bytes` are, if it is for this machine.
    fn read(&self, bytes: &[u8]) -> Option<Library> {
        let machine = self.options.arch();
        if tbd::is_stub(bytes) {
            return tbd::library(&String::from_utf8_lossy(bytes), machine.name).ok()?;
        }
        let file = File::parse(bytes).ok()?;
        let is_library = matches!(file.header.filetype, filetype::DYLIB | filetype::DYLIB_STUB);
        (is_library && super::check(&file, machine, "").is_ok())
            .then(|| dylib::library(&file).ok())
            .flatten()
    }

    /// Where `-L`, `-F` and the system's folders have a library of this name.
    ///
    /// Spec: man ld, "Indirect dynamic libraries": "ld first uses the specified search paths".
    fn searched(&self, name: &str) -> Vec<PathBuf> {
        let (rest, leaf) = name.rsplit_once('/').unwrap_or(("", name));
        // A framework's library may be in a folder of its version.
        let versioned = rest.rsplit_once("/Versions/").map_or(rest, |(framework, _)| framework);
        let framework = format!("{leaf}.framework");
        let is_framework = versioned.rsplit('/').next() == Some(&*framework);
        let (dirs, inside) = match is_framework {
            true => (self.framework_folders(), format!("{framework}/{leaf}")),
            false => (self.library_folders(), leaf.to_owned()),
        };
        let all = dirs.iter().map(|dir| dir.join(&inside));
        all.flat_map(|place| [place.with_extension("tbd"), place]).collect()
    }

    /// Where a file called `name` may be, as the loader would look for it.
    fn places(&self, name: &str, wanted: &Wanted) -> Vec<PathBuf> {
        if let Some(rest) = name.strip_prefix("@loader_path/") {
            return vec![wanted.dir.join(rest)];
        }
        if let Some(rest) = name.strip_prefix("@executable_path/") {
            // Only a program knows where it is.
            let program = self.options.kind == Kind::Execute;
            return program.then(|| folder(&self.options.output).join(rest)).into_iter().collect();
        }
        if let Some(rest) = name.strip_prefix("@rpath/") {
            let output = folder(&self.options.output);
            let own = self.options.rpaths.iter().map(|path| (path.as_str(), output));
            let theirs = wanted
                .rpaths
                .iter()
                .filter_map(|(path, dir)| Some((std::str::from_utf8(path).ok()?, dir.as_path())));
            // One that starts with itself leads nowhere.
            let paths = theirs.chain(own).filter(|(path, _)| !path.starts_with("@rpath"));
            let at = |(path, dir): (&str, &Path)| {
                let whole = format!("{}/{rest}", path.trim_end_matches('/'));
                let (name, rpaths) = (Vec::new(), Rpaths::new());
                let wanted = Wanted { name, dir: dir.to_owned(), rpaths, linked: false };
                self.places(&whole, &wanted)
            };
            return paths.flat_map(at).collect();
        }
        let path = PathBuf::from(name);
        let inside = |root: &PathBuf| root.join(path.strip_prefix("/").unwrap_or(&path));
        self.options.roots.iter().map(inside).chain([path.clone()]).collect()
    }
}
