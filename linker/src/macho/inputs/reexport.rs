//! Libraries that a library passes on: their install names → their files, their names. Must not know what is used.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Loader;
use crate::format::macho::read::File;
use crate::format::macho::stub::Library;
use crate::format::macho::{dylib, tbd};
use crate::macho::options::Kind;
use crate::{Error, ErrorKind};

/// A library that another passes on.
struct Wanted {
    name: Vec<u8>,
    /// The other's folder.
    dir: PathBuf,
    /// The other's `LC_RPATH`.
    rpaths: Vec<Vec<u8>>,
}

/// All that `library`, a file in `dir`, passes on.
fn wanted(library: &Library, dir: &Path) -> Vec<Wanted> {
    let one = |name: &Vec<u8>| {
        let (name, rpaths) = (name.clone(), library.rpaths.clone());
        Wanted { name, dir: dir.to_owned(), rpaths }
    };
    library.reexports.iter().map(one).collect()
}

/// The folder of the file at `path`.
fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

impl Loader<'_> {
    /// Adds the names of the libraries that `library`, the file at `path`, passes on.
    pub(super) fn pass_on(&self, library: &mut Library, path: &Path) {
        let mut work = wanted(library, folder(path));
        let inline = std::mem::take(&mut library.inline);
        let mut done: BTreeSet<Vec<u8>> = BTreeSet::from([library.install_name.clone()]);
        while let Some(next) = work.pop() {
            if !done.insert(next.name.clone()) {
                continue;
            }
            if let Some(inner) = inline.iter().find(|inner| inner.install_name == next.name) {
                library.exports.extend(inner.exports.iter().cloned());
                work.extend(wanted(inner, &next.dir));
            } else if let Some((inner, path)) = self.library_at(&next) {
                work.extend(wanted(&inner, folder(&path)));
                library.exports.extend(inner.exports);
            } else {
                library.missing.push(next.name);
            }
        }
    }

    /// Complains of what `library`, called `name`, passes on and nobody finds, as ld64 and lld do. What
    /// an object asked for was a hint only: there a name that is undefined is told why.
    pub(super) fn check_passed_on(&mut self, library: &Library, name: &str, auto: bool) {
        for missing in library.missing.iter().filter(|_| !auto) {
            let text = format!("unable to locate re-export {}", String::from_utf8_lossy(missing));
            self.errors.push(Error::new(ErrorKind::MissingFile, text).in_file(name));
        }
    }

    /// The library that `wanted` is, and its file, if it can be found.
    fn library_at(&self, wanted: &Wanted) -> Option<(Library, PathBuf)> {
        let places = self.places(std::str::from_utf8(&wanted.name).ok()?, wanted);
        for place in places.into_iter().flat_map(|place| [place.with_extension("tbd"), place]) {
            let Ok(data) = self.files.open(&place) else { continue };
            let bytes = &data[self.slice(&data).ok().flatten()?];
            if tbd::is_stub(bytes) {
                let text = String::from_utf8_lossy(bytes);
                return Some((tbd::library(&text, self.options.arch().name).ok()?, place));
            }
            return Some((dylib::library(&File::parse(bytes).ok()?).ok()?, place));
        }
        None
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
            let paths = wanted.rpaths.iter().filter_map(|path| std::str::from_utf8(path).ok());
            // One that starts with itself leads nowhere.
            let paths = paths.filter(|path| !path.starts_with("@rpath"));
            let whole = |path: &str| format!("{}/{rest}", path.trim_end_matches('/'));
            return paths.flat_map(|path| self.places(&whole(path), wanted)).collect();
        }
        let path = PathBuf::from(name);
        let inside = |root: &PathBuf| root.join(path.strip_prefix("/").unwrap_or(&path));
        self.options.roots.iter().map(inside).chain([path.clone()]).collect()
    }
}
