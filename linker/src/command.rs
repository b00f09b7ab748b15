//! The drop-in `ld`: a command line in, an exit code out, messages on standard error.
//!
//! `ld-scold` is nothing but this; `scold` is this too when it is called `ld` or `ld.scold` (through
//! the links that `scold prefix DIR` makes) and for `scold link`.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;

use crate::input::DiskFiles;
use crate::options::{Action, OutputKind};
use crate::output::{FileSink, Watched};
use crate::{Error, ErrorKind, Errors, Inputs, Options, Report};

/// What `--version` prints. Configure scripts and libtool look for "GNU"; Go takes a line that
/// starts with `GNU ld` for an old one, so it does not.
pub const VERSION: &str =
    concat!("scold ld.scold ", env!("CARGO_PKG_VERSION"), " (compatible with GNU linkers)");

/// Like [`run`], with arguments as the system gives them: one that is not UTF-8 is an error.
pub fn run_os(args: impl Iterator<Item = OsString>) -> u8 {
    match args.map(OsString::into_string).collect() {
        Ok(args) => run(args),
        Err(arg) => {
            let _ = writeln!(io::stderr(), "ld.scold: error: argument {arg:?} is not UTF-8");
            1
        }
    }
}

/// Runs the linker as a program: `args` without the program's name. Gives the exit code.
pub fn run(args: Vec<String>) -> u8 {
    if crate::macho::is_meant(&args) {
        return crate::macho::command::run(&args);
    }
    let mut out = Messages { limit: Options::default().error_limit, silent: false };
    let files = Watched::new(&DiskFiles);
    let options = match Options::parse(&args, &files) {
        Ok(options) => options,
        Err(errors) => return out.errors(&errors),
    };
    match options.action {
        Action::Version => return print(&format!("{VERSION}\n")),
        Action::Help => return print(&Options::help()),
        Action::Link => {}
    }
    if options.show_version {
        let known: String =
            crate::arch::ARCHES.iter().map(|arch| format!("   {}\n", arch.emulation)).collect();
        print(&format!("{VERSION}\n  Supported emulations:\n{known}"));
        if options.inputs.is_empty() {
            return 0;
        }
    }
    out = Messages { limit: options.error_limit, silent: options.no_warnings };
    match crate::threads::with(options.threads, || perform(&options, &files, &out)) {
        Ok(()) => 0,
        Err(errors) => {
            files.discard(&options.output);
            out.errors(&errors)
        }
    }
}

/// Links onto the disk.
fn perform(options: &Options, files: &Watched<'_>, out: &Messages) -> Result<(), Errors> {
    let inputs = Inputs::load(options, files)?;
    files.refuse(&options.output)?;
    if options.trace {
        let names = inputs.list.iter().filter(|input| !input.lazy).map(|input| &input.name);
        print(&names.fold(String::new(), |text, name| text + name + "\n"));
    }
    let mut sink = sink(options);
    let report = crate::link(&inputs, options, &mut sink)?;
    let warnings = options.warnings.iter().chain(&inputs.warnings).chain(&report.warnings);
    let warned = warnings.inspect(|text| out.warning(text)).count() > 0;
    if warned && options.fatal_warnings {
        return Err(Error::new(ErrorKind::Usage, "warnings are errors: --fatal-warnings").into());
    }
    for line in &report.traced {
        print(&format!("{line}\n"));
    }
    for section in &report.removed {
        print(&format!("removing unused section {section}\n"));
    }
    // First what may fail beside the output: a link that fails leaves none.
    side_files(options, &inputs, &report)?;
    sink.commit().map_err(|error| cannot_write(&error, &options.output))?;
    // The process ends here; unmapping hundreds of megabytes first would only take time.
    std::mem::forget(inputs);
    Ok(())
}

/// Where the output goes.
pub(crate) fn sink(options: &Options) -> FileSink {
    FileSink::new(&options.output, file_mode(options))
}

/// The output's mode, less the umask.
fn file_mode(options: &Options) -> u32 {
    match options.kind {
        OutputKind::Relocatable => 0o666,
        // Libraries too, as GNU ld, lld and mold do: some loaders and packagers ask for it.
        kind => options.build.mode.filter(|mode| mode.kind == kind).map_or(0o777, |m| m.file_mode),
    }
}

/// Writes the map and the dependency file.
fn side_files(options: &Options, inputs: &Inputs, report: &Report) -> Result<(), Errors> {
    if let Some(path) = &options.map {
        let text = report.map.as_deref().unwrap_or_default();
        if path == Path::new("-") {
            print(text);
        } else {
            std::fs::write(path, text).map_err(|error| cannot_write(&error, path))?;
        }
    }
    if let Some(path) = &options.dependency_file {
        let text = dependencies(&options.output, inputs);
        std::fs::write(path, text).map_err(|error| cannot_write(&error, path))?;
    }
    Ok(())
}

/// A Makefile rule: the output needs every file read; the files need nothing.
fn dependencies(output: &Path, inputs: &Inputs) -> String {
    let escape = |path: &Path| path.display().to_string().replace('$', "$$").replace(' ', "\\ ");
    let files: Vec<_> = inputs.opened.iter().map(|path| escape(path)).collect();
    let mut text = format!("{}:", escape(output));
    for file in &files {
        let _ = write!(text, " \\\n  {file}");
    }
    text.push('\n');
    for file in &files {
        let _ = write!(text, "\n{file}:\n");
    }
    text
}

