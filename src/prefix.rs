//! `scold prefix DIR`: a folder of links that makes compilers call the reference linker.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::exit::{Answer, Done, Failure};
use crate::out::outln;

/// The names under which compilers look for a linker in a `-B` folder; `ld64.` is what clang puts before that of
/// `-fuse-ld` for Apple's systems.
const NAMES: &[&str] = &["ld", "ld.scold", "ld.bfd", "ld.gold", "ld.lld", "ld64.scold", "ld64.lld"];

/// Make a folder for `gcc -B DIR`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  scold prefix ~/scold-ld && gcc -B ~/scold-ld -shared -o liba.so a.c
  clang --target=arm64-apple-macos13 -isysroot SDK -fuse-ld=scold -B ~/scold-ld -shared -o liba.dylib a.c
  RUSTFLAGS=\"-C link-arg=-B$HOME/scold-ld\" cargo build
  go build -buildmode=c-shared -ldflags=\"-linkmode=external -extldflags=-B$HOME/scold-ld\"")]
pub(crate) struct Prefix {
    /// The folder; made if it is not there
    dir: PathBuf,
}

impl Prefix {
    pub(crate) fn run(self) -> Answer {
        // Not `ld-scold` beside it, which may be of another build: called ld, this program is the linker.
        let linker = std::env::current_exe()
            .and_then(|this| this.canonicalize())
            .map_err(|error| Failure::environment("no linker", error))?;
        fs::create_dir_all(&self.dir)
            .map_err(|error| Failure::environment(self.dir.display(), error))?;
        for name in NAMES {
            let path = self.dir.join(name);
            replace(&linker, &path).map_err(|error| Failure::environment(path.display(), error))?;
        }
        outln!("{} -> {}", self.dir.join("ld").display(), linker.display());
        Ok(Done::Clean)
    }
}

/// Links `path` to `linker`; only ever replaces a link.
fn replace(linker: &Path, path: &Path) -> std::io::Result<()> {
    if path.symlink_metadata().is_ok_and(|m| m.file_type().is_symlink()) {
        fs::remove_file(path)?;
    }
    std::os::unix::fs::symlink(linker, path)
}

/// Whether a program called `name` is to be the linker.
pub(crate) fn is_linker(name: &OsStr) -> bool {
    let file = Path::new(name).file_name().and_then(OsStr::to_str);
    file.is_some_and(|file| NAMES.contains(&file) || file == "ld-scold")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_made_and_replaced_but_files_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ld");
        replace(Path::new("/one"), &path).unwrap();
        replace(Path::new("/two"), &path).unwrap();
        assert_eq!(fs::read_link(&path).unwrap(), Path::new("/two"));
        fs::remove_file(&path).unwrap();
        fs::write(&path, "precious").unwrap();
        assert!(replace(Path::new("/one"), &path).is_err());
    }

    #[test]
    fn the_name_decides() {
        assert!(is_linker(OsStr::new("/x/ld")) && is_linker(OsStr::new("ld.scold")));
        assert!(is_linker(OsStr::new("/x/ld64.scold")));
        assert!(!is_linker(OsStr::new("scold")) && !is_linker(OsStr::new("/ld/scold")));
    }
}
