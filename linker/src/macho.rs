//! The Mach-O linker: objects, archives, libraries and ld64's options in, one image out.
//!
//! It shares with ELF what is the same: relocation letters and fields, archives, files, outputs.
//! [`link()`] is the pipeline. It must not know of other formats.

pub mod command;
pub mod commands;
pub mod fixups;
pub mod inputs;
pub mod layout;
pub mod link;
pub mod linkedit;
pub mod literals;
pub mod live;
pub mod machine;
pub mod map;
pub mod mode;
pub mod objc;
pub mod object;
pub mod options;
pub mod resolve;
pub mod scan;
pub mod sections;
pub mod stabs;
pub mod symtab;
#[cfg(test)]
mod tests;
pub mod unwind;
pub mod write;

use crate::format::macho::{lc, signature};
use crate::{ErrorKind, Errors, Files, Report, Sink, output};
use linkedit::Part;
use options::Options;

/// Links `inputs` as `options` ask and writes the image into `sink`.
///
/// Errors: every error found by the phase that failed, sorted by file, section, offset.
pub fn link(
    inputs: &[inputs::Input],
    options: &Options,
    sink: &mut dyn Sink,
) -> Result<Report, Errors> {
    let bytes = inputs.iter().map(|input| input.bytes().len() as u64).sum();
    // Files are read, wanted members extracted; each name stands for one thing. No file joins below.
    let mut link = resolve::resolve(inputs, options, &[])?;
    // A build mode adds an object, with which names are resolved again; another, if that brought the runtime.
    let (all, again, first, second);
    if let Some(added) = mode::add(&link, None)? {
        first = added;
        all = inputs::with_made(&first.object, inputs);
        link = resolve::resolve(&all, options, &first.shared)?;
        let mut last = &first;
        if let Some(added) = mode::add(&link, Some(&first))? {
            second = added;
            again = inputs::with_made(&second.object, inputs);
            link = resolve::resolve(&again, options, &second.shared)?;
            last = &second;
        }
        mode::finish(&mut link, last)?;
    }
    // What nothing reaches goes; equal literals become one.
    live::mark(&mut link);
    literals::fold(&mut link);
    objc::merge(&mut link)?;
    sections::assign(&mut link)?;
    mode::arrange(&mut link);
    sections::check_inits(&link)?;
    sections::take_inits(&mut link);
    sections::forget_names(&mut link);
    // Every relocation says what it needs; every function how it is unwound.
    scan::scan(&mut link)?;
    unwind::plan(&mut link)?;
    scan::plan_stubs(&mut link)?;
    // No section is added below.
    sections::add_made(&mut link)?;
    sections::order(&mut link);
    sections::check_called(&link)?;
    layout::arrange(&mut link)?;
    // No address changes below.
    let fixups = fixups::collect(&link)?;
    let linkedit = linkedit::build(&mut link, &fixups)?;
    let image = output::allocate(sink, linkedit.size, bytes)?;
    write::sections(&link, image, &linkedit.lazy)?;
    objc::write(&link, image);
    write::pointers(&link, image, &fixups, &linkedit.words);
    write::tables(&link, image, &linkedit);
    stamp(&link, image, &linkedit);
    let ignored = inputs.iter().filter_map(inputs::Input::ignored).map(str::to_owned);
    let asked = options.warnings.iter().cloned();
    let warnings = asked.chain(ignored).chain(link.warnings.iter().cloned()).collect();
    let map = options.map.is_some().then(|| map::text(&link));
    Ok(Report { warnings, map, ..Report::default() })
}

/// Loads what `options` name. If some of it is nowhere, that and what nothing defines then: one error may be the
/// other's reason.
///
/// Errors: those of [`inputs::load`], `undefined-symbol`.
pub(crate) fn load(options: &Options, files: &dyn Files) -> Result<Vec<inputs::Input>, Errors> {
    let (inputs, mut errors) = inputs::load(options, files);
    if !errors.is_empty() && errors.iter().all(|error| error.kind() == ErrorKind::MissingFile) {
        let linked = link(&inputs, options, &mut Vec::new());
        let more = linked.err().into_iter().flat_map(|all| all.iter().cloned().collect::<Vec<_>>());
        errors.extend(more.filter(|error| error.kind() == ErrorKind::UndefinedSymbol));
    }
    Errors::collect(errors).map_or(Ok(inputs), Err)
}

/// What follows from the bytes of the image: its UUID, then its signature.
fn stamp(link: &link::Link<'_>, image: &mut [u8], linkedit: &linkedit::Linkedit) {
    let signed = linkedit.parts.iter().find(|part| part.0 == Part::Signature);
    let limit = signed.map_or(image.len(), |part| part.1 as usize);
    let uuid = signature::uuid(&image[..limit]);
    let file = crate::format::macho::read::File::parse(image);
    let at = file.ok().and_then(|file| file.command(&[lc::UUID]).map(|command| command.at));
    if let Some(at) = at {
        image[at + 8..at + 24].copy_from_slice(&uuid);
    }
    if signed.is_some() {
        linkedit::signed(link, limit as u64).sign(image);
    }
}

/// Whether a command line is ld64's, by what only its callers pass.
pub fn is_meant(args: &[String]) -> bool {
    let only = ["-arch", "-platform_version", "-macosx_version_min", "-macos_version_min"];
    args.iter().any(|arg| only.contains(&arg.as_str()))
}

/// Links a command line whose files come from `files`, in process.
pub fn link_args(args: &[String], files: &dyn Files) -> Result<(Vec<u8>, Report), Errors> {
    let options = Options::parse(args, files)?;
    let inputs = load(&options, files)?;
    crate::threads::with(options.threads, || {
        let mut image = Vec::new();
        let report = link(&inputs, &options, &mut image)?;
        Ok((image, report))
    })
}

/// The same onto the disk: a file where `-o` says, made as the command makes it.
pub fn link_file(args: &[String], files: &dyn Files) -> Result<(), Errors> {
    let options = Options::parse(args, files)?;
    let inputs = load(&options, files)?;
    crate::threads::with(options.threads, || {
        let mut sink = command::sink(&options);
        link(&inputs, &options, &mut sink)?;
        sink.commit().map_err(|error| crate::command::cannot_write(&error, &options.output))
    })
}