pub(crate) fn cannot_write(error: &io::Error, path: &Path) -> Errors {
    let text = format!("cannot write: {error}");
    Error::new(ErrorKind::Io, text).in_file(path.display().to_string()).into()
}

/// Prints on the standard output; a reader that went away is no error.
fn print(text: &str) -> u8 {
    let _ = io::stdout().write_all(text.as_bytes());
    0
}

/// Names come from files: what would break the line, or the terminal, is spelled out.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut line, c| {
        match c.is_control() {
            true => line.extend(c.escape_default()),
            false => line.push(c),
        }
        line
    })
}

/// Prints on the standard error.
struct Messages {
    /// Errors printed at most; 0 is all.
    limit: usize,
    /// No warnings.
    silent: bool,
}

impl Messages {
    /// Prints all errors up to the limit. Gives the exit code.
    fn errors(&self, errors: &Errors) -> u8 {
        let mut err = io::stderr().lock();
        let limit = if self.limit == 0 { usize::MAX } else { self.limit };
        for error in errors.iter().take(limit) {
            let _ = writeln!(err, "ld.scold: error: {}", one_line(&error.to_string()));
        }
        let rest = errors.iter().count().saturating_sub(limit);
        if rest > 0 {
            let _ = writeln!(err, "ld.scold: error: {rest} more, see --error-limit");
        }
        1
    }

    fn warning(&self, text: &str) {
        if !self.silent {
            let _ = writeln!(io::stderr(), "ld.scold: warning: {}", one_line(text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_not_taken_for_an_old_linker() {
        assert!(VERSION.contains("GNU"), "libtool and configure look for it");
        assert!(!VERSION.starts_with("GNU ld "), "Go would take the version for that of GNU ld");
    }

    #[test]
    fn a_message_is_one_line() {
        assert_eq!(one_line("a\nb\u{1b}[31m: é"), "a\\nb\\u{1b}[31m: é");
    }

    #[cfg(unix)]
    #[test]
    fn an_argument_that_is_no_text_is_an_error() {
        use std::os::unix::ffi::OsStringExt as _;
        let args = [OsString::from("--version"), OsString::from_vec(vec![0xff, 0xfe])];
        assert_eq!(run_os(args.into_iter()), 1);
    }

    #[test]
    fn an_unwritable_map_leaves_no_output() {
        let out = std::env::temp_dir().join(format!("scold-map-{}", std::process::id()));
        let object = out.with_extension("o");
        std::fs::write(&object, crate::robustness::sample::bytes("a.o")).unwrap();
        let link = |map: &str| {
            let (object, out) = (object.to_str().unwrap(), out.to_str().unwrap());
            run(["-shared", map, object, "-o", out].map(String::from).to_vec())
        };
        let code = link("-Map=/nonexistent/map");
        let left = out.exists();
        assert!(link("-Map=/dev/null") == 0 && out.exists(), "the sample links");
        let _ = (std::fs::remove_file(&object), std::fs::remove_file(&out));
        assert!(code == 1 && !left, "{code}");
    }

    #[test]
    fn a_link_that_fails_leaves_no_older_output() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(at("a.o"), crate::robustness::sample::bytes("a.o")).unwrap();
        let link = |words: &[&str]| {
            std::fs::write(at("out"), b"old").unwrap();
            let words = words.iter().map(|word| match word.starts_with('-') {
                true => (*word).to_owned(),
                false => at(word),
            });
            let code = run(words.chain(["-o".to_owned(), at("out")]).collect());
            (code, std::fs::read(at("out")).ok().filter(|bytes| bytes == b"old").is_some())
        };
        assert_eq!(link(&["-shared", "a.o", "a.o"]), (1, false), "everything is there twice");
        assert_eq!(link(&["-shared", "missing.o"]), (1, false));
        assert_eq!(link(&["-shared", "a.o", "--no-such-option"]), (1, true), "no link at all");
        assert_eq!(link(&["-shared", "missing.o", "out"]), (1, true), "an input");
    }

    #[test]
    fn an_input_is_never_overwritten() {
        let object = std::env::temp_dir().join(format!("scold-in-{}.o", std::process::id()));
        let alias = object.with_extension("link");
        let bytes = crate::robustness::sample::bytes("a.o");
        std::fs::write(&object, &bytes).unwrap();
        std::os::unix::fs::symlink(&object, &alias).unwrap();
        let codes = [&object, &alias].map(|out| {
            let (object, out) = (object.to_str().unwrap(), out.to_str().unwrap());
            run(["-shared", object, "-o", out].map(String::from).to_vec())
        });
        let left = std::fs::read(&object).unwrap();
        let _ = (std::fs::remove_file(&object), std::fs::remove_file(&alias));
        assert!(codes == [1, 1] && left == bytes, "{codes:?}");
    }

    #[test]
    fn dependencies_are_a_makefile_rule() {
        let inputs = Inputs { opened: vec!["a b.o".into(), "c$d.a".into()], ..Inputs::default() };
        let text = dependencies(Path::new("out"), &inputs);
        assert_eq!(text, "out: \\\n  a\\ b.o \\\n  c$$d.a\n\na\\ b.o:\n\nc$$d.a:\n");
    }
}
