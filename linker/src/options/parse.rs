//! Matches arguments against the table, carries the positional state along, checks the whole.

use crate::arch::ARCHES;
use std::path::PathBuf;
use std::sync::OnceLock;

use rustc_hash::FxHashMap;

use super::once::Once;
use super::response;
use super::table::{self, Arg, Row};
use super::{
    Action, Defsym, Expression, InputArg, Named, Options, OutputKind, State, Strip, VersionScript,
};
use crate::mode::Mode;
use crate::{Data, Error, ErrorKind, Errors, Files, Result};

/// What the rows' actions work on.
pub(super) struct Parser<'a> {
    /// The result so far.
    pub(super) options: Options,
    /// The positional state here.
    pub(super) state: State,
    /// `--push-state`.
    pub(super) saved: Vec<State>,
    /// Inside `--start-group`.
    pub(super) in_group: bool,
    /// `-r` was given; it beats `-pie` and contradicts `-shared`.
    pub(super) relocatable: bool,
    /// The flag at hand, as it was spelled.
    pub(super) spelled: String,
    /// The keyword of `-z` at hand.
    pub(super) keyword: &'static str,
    /// Where version scripts and dynamic lists come from.
    files: &'a dyn Files,
}

/// A `usage` error.
pub(super) fn usage(text: String) -> Error {
    Error::new(ErrorKind::Usage, text)
}

/// An `unsupported-option` error.
pub(super) fn unsupported(text: String) -> Error {
    Error::new(ErrorKind::UnsupportedOption, text)
}

/// A number as ld takes it: decimal, `0x` hexadecimal, with an optional K or M.
pub(super) fn number(text: &str) -> Option<u64> {
    let (digits, unit) = match text.as_bytes().last()? {
        b'k' | b'K' => (&text[..text.len() - 1], 1 << 10),
        b'm' | b'M' => (&text[..text.len() - 1], 1 << 20),
        _ => (text, 1),
    };
    let value = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => from_digits(hex, 16)?,
        None => from_digits(digits, 10)?,
    };
    value.checked_mul(unit)
}

/// Like `from_str_radix`, without its leading `+`.
fn from_digits(digits: &str, radix: u32) -> Option<u64> {
    let plain = digits.bytes().all(|b| b.is_ascii_alphanumeric());
    if plain { u64::from_str_radix(digits, radix).ok() } else { None }
}

/// See [`Options::parse`].
pub(super) fn parse(args: &[String], files: &dyn Files) -> Result<Options, Errors> {
    let args = response::expand(args, files)?;
    let files = &Once::new(files);
    let parser = pass(&args, files, None)?;
    // What a mode asks for stands before all that the command line says, wherever the mode is named.
    let parser = match parser.options.build.mode {
        Some(mode) => pass(&args, files, Some(mode))?,
        None => parser,
    };
    match parser.options.action {
        Action::Link => Ok(parser.finish()?),
        _ => Ok(parser.options),
    }
}

/// Reads all arguments, up to one that asks for something else than a link.
fn pass<'a>(
    args: &[String],
    files: &'a dyn Files,
    mode: Option<&'static Mode>,
) -> Result<Parser<'a>, Errors> {
    let mut options = Options::default();
    mode.into_iter().for_each(|mode| mode.apply(&mut options));
    let mut parser = Parser {
        options,
        state: State::default(),
        saved: Vec::new(),
        in_group: false,
        relocatable: false,
        spelled: String::new(),
        keyword: "",
        files,
    };
    // -L and -l may name the sysroot before it is given.
    parser.find_sysroot(args);
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match arg.strip_prefix('-').filter(|body| !body.is_empty()) {
            None => parser.input(Named::Path(PathBuf::from(arg))),
            Some(_) => {
                let (row, value) = find(arg)?;
                let value = match (row.arg, value) {
                    (Arg::Needed(what), None) => {
                        rest.next().map(String::as_str).ok_or_else(|| {
                            usage(format!("option '{arg}' requires an argument: {what}"))
                        })?
                    }
                    (_, value) => value.unwrap_or(""),
                };
                parser.spelled.clone_from(arg);
                (row.apply)(&mut parser, value)?;
                if parser.options.action != Action::Link {
                    break;
                }
            }
        }
    }
    Ok(parser)
}

