//! Archives and linker scripts → the inputs they hold or name.

use std::path::{Path, PathBuf};

use object::elf;

use super::load::{Found, Loader, bad_input, os_error, sniff};
use super::script::{NOT_RECOGNIZED, Script};
use super::{Archive, BITCODE, Data, Input, InputKind, is_bitcode};
use crate::arch::Arch;
use crate::options::State;
use crate::{Error, ErrorKind, Result};

/// Scripts within scripts.
const MAX_SCRIPTS: usize = 16;

/// Whether `OUTPUT_FORMAT(format)` is what `arch` makes.
pub(super) fn is_format(format: &str, arch: &Arch) -> bool {
    matches!(format, "default" | "elf") || format == arch.format
}

impl Loader<'_> {
    pub(super) fn script(
        &self,
        path: &Path,
        name: &str,
        data: &[u8],
        state: State,
        depth: usize,
        found: &mut Found,
    ) -> Result<()> {
        if is_bitcode(data) {
            return Err(bad_input(name, BITCODE));
        }
        let binary = |b: &u8| (*b < b' ' && !b.is_ascii_whitespace()) || *b == 0x7f;
        if data.iter().take(4096).any(binary) {
            return Err(bad_input(name, NOT_RECOGNIZED));
        }
        let script = Script::parse(data, name)?;
        if let (Some(format), Some(arch)) = (&script.format, self.emulation)
            && !is_format(format, arch)
        {
            let text = format!("incompatible with {}: OUTPUT_FORMAT({format})", arch.emulation);
            return Err(Error::new(ErrorKind::WrongMachine, text).in_file(name));
        }
        found.said.append(script.said, name)?;
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

    pub(super) fn archive(
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
                let data = self.thin_member(path, &member_name, &display, found)?;
                let len = data.len();
                (data, 0..len)
            } else {
                (data.clone(), member.range.clone())
            };
            // Archives hold other things too: rustc's metadata, notes, text. An index would not
            // name them either; only who asks for all of them is told, as by bfd and lld.
            let kind = match data[range.clone()].starts_with(&elf::ELFMAG) {
                true => sniff(&data[range.clone()], &display)?,
                false => None,
            };
            if kind != Some(InputKind::Object) {
                if state.whole_archive {
                    let text = "archive member is not an object, under --whole-archive";
                    return Err(bad_input(&display, text));
                }
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

    /// The file that `member` of the thin archive at `path` stands for.
    fn thin_member(
        &self,
        path: &Path,
        member: &str,
        display: &str,
        found: &mut Found,
    ) -> Result<Data> {
        let path = path.parent().unwrap_or(Path::new("")).join(member);
        let data = self.files.open(&path).map_err(|error| {
            let error = os_error(&error, &path);
            Error::new(error.kind(), format!("{}: {}", path.display(), error.text()))
                .in_file(display)
        })?;
        found.opened.push(path);
        if data.starts_with(b"!<") {
            return Err(bad_input(display, "a thin archive's member is an archive"));
        }
        Ok(data)
    }
}
