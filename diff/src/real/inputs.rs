//! Inputs by their names → files of a request: libraries as linkers search for them, and what text scripts name.
//!
//! A script's inputs become arguments, so that each linker finds them and what a build mode adds sees them. It must not
//! know any other option.

use std::io;
use std::path::{Path, PathBuf};

use super::script::{self, Item, Script};
use super::{Reader, rooted};

/// Where GNU ld looks by itself, after every `-L`; a compiler names these to the others.
const BUILT_IN: &[&str] = &["/usr/local/lib", "/lib", "/usr/lib"];

/// Scripts within scripts within scripts.
const MAX_DEPTH: usize = 32;
/// Arguments in all, so that scripts that name others twice end.
const MAX_ARGS: usize = 1 << 16;

impl Reader<'_> {
    /// A file that an argument names, or what it names if it is a script.
    pub(super) fn input(&mut self, path: &Path, shown: &str) -> io::Result<()> {
        let Some(script) = read(path) else {
            let name = self.file(path, shown)?;
            self.request.args.push(name);
            return Ok(());
        };
        if let Some(rest) = &script.rest {
            let name = self.keep(path, super::base(path), rest.clone().into_bytes());
            self.request.args.push(name);
        }
        self.named_by(&script, path, shown)
    }

    /// `-lNAME`: the file where a `-L` folder has it, else the linker's own search.
    pub(super) fn library(&mut self, name: &str) -> io::Result<()> {
        let names = match name.strip_prefix(':') {
            Some(exact) => vec![exact.to_owned()],
            None if self.prefer_static => vec![format!("lib{name}.a")],
            None => vec![format!("lib{name}.so"), format!("lib{name}.a")],
        };
        let found = self
            .folders
            .iter()
            .flat_map(|folder| names.iter().map(|name| folder.join(name)))
            .find(|path| path.is_file());
        match found {
            Some(path) if is_binary(&path)? => {
                let shown = path.display().to_string();
                let name = self.file(&path, &shown)?;
                self.request.args.push(name);
            }
            Some(path) => match read(&path).filter(|script| self.has_all(script, &path)) {
                Some(script) => self.named_by(&script, &path, &path.display().to_string())?,
                None => self.request.args.push(format!("-l{name}")),
            },
            None => self.request.args.push(format!("-l{name}")),
        }
        Ok(())
    }

    /// The inputs of the script at `path`.
    fn named_by(&mut self, script: &Script, path: &Path, shown: &str) -> io::Result<()> {
        if self.scripts == MAX_DEPTH || self.request.args.len() > MAX_ARGS {
            let text = format!("{shown}: scripts are nested too deeply");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        self.scripts += 1;
        let folders = script.folders.iter().map(|folder| self.dir.join(folder));
        let folders: Vec<PathBuf> = folders.collect();
        self.folders.extend(folders);
        // Groups have none within them.
        let outer = self.in_group;
        for item in &script.items {
            match item {
                Item::Option("--start-group" | "--end-group") if outer => {}
                Item::Option(option) => {
                    match *option {
                        "--start-group" => self.in_group = true,
                        "--end-group" => self.in_group = false,
                        _ => {}
                    }
                    self.request.args.push((*option).to_owned());
                }
                Item::Input(name) => match name.strip_prefix("-l") {
                    Some(library) => self.library(library)?,
                    None => {
                        let found = self.find(name, path).ok_or_else(|| {
                            let text = format!("{shown}: {name}: no such file");
                            io::Error::new(io::ErrorKind::NotFound, text)
                        })?;
                        self.input(&found, name)?;
                    }
                },
            }
        }
        self.in_group = outer;
        self.scripts -= 1;
        Ok(())
    }

    /// Whether all files are there that a library's script names: else the linkers know better where they are.
    fn has_all(&self, script: &Script, path: &Path) -> bool {
        script.rest.is_none()
            && script.items.iter().all(|item| match item {
                Item::Input(name) => name.starts_with("-l") || self.find(name, path).is_some(),
                Item::Option(_) => true,
            })
    }

    /// Where the file is that the script at `from` calls `name`.
    ///
    /// Spec: GNU ld's manual, `INPUT`: below the root of the system's files if the script is, in the current folder, beside
    /// the script, or where libraries are.
    fn find(&self, name: &str, from: &Path) -> Option<PathBuf> {
        let inside = self.root.as_ref().is_some_and(|root| from.starts_with(root));
        if let Some(name) =
            rooted(name).or(Some(name).filter(|name| inside && name.starts_with('/')))
        {
            return Some(self.below(name)).filter(|path| path.is_file());
        }
        let beside = from.parent().unwrap_or(self.dir);
        let folders = [self.dir, beside].into_iter().chain(self.folders.iter().map(|it| &**it));
        folders.map(|folder| folder.join(name)).find(|path| path.is_file())
    }

    /// The folders that GNU ld would search for the libraries left to a search, for every linker.
    pub(super) fn built_in(&self) -> Vec<String> {
        let search = |arg: &String| arg.starts_with("-l") && !arg.starts_with("--");
        if !self.request.args.iter().any(search) {
            return Vec::new();
        }
        let multiarch = self.request.target.arch.multiarch();
        let both = |root: &&str| [format!("{root}/{multiarch}"), (*root).to_owned()];
        let folders = BUILT_IN.iter().flat_map(both).filter(|folder| Path::new(folder).is_dir());
        folders.map(|folder| format!("-L{folder}")).collect()
    }
}

