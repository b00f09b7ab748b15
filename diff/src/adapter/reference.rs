//! The reference linker, in process, its files in memory.
//!
//! The only file of this crate that may name `scold_linker`.

mod guard;

use std::cell::Cell;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Once};
use std::time::Duration;

use scold_linker::{ErrorKind, Errors, Files};

use super::{Adapter, NOWHERE, Outcome, REFERENCE, Shared};
use crate::desugar;
use crate::model::ErrorClass;
use crate::request::{File, Format, Mode, Request};
use crate::run::Scratch;

/// The reference linker.
#[derive(Clone, Debug)]
pub struct Reference {
    /// `--threads=N`; `None` leaves the choice to the linker. Small links are fastest with one.
    pub threads: Option<usize>,
}

impl Default for Reference {
    fn default() -> Self {
        Self { threads: Some(1) }
    }
}

/// The files of a request, as the linker asks for them; what a script or a search names by an absolute
/// path is read from disk, as every other linker does.
struct Memory<'a>(&'a [File]);

impl Files for Memory<'_> {
    fn open(&self, path: &Path) -> io::Result<scold_linker::input::Data> {
        let file = self.0.iter().find(|file| Path::new(&file.name) == path);
        match file {
            Some(file) => Ok(scold_linker::input::Data::Owned(file.bytes.clone())),
            None if path.is_absolute() => scold_linker::DiskFiles.open(path),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

thread_local! {
    /// A panic of this thread is caught and reported: nothing is printed.
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Keeps panics that are caught here off the terminal; others print as before.
fn quiet_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !CAUGHT.get() {
                before(info);
            }
        }));
    });
}

impl Adapter for Reference {
    fn name(&self) -> &str {
        REFERENCE
    }

    fn version(&self) -> &str {
        concat!("scold ", env!("CARGO_PKG_VERSION"))
    }

    fn command(&self, request: &Request) -> Vec<String> {
        let mut args = super::basic(request);
        // What a mode adds is the linker's own to add, where it is asked for that.
        let sugared = desugar::sugared(request).filter(|_| request.mode != Mode::Shared);
        // Whoever says for which system it is has asked for the mode, even if that adds nothing.
        let named = match (request.target.format, request.mode) {
            (_, Mode::Plugin) | (Format::Elf, Mode::CShared) => true,
            (Format::Macho, mode) => mode != Mode::Shared && request.goos.is_some(),
            _ => false,
        };
        if sugared.is_some() || named {
            args.push(format!("--buildmode={}", request.mode));
            args.extend(request.goos.map(|goos| format!("--goos={goos}")));
        } else {
            args.extend(
                request.mode.args(request.target.format).iter().map(|arg| (*arg).to_owned()),
            );
        }
        if let Some(count) = self.threads {
            match request.target.format {
                Format::Elf => args.push(format!("--threads={count}")),
                Format::Macho => args.extend(["-threads".into(), count.to_string()]),
            }
        }
        args.extend(sugared.map_or_else(|| request.args.clone(), |before| before.args));
        args
    }

    fn with_threads(&self, threads: usize) -> Option<Shared> {
        Some(Arc::new(Self { threads: Some(threads) }))
    }

    fn files(&self, request: &Request) -> Vec<File> {
        // So are changes of objects; but not those of a request that somebody has changed since.
        let before = desugar::sugared(request).filter(|before| {
            request.mode != Mode::Shared && desugar::desugar(before.clone()) == *request
        });
        before.map_or_else(|| request.files.clone(), |before| before.files)
    }

    fn link(&self, request: &Request, limit: Duration) -> Outcome {
        guarded(self.command(request), self.files(request), limit)
    }

    fn file_mode(&self, request: &Request, limit: Duration) -> Option<(u32, u32)> {
        let scratch = Scratch::new().ok()?;
        let [made, all] = ["made", "all"].map(|name| scratch.path().join(name));
        let mode = |path: &Path| Some(std::fs::metadata(path).ok()?.permissions().mode() & 0o777);
        OpenOptions::new().write(true).create_new(true).mode(0o777).open(&all).ok()?;
        let mut args = self.command(request);
        args.extend(["-o".to_owned(), made.to_str()?.to_owned()]);
        let files = self.files(request);
        let linked = move || scold_linker::link_file(&args, &Memory(&files)).is_ok();
        guard::within(limit, linked).filter(|linked| *linked)?;
        Some((mode(&made)?, mode(&all)?))
    }

