//! The command line, one argument after the other. Must not know what options mean.

use std::path::{Path, PathBuf};

use super::table::{self, ATTACHED, IGNORED, ROWS};
use super::{Kind, Named, Options, Take, Undefined};
use crate::macho::mode;
use crate::mode::Mode;
use crate::options::Once;
use crate::{Error, ErrorKind, Errors, Files};

/// More than any image has.
const MOST: u64 = 1 << 47;

/// See [`Options::parse`].
pub(super) fn parse(args: &[String], files: &dyn Files) -> Result<Options, Errors> {
    let args = crate::options::expand_responses(args, files)?;
    let files = &Once::new(files);
    let options = pass(&args, files, None)?;
    // What a mode asks for stands before all that the command line says, wherever the mode is named.
    let mut options = match options.build.mode {
        Some(mode) => pass(&args, files, Some(mode))?,
        None => options,
    };
    finish(&mut options)?;
    Ok(options)
}

/// Reads all arguments.
fn pass(
    args: &[String],
    files: &dyn Files,
    mode: Option<&'static Mode>,
) -> Result<Options, Errors> {
    let mut options = Options { output: "a.out".into(), platform: 1, ..Options::default() };
    mode.into_iter().for_each(|mode| mode::apply(mode, &mut options));
    let mut at = 0;
    while let Some(arg) = args.get(at) {
        at += 1;
        let Some(name) = arg.strip_prefix('-').filter(|name| !name.is_empty()) else {
            options.inputs.push((Named::Path(arg.into()), Take::default()));
            continue;
        };
        at += one(&mut options, name, &args[at..], files)?;
    }
    Ok(options)
}

/// One option; gives how many of the arguments behind it it took.
fn one(
    options: &mut Options,
    name: &str,
    rest: &[String],
    files: &dyn Files,
) -> Result<usize, Errors> {
    let take = |count| rest.get(..count).ok_or_else(|| usage(name, "argument missing"));
    let done = |result: Result<(), String>, count| match result {
        Ok(()) => Ok(count),
        Err(text) => Err(usage(name, &text)),
    };
    if let Some(row) = ROWS.iter().find(|row| row.name == name) {
        return done((row.act)(options, take(row.args)?), row.args);
    }
    if let Some(&(_, count)) = IGNORED.iter().find(|row| row.0 == name) {
        return take(count).map(|_| count);
    }
    if let Some(count) = build(options, name, rest)? {
        return Ok(count);
    }
    match name {
        "platform_version" => return done(table::platform(options, take(3)?), 3),
        "commons" => return done(table::commons(&take(1)?[0]), 1),
        "filelist" | "exported_symbols_list" | "unexported_symbols_list" => {
            list(options, name, &take(1)?[0], files)?;
            return Ok(1);
        }
        _ => {}
    }
    let Some(row) = ATTACHED.iter().find(|row| name.starts_with(row.name)) else {
        let text = format!("unknown option: -{name}");
        return Err(Error::new(ErrorKind::UnknownOption, text).into());
    };
    match &name[row.name.len()..] {
        "" => done((row.act)(options, take(1)?), 1),
        value => done((row.act)(options, &[value.to_owned()]), 0),
    }
}

/// `--buildmode`, `--goos` and `--goarch`, their value behind `=` or as an argument: how many it took.
fn build(options: &mut Options, name: &str, rest: &[String]) -> Result<Option<usize>, Errors> {
    let (flag, value) = name.split_once('=').map_or((name, None), |(flag, v)| (flag, Some(v)));
    // With one dash, as Go's own linker takes them, or with two.
    let flags = ["buildmode", "goos", "goarch"];
    let bare = flag.strip_prefix('-').unwrap_or(flag);
    let Some(&known) = flags.iter().find(|known| **known == bare) else { return Ok(None) };
    let (value, count) = match value {
        Some(value) => (value, 0),
        None => (rest.first().ok_or_else(|| usage(flag, "argument missing"))?.as_str(), 1),
    };
    match known {
        "buildmode" => options.build.mode = Some(Mode::named(value)?),
        "goos" => options.build.goos = Some(value.into()),
        _ => options.build.goarch = Some(value.into()),
    }
    Ok(Some(count))
}

fn usage(name: &str, text: &str) -> Errors {
    Error::new(ErrorKind::Usage, format!("-{name}: {text}")).into()
}

