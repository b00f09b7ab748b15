//! `ld64` as a program: a command line in, an exit code out, messages on standard error. Must not
//! know how to link.

use std::io::Write as _;

use super::options::Options;
use crate::command::cannot_write;
use crate::input::DiskFiles;
use crate::output::{FileSink, Watched};
use crate::{Error, ErrorKind, Errors};

/// What `-v` prints.
const VERSION: &str =
    concat!("scold ld64.scold ", env!("CARGO_PKG_VERSION"), " (called as Apple's ld64 is)");

/// Errors printed at most.
const LIMIT: usize = 20;

/// Runs the linker: `args` without the program's name. Gives the exit code.
pub fn run(args: &[String]) -> u8 {
    match perform(args) {
        Ok(()) => 0,
        Err(errors) => {
            let mut err = std::io::stderr().lock();
            for error in errors.iter().take(LIMIT) {
                let _ = writeln!(
                    err,
                    "ld.scold: error: {}",
                    crate::command::one_line(&error.to_string())
                );
            }
            let rest = errors.iter().count().saturating_sub(LIMIT);
            if rest > 0 {
                let _ = writeln!(err, "ld.scold: error: {rest} more");
            }
            1
        }
    }
}

/// Where the output goes.
pub(super) fn sink(options: &Options) -> FileSink {
    FileSink::new(&options.output, options.build.mode.map_or(0o777, |mode| mode.file_mode))
}

fn perform(args: &[String]) -> Result<(), Errors> {
    let files = Watched::new(&DiskFiles);
    let options = Options::parse(args, &files)?;
    if options.help {
        let _ = std::io::stdout().write_all(Options::help_text().as_bytes());
        return Ok(());
    }
    if options.version {
        // Drivers read the version from this line.
        let _ = writeln!(std::io::stderr(), "{VERSION}");
        if options.inputs.is_empty() {
            return Ok(());
        }
    }
    let linked = crate::threads::with(options.threads, || link(&options, &files));
    linked.inspect_err(|_| files.discard(&options.output))
}

fn warn<'t>(options: &Options, texts: impl Iterator<Item = &'t str>) {
    for text in texts.filter(|_| !options.no_warnings) {
        let text = crate::command::one_line(text);
        let _ = writeln!(std::io::stderr(), "ld.scold: warning: {text}");
    }
}

/// Links onto the disk.
fn link(options: &Options, files: &Watched<'_>) -> Result<(), Errors> {
    let inputs = super::load(options, files)?;
    files.refuse(&options.output)?;
    let mut sink = sink(options);
    let report = super::link(&inputs, options, &mut sink).inspect_err(|_| {
        // Why something is undefined may be that a file was left out.
        warn(options, inputs.iter().filter_map(super::inputs::Input::ignored));
    })?;
    warn(options, report.warnings.iter().map(String::as_str));
    if options.fatal_warnings && !report.warnings.is_empty() {
        let text = "warnings are errors: -fatal_warnings";
        return Err(Error::new(ErrorKind::Usage, text).into());
    }
    // First what may fail beside the output: a link that fails leaves none.
    if let (Some(path), Some(text)) = (&options.map, &report.map) {
        std::fs::write(path, text).map_err(|error| cannot_write(&error, path))?;
    }
    sink.commit().map_err(|error| cannot_write(&error, &options.output))?;
    std::mem::forget(inputs);
    Ok(())
}
