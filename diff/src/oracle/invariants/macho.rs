//! The invariants of Mach-O: what dyld's validator and the kernel refuse of an image for macOS 26, and
//! where two tables of one image say different things.
//!
//! It shares the model's reader of headers and fixups, not what it makes of them.
//!
//! Spec: `mach-o/loader.h`, `mach-o/nlist.h`, `mach-o/fixup-chains.h`, dyld's `Header.cpp` and `Validator`.

mod code;
mod commands;
mod fixups;
mod indirect;
mod init;
mod linkedit;
mod markers;
mod segments;
mod signature;
mod symbols;
mod unwind;

use super::Flaws;
use crate::Request;
use crate::bytes::{slice, u32_at};
use crate::model::macho::fixups::Fixups;
use crate::model::macho::image::{EXECUTE, File, Section, Segment};
use crate::model::macho::trie::{self, Export};

/// A load command.
#[derive(Clone, Copy)]
struct Command<'a> {
    /// LC_*.
    number: u32,
    /// Header included.
    bytes: &'a [u8],
}

impl Command<'_> {
    fn word(&self, at: u64) -> u32 {
        u32_at(self.bytes, at).unwrap_or(0)
    }
}

/// An image and its tables.
struct Image<'a> {
    file: File<'a>,
    commands: Vec<Command<'a>>,
    fixups: Fixups,
    exports: Vec<(String, Export)>,
}

impl<'a> Image<'a> {
    fn command(&self, number: u32) -> Option<Command<'a>> {
        self.commands.iter().find(|command| command.number == number).copied()
    }

    /// A range of the file that an LC_* of the kind offset and size says.
    fn table(&self, number: u32) -> Option<&'a [u8]> {
        let command = self.command(number)?;
        slice(self.file.bytes, command.word(8).into(), command.word(12).into())
    }

    fn segment(&self, name: &str) -> Option<&Segment<'a>> {
        self.file.segments.iter().find(|segment| segment.name == name)
    }

    fn sections(&self, kind: u32) -> impl Iterator<Item = &Section<'a>> {
        self.file.sections.iter().filter(move |section| section.kind() == kind)
    }

    /// Whether code may run at `address`.
    fn executable(&self, address: u64) -> bool {
        self.file.at(address).is_some_and(Segment::executable)
    }
}

/// Every load command in order; none if they are cut.
fn commands(bytes: &[u8]) -> Option<Vec<Command<'_>>> {
    let (count, size) = (u32_at(bytes, 16)?, u32_at(bytes, 20)?);
    let mut rest = slice(bytes, 32, size.into())?;
    let mut list = Vec::new();
    for _ in 0..count {
        let size = u32_at(rest, 4)? as usize;
        let (command, behind) = rest.split_at_checked(size).filter(|_| size >= 8)?;
        list.push(Command { number: u32_at(command, 0)?, bytes: command });
        rest = behind;
    }
    Some(list)
}

/// The flaws of the image `bytes`.
pub(super) fn check(request: &Request, bytes: &[u8], flaws: &mut Flaws) {
    let (file, commands) = match (File::read(bytes), commands(bytes)) {
        (Ok(file), Some(commands)) => (file, commands),
        (file, _) => {
            let why = file.err().unwrap_or_else(|| "load commands are cut".into());
            flaws.add("not a Mach-O image", "header", why, "a readable image");
            return;
        }
    };
    let blob = file.trie.or(file.info.map(|info| info.export)).and_then(|blob| file.blob(blob));
    let exports = blob.map_or(Some(Vec::new()), trie::entries);
    if exports.is_none() {
        flaws.add("export trie", "trie", "damaged", "a tree of names");
    }
    let fixups = Fixups::read(&file);
    let image = Image { file, commands, fixups, exports: exports.unwrap_or_default() };
    commands::check(request, &image, flaws);
    segments::check(&image, flaws);
    linkedit::check(&image, flaws);
    symbols::check(&image, flaws);
    fixups::check(&image, flaws);
    indirect::check(&image, flaws);
    init::check(&image, flaws);
    markers::check(request, &image, flaws);
    code::check(&image, flaws);
    unwind::check(&image, flaws);
    signature::check(request, &image, flaws);
}