/// What follows from the whole.
fn finish(options: &mut Options) -> Result<(), Errors> {
    if options.help {
        return Ok(());
    }
    if options.machine.is_none() && !options.version {
        return Err(Error::new(ErrorKind::Usage, "-arch is missing").into());
    }
    if options.minos == 0 {
        options.minos = 11 << 16;
    }
    let flat_only = matches!(options.undefined, Undefined::Suppress | Undefined::Warning);
    if flat_only && !options.flat {
        let text = "only dynamic_lookup goes with a two-level namespace";
        return Err(usage("undefined", text));
    }
    exports(options)?;
    if !options.version {
        mode::check(options)?;
    }
    options.sdk = if options.sdk == 0 { options.minos } else { options.sdk };
    place(options)?;
    if options.kind != Kind::Bundle && options.bundle_loader.is_some() {
        return Err(usage("bundle_loader", "only a bundle has one"));
    }
    if options.kind != Kind::Dylib && options.init.is_some() {
        return Err(usage("init", "only a library has one"));
    }
    if options.kind != Kind::Execute && options.entry.is_some() {
        options.warnings.push("-e has no effect: only a program has an entry".to_owned());
    }
    if options.kind != Kind::Dylib && options.install_name.is_some() {
        // ld64 takes the name, and has no use for it.
        let text = "-install_name has no effect: nothing links with what is no library";
        options.warnings.push(text.to_owned());
    }
    Ok(())
}

/// Which symbols are exported is chosen in one way.
fn exports(options: &mut Options) -> Result<(), Errors> {
    if options.exported.is_some() && !options.unexported.is_empty() {
        return Err(usage("unexported_symbol", "goes not with a list of exported symbols"));
    }
    if !options.no_exports {
        return Ok(());
    }
    if options.exported.is_some() || !options.unexported.is_empty() {
        return Err(usage("no_exported_symbols", "goes not with a list of symbols"));
    }
    options.exported = Some(Vec::new());
    Ok(())
}

/// What ld64 wants of a stack.
const STACK: u64 = 0x1000;

/// Where the image is to be, and its stack.
fn place(options: &mut Options) -> Result<(), Errors> {
    if !options.stack_size.is_multiple_of(STACK) {
        let text = format!("{:#x} is not a multiple of {STACK:#x}", options.stack_size);
        return Err(usage("stack_size", &text));
    }
    if options.stack_size > 0 && options.kind != Kind::Execute {
        return Err(usage("stack_size", "only a program has one"));
    }
    if !options.slides() && options.arch().always_slides {
        options.no_pie = false;
        let text = format!("-no_pie has no effect: programs for {} run", options.arch().name);
        options.warnings.push(text + " wherever they are loaded");
    }
    if !options.slides() && options.chained == Some(true) {
        return Err(usage("fixup_chains", "goes not with -no_pie"));
    }
    if options.pagezero.is_some_and(|size| size > 0) && options.kind != Kind::Execute {
        return Err(usage("pagezero_size", "only a program has one"));
    }
    if let Some(size) = options.pagezero.filter(|size| !size.is_multiple_of(options.arch().page)) {
        let text = format!("{size:#x} is not a multiple of the page size");
        return Err(usage("pagezero_size", &text));
    }
    if let Some(base) = options.base.filter(|base| !base.is_multiple_of(options.arch().page)) {
        return Err(usage("image_base", &format!("{base:#x} is not a multiple of the page size")));
    }
    if let Some(base) = options.base.filter(|base| base.checked_add(MOST).is_none()) {
        return Err(usage("image_base", &format!("{base:#x} leaves no room for an image")));
    }
    Ok(())
}

/// Options that name a file with a list.
fn list(options: &mut Options, name: &str, value: &str, files: &dyn Files) -> Result<(), Errors> {
    let (path, folder) = match value.split_once(',') {
        Some((path, folder)) if name == "filelist" => (path, Some(folder)),
        _ => (value, None),
    };
    let data = files.open(Path::new(path)).map_err(|error| {
        Error::new(ErrorKind::Io, format!("cannot open: {error}")).in_file(path)
    })?;
    let text = String::from_utf8_lossy(&data).into_owned();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    if name == "filelist" {
        let path = |line: &str| folder.map_or_else(|| line.into(), |f| PathBuf::from(f).join(line));
        options.inputs.extend(lines.map(|line| (Named::Path(path(line)), Take::default())));
        return Ok(());
    }
    let names = lines
        .map(|line| line.split('#').next().unwrap_or(line).trim().to_owned())
        .filter(|line| !line.is_empty());
    let names: Result<Vec<String>, String> = names.map(|name| table::pattern(&name)).collect();
    let names = names.map_err(|text| usage(name, &format!("{path}: {text}")))?;
    match name {
        "exported_symbols_list" => options.exported.get_or_insert_default().extend(names),
        _ => options.unexported.extend(names),
    }
    Ok(())
}