/// The row that `arg` spells, and the value attached to it.
///
/// Long names come first: `-export-dynamic` is not `-e xport-dynamic`. As in GNU ld, a long name
/// that starts with `o` needs two dashes, since `-omagic` writes a file called `magic`.
fn find(arg: &str) -> Result<(&'static Row, Option<&str>)> {
    let unknown = || Error::new(ErrorKind::UnknownOption, format!("unrecognized option '{arg}'"));
    let (body, double) = match arg.strip_prefix("--") {
        Some(body) => (body, true),
        None => (&arg[1..], false),
    };
    if double || !body.starts_with('o') {
        let (name, value) = match body.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (body, None),
        };
        let long = by_name().get(name).copied().filter(|_| name.len() > 1);
        match long {
            Some(row) if value.is_none() || row.arg != Arg::No => return Ok((row, value)),
            Some(_) => {
                return Err(usage(format!("option '--{name}' doesn't allow an argument")));
            }
            None if double => return Err(unknown()),
            None => {}
        }
    }
    let letter = &body[..body.chars().next().map_or(0, char::len_utf8)];
    let attached = &body[letter.len()..];
    let row = *by_name().get(letter).ok_or_else(unknown)?;
    match (row.arg, attached) {
        (_, "") => Ok((row, None)),
        (Arg::No, _) => Err(unknown()),
        (_, attached) => Ok((row, Some(attached))),
    }
}

/// The rows by each of their names; the first row that has a name keeps it.
fn by_name() -> &'static FxHashMap<&'static str, &'static Row> {
    static MAP: OnceLock<FxHashMap<&'static str, &'static Row>> = OnceLock::new();
    MAP.get_or_init(|| {
        let mut map = FxHashMap::default();
        for row in table::all() {
            for name in row.names {
                map.entry(*name).or_insert(row);
            }
        }
        map
    })
}