/// The script at `path` that names inputs, if that is what is there.
pub(super) fn read(path: &Path) -> Option<Script> {
    if !path.is_file() || is_binary(path).ok()? {
        return None;
    }
    script::parse(&std::fs::read_to_string(path).ok()?)
}

/// Whether a file is an object, a library or an archive.
fn is_binary(path: &Path) -> io::Result<bool> {
    use io::Read as _;
    let mut head = [0; 4];
    let n = std::fs::File::open(path)?.read(&mut head)?;
    Ok(head[..n].starts_with(b"\x7fELF") || head[..n].starts_with(b"!<"))
}

#[cfg(test)]
mod tests {
    use super::super::request;
    use crate::{Request, Target};
    use std::path::Path;

    fn parse(line: &str, dir: &Path) -> Result<Request, String> {
        let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
        request(Target::AMD64_ELF, &args, dir).map_err(|error| error.to_string())
    }

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        dir
    }

    #[test]
    fn what_scripts_name_is_there_for_every_linker() {
        let dir = folder(&[
            ("a.o", "1"),
            ("sub/b.o", "2"),
            ("lib/libc.a", "!<arch>\n"),
            ("sc", "INPUT(a.o sub/sc2)"),
            ("sub/sc2", "GROUP(b.o -lc AS_NEEDED(sc3))"),
            ("lib/sc3", "GROUP(a.o)"),
            ("lib/libr.so", "GROUP(libc.a)"),
            ("lib/libgone.so", "GROUP(/nowhere/libgone.so.1)"),
            ("root/lib/libx.so", "INPUT(/lib/x.o =/lib/x.o)"),
            ("root/lib/x.o", "3"),
            ("both", "INPUT(a.o) PROVIDE(x = 1);"),
        ]);
        let absolute = dir.path().join("abs");
        std::fs::write(&absolute, format!("INPUT({})", dir.path().join("a.o").display())).unwrap();
        let args = |line: &str| parse(line, dir.path()).map(|request| request.args.join(" "));
        let folder = format!("-L{}", dir.path().join("lib").display());
        let nested = format!(
            "a.o --start-group b.o libc.a --push-state --as-needed a.o --pop-state --end-group {folder}"
        );
        assert_eq!(args("sc -Llib"), Ok(nested));
        assert_eq!(args("abs"), Ok("a.o".into()));
        assert_eq!(args("-lr -Llib"), Ok(format!("--start-group libc.a --end-group {folder}")));
        let open = format!("--start-group libc.a --end-group {folder}");
        assert_eq!(args("--start-group -lr --end-group -Llib"), Ok(open));
        // What is nowhere here may be somewhere for a linker.
        assert!(args("-lgone -Llib").unwrap().starts_with("-lgone "));
        let root = format!("--sysroot={}", dir.path().join("root").display());
        // Wherever the root is said; linkers get it as a path that holds where they run.
        std::fs::write(dir.path().join("rsp"), "-L=lib -lx --sysroot root").unwrap();
        for line in [&*format!("{root} -Lroot/lib -lx"), "@rsp"] {
            let found = args(line).unwrap();
            assert!(found.contains("root/lib x.o x.o") && found.contains(&root), "{found}");
        }
        // The rest of a script, and scripts that are an option's.
        let request = parse("both", dir.path()).unwrap();
        assert_eq!(request.args, ["both", "a.o"]);
        assert_eq!(
            request.file("both").map(|file| &file.bytes[..]),
            Some(&b"  PROVIDE(x = 1);"[..])
        );
        assert_eq!(args("-T sc a.o"), Ok("-T sc a.o".into()));
    }

    #[test]
    fn what_scripts_name_must_be_there() {
        let dir = folder(&[("sc", "INPUT(gone.o)"), ("self", "INPUT(self)")]);
        assert_eq!(parse("sc", dir.path()).unwrap_err(), "sc: gone.o: no such file");
        let error = parse("self", dir.path()).unwrap_err();
        assert_eq!(error, "self: scripts are nested too deeply");
        // Two to the power of thirty.
        for at in 0..30 {
            let text = format!("INPUT(s{} s{})", at + 1, at + 1);
            std::fs::write(dir.path().join(format!("s{at}")), text).unwrap();
        }
        std::fs::write(dir.path().join("s30"), "\x7fELF").unwrap();
        let error = parse("s0", dir.path()).unwrap_err();
        assert!(error.ends_with(": scripts are nested too deeply"), "{error}");
        assert_eq!(parse("s30", dir.path()).unwrap().args, ["s30"]);
    }
}
