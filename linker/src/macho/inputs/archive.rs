//! Archives → the bytes of their members, which a thin archive has in files of their own. Must not know which are wanted.

use std::path::{Path, PathBuf};

use super::{Input, Loader};
use crate::format::macho::read::{Bytes, is_macho};
use crate::input::{Archive, Data};
use crate::macho::machine::Machine;
use crate::{Error, ErrorKind, Result};

/// A member of an archive.
pub struct Member<'a> {
    /// Its name; in a thin archive a path.
    pub name: &'a [u8],
    /// Where its header starts: what the index refers to.
    pub header: u64,
    /// Its content.
    pub bytes: &'a [u8],
}

impl Input {
    /// The archive that it is.
    ///
    /// Errors: `bad-input`.
    pub fn archive(&self) -> Result<Archive<'_>> {
        Archive::parse(self.bytes(), &self.name)
    }

    /// The members of `archive`, which is its own.
    pub fn members<'a>(&'a self, archive: &Archive<'a>) -> impl Iterator<Item = Member<'a>> {
        archive.members.iter().enumerate().map(|(at, member)| Member {
            name: member.name,
            header: member.header,
            bytes: match self.thin.get(at) {
                Some((_, data)) => data,
                None => &self.bytes()[member.range.clone()],
            },
        })
    }

    /// Whether any object of the archive is for `machine`, if it has objects at all.
    ///
    /// Errors: `bad-input`, `wrong-machine`.
    pub(super) fn check_members(&self, machine: &Machine) -> Result<()> {
        let archive = self.archive()?;
        let objects = self.members(&archive).filter(|member| is_macho(member.bytes));
        let of = |object: Member<'_>| {
            let word = |at| Bytes(object.bytes).u32(at).ok();
            Some((word(4)?, word(8)? & 0xff_ffff))
        };
        let mut cpus = objects.filter_map(of).peekable();
        let Some(&(first, subtype)) = cpus.peek() else { return Ok(()) };
        if cpus.any(|(cpu, subtype)| cpu == machine.cpu && machine.stranger(subtype).is_none()) {
            return Ok(());
        }
        let stranger = machine.stranger(subtype).filter(|_| first == machine.cpu);
        let kin = || Machine::of(first).map_or("another machine", |other| other.name);
        let other = stranger.unwrap_or_else(kin);
        let text = format!("is for {other}, the link for {}", machine.name);
        Err(Error::new(ErrorKind::WrongMachine, text).in_file(&self.name))
    }
}

impl Loader<'_> {
    /// The files that are the members of the archive `bytes` at `path`; none if it isn't thin.
    ///
    /// Errors: `bad-input`, `missing-file`, `io`.
    pub(super) fn thin(
        &self,
        path: &Path,
        bytes: &[u8],
        name: &str,
    ) -> Result<Vec<(PathBuf, Data)>> {
        let archive = Archive::parse(bytes, name)?;
        let members = archive.members.iter().filter(|_| archive.is_thin);
        let open = |member: &crate::input::Member<'_>| {
            let title = String::from_utf8_lossy(member.name);
            let path = path.parent().unwrap_or(Path::new("")).join(&*title);
            let data = self.files.open(&path).map_err(|error| {
                let kind = ErrorKind::of_open(&error);
                let text = format!("{}: cannot open: {error}", path.display());
                Error::new(kind, text).in_file(format!("{name}({title})"))
            })?;
            Ok((path, data))
        };
        members.map(open).collect()
    }
}