impl Parser<'_> {
    /// Adds an input with the state in force.
    pub(super) fn input(&mut self, what: Named) {
        self.options.inputs.push(InputArg { what, state: self.state });
    }

    fn find_sysroot(&mut self, args: &[String]) {
        for (i, arg) in args.iter().enumerate() {
            let body = arg.strip_prefix("--").or_else(|| arg.strip_prefix('-')).unwrap_or("");
            let value = match body.strip_prefix("sysroot") {
                Some("") => args.get(i + 1).map(String::as_str),
                Some(rest) => rest.strip_prefix('='),
                None => None,
            };
            if let Some(value) = value {
                let real = !value.is_empty() && value != "/";
                self.options.sysroot = real.then(|| PathBuf::from(value));
            }
        }
    }

    /// A directory or file name with `=` or `$SYSROOT` in front replaced.
    pub(super) fn in_sysroot(&self, path: &str) -> PathBuf {
        let rest = path.strip_prefix("$SYSROOT").or_else(|| path.strip_prefix('='));
        match (rest, &self.options.sysroot) {
            (Some(rest), Some(root)) => root.join(rest.trim_start_matches('/')),
            (Some(rest), None) => PathBuf::from(rest),
            (None, _) => PathBuf::from(path),
        }
    }

    /// Reads a script the options name.
    pub(super) fn read(&self, path: &str) -> Result<Data> {
        self.files.open(&self.in_sysroot(path)).map_err(|error| {
            let kind = ErrorKind::of_open(&error);
            Error::new(kind, format!("cannot open: {error}")).in_file(path)
        })
    }

    /// `--version-script`: several add up.
    pub(super) fn version_script(&mut self, path: &str) -> Result<()> {
        let script = VersionScript::parse(&self.read(path)?, path)?;
        match &mut self.options.version_script {
            Some(first) => first.append(script, path)?,
            none => *none = Some(script),
        }
        Ok(())
    }

    /// `--defsym NAME=EXPRESSION`.
    pub(super) fn defsym(&mut self, text: &str) -> Result<()> {
        let bad = |what: String| usage(format!("--defsym {text}: {what}"));
        let (name, value) =
            text.split_once('=').ok_or_else(|| bad("expected NAME=EXPRESSION".into()))?;
        let name = name.trim();
        if !super::expression::is_name(name) {
            return Err(bad(format!("`{name}` is no name")));
        }
        let value = Expression::parse(value).map_err(bad)?;
        self.options.defsyms.push(Defsym { name: name.into(), value });
        Ok(())
    }

    /// A built-in dynamic list of demangled names.
    pub(super) fn cxx_list(&mut self, globs: &[&str]) -> Result<()> {
        let list = self.options.dynamic_list.get_or_insert_default();
        for glob in globs {
            list.push(super::Pattern::glob(glob).map_err(usage)?.cxx());
        }
        Ok(())
    }

    /// `--export-dynamic-symbol GLOB`.
    pub(super) fn export_symbol(&mut self, glob: &str) -> Result<()> {
        let bad = |what| usage(format!("--export-dynamic-symbol: {what}"));
        self.options.export_dynamic_symbols.push(super::Pattern::glob(glob).map_err(bad)?);
        Ok(())
    }

    /// `--retain-symbols-file`: names, apart by white space.
    pub(super) fn retain(&mut self, path: &str) -> Result<()> {
        let data = self.read(path)?;
        let names = data.split(u8::is_ascii_whitespace).filter(|name| !name.is_empty());
        self.options.retain.get_or_insert_default().extend(names.map(<[u8]>::to_vec));
        Ok(())
    }

    /// `-m`.
    pub(super) fn emulation(&mut self, name: &str) -> Result<()> {
        let arch = ARCHES.iter().find(|arch| arch.emulation == name);
        self.options.emulation = Some(arch.ok_or_else(|| {
            let known: Vec<_> = ARCHES.iter().map(|arch| arch.emulation).collect();
            usage(format!("unrecognised emulation mode: {name} (supported: {})", known.join(", ")))
        })?);
        Ok(())
    }

    /// What would change an object's meaning and can't be had with `-r`.
    fn check_relocatable(&self) -> Result<()> {
        let options = &self.options;
        let contradictions =
            [(options.define_common, "-d"), (options.retain.is_some(), "--retain-symbols-file")];
        let rooted = options.entry.is_some()
            || options.gc_keep_exported
            || !(options.undefined.is_empty() && options.require_defined.is_empty());
        if options.gc_sections && !rooted {
            let text = "-r --gc-sections needs a root: -e, -u or --gc-keep-exported";
            return Err(usage(text.into()));
        }
        match contradictions.iter().find(|c| c.0) {
            Some((_, name)) => Err(usage(format!("-r and {name} may not be used together"))),
            None => Ok(()),
        }
    }

    /// `-no-pie`: a library stays one, but for a mode's, which is not to be had without `-shared`.
    pub(super) fn no_pie(&mut self) -> Result<()> {
        match self.options.kind {
            OutputKind::Pie => self.options.kind = OutputKind::Exe,
            OutputKind::Shared => {
                if let Some(mode) = self.options.build.mode {
                    return Err(mode.contradicts("-no-pie"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Options> {
        if self.in_group {
            return Err(usage("--start-group without --end-group".into()));
        }
        let z = &self.options.z;
        if let (Some(common), Some(max)) = (z.common_page_size, z.max_page_size)
            && common > max
        {
            return Err(usage("-z common-page-size is larger than -z max-page-size".into()));
        }
        if self.options.emit_relocs && (self.options.strip == Strip::All || z.no_section_header) {
            return Err(usage("--emit-relocs needs the symbol table that -s leaves out".into()));
        }
        if z.no_section_header {
            self.options.strip = Strip::All;
        }
        if let Some(mode) = self.options.build.mode {
            mode.check_kind(self.options.kind)?;
            // Whatever the inputs are: they may be another system's.
            mode.check_said(&self.options.build)?;
        }
        if self.relocatable {
            if self.options.kind == OutputKind::Shared && self.options.build.mode.is_none() {
                return Err(usage("-r and -shared may not be used together".into()));
            }
            self.options.kind = OutputKind::Relocatable;
            self.check_relocatable()?;
        }
        if self.options.inputs.is_empty() && !self.options.show_version {
            return Err(usage("no input files".into()));
        }
        Ok(self.options)
    }
}