    fn elsewhere(&self, request: &Request, limit: Duration) -> Option<Outcome> {
        let goos = Some(NOWHERE);
        Some(self.link(&Request { goos, ..request.clone() }, limit))
    }

    fn join(&self, request: &Request, limit: Duration) -> Option<Outcome> {
        let mut args = vec!["-r".to_owned()];
        args.extend(request.args.iter().cloned());
        Some(guarded(args, request.files.clone(), limit))
    }
}

/// Links, unless that takes too long. Memory is bounded by the linker itself: it refuses images that
/// are out of proportion to their inputs.
fn guarded(args: Vec<String>, files: Vec<File>, limit: Duration) -> Outcome {
    guard::within(limit, move || perform(&args, &files)).unwrap_or(Outcome::Hung)
}

fn perform(args: &[String], files: &[File]) -> Outcome {
    quiet_hook();
    let before = CAUGHT.replace(true);
    let result = catch_unwind(AssertUnwindSafe(|| scold_linker::link_args(args, &Memory(files))));
    CAUGHT.set(before);
    match result {
        Ok(Ok((image, _))) => Outcome::Linked(image),
        Ok(Err(errors)) => refusal(&errors),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Outcome::Crashed(text.unwrap_or_else(|| "panicked".into()))
        }
    }
}

/// What it says of what it does on purpose not do, and the reason reported: nobody judges that.
const UNSUPPORTED: &[(&str, &str)] = &[
    (
        "slots of symbols (.indirect_symbol)",
        "the reference takes no slots from objects (.indirect_symbol)",
    ),
    ("-commons: use_dylibs", "the reference takes no library's variable for a common (-commons)"),
    ("-commons: error", "the reference takes no library's variable for a common (-commons)"),
];

fn refusal(errors: &Errors) -> Outcome {
    let said = errors.to_string();
    if let Some((_, reason)) = UNSUPPORTED.iter().find(|row| said.contains(row.0)) {
        return Outcome::Unsupported(reason);
    }
    // The same one speaks for all as with other linkers.
    let classes: Option<Vec<_>> = errors.iter().map(|error| class(error.kind())).collect();
    match classes.and_then(|all| all.into_iter().min_by_key(|class| super::rank(*class))) {
        Some(class) => Outcome::Refused(class, said),
        None => Outcome::Crashed(said),
    }
}

/// The judge's class of the linker's kind; none for a broken promise of its own.
fn class(kind: ErrorKind) -> Option<ErrorClass> {
    Some(match kind {
        ErrorKind::UndefinedSymbol => ErrorClass::UndefinedSymbol,
        ErrorKind::DuplicateSymbol => ErrorClass::DuplicateSymbol,
        ErrorKind::RelocOverflow => ErrorClass::RelocOverflow,
        ErrorKind::RelocMisaligned => ErrorClass::RelocMisaligned,
        ErrorKind::RelocUnsupported => ErrorClass::RelocUnsupported,
        ErrorKind::RelocDynamic => ErrorClass::RelocDynamic,
        ErrorKind::TlsMismatch => ErrorClass::TlsMismatch,
        ErrorKind::UndefinedVersion => ErrorClass::UndefinedVersion,
        ErrorKind::BadInput => ErrorClass::BadInput,
        ErrorKind::BadScript => ErrorClass::BadScript,
        ErrorKind::WrongMachine => ErrorClass::WrongMachine,
        ErrorKind::UnknownOption | ErrorKind::UnsupportedOption => ErrorClass::UnknownOption,
        ErrorKind::Usage => ErrorClass::Usage,
        ErrorKind::ModeConflict => ErrorClass::ModeConflict,
        ErrorKind::MissingFile => ErrorClass::MissingFile,
        ErrorKind::Io => ErrorClass::Io,
        ErrorKind::Internal => return None,
    })
}
