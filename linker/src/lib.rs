//! The reference linker: objects, archives, shared libraries and options in, one linked image out.
//!
//! [`link()`] is the pipeline. It must not know of other linkers, of generated cases, or of the judge.

#![warn(missing_docs)]

use std::cell::OnceCell;

pub mod arch;
pub mod command;
pub mod compress;
pub mod crossref;
pub mod eh_frame;
pub mod error;
pub mod format;
pub mod gc;
pub mod hardening;
pub mod init_order;
pub mod input;
pub mod layout;
pub mod link;
pub mod macho;
pub mod map;
pub mod merge;
pub mod mode;
pub mod object;
pub mod options;
pub mod output;
pub mod relocatable;
pub mod relocate;
pub mod resolve;
#[cfg(test)]
mod robustness;
pub mod scan;
pub mod symbols;
pub mod synthetic;
pub mod threads;
pub mod trace;
pub mod write;

pub use error::{Error, ErrorKind, Errors, Malformed, Result, Site};
pub use input::{Data, DiskFiles, Files, Input, InputKind, Inputs, MemoryFiles};
pub use options::Options;
pub use output::{Report, Sink, Stats};

/// Links `inputs` as `options` ask and writes the image into `sink`.
///
/// Errors: every error found by the phase that failed, sorted by file, section, offset.
pub fn link(inputs: &Inputs, options: &Options, sink: &mut dyn Sink) -> Result<Report, Errors> {
    let mut clock = Clock::default();
    let options = &*inputs.said.apply(options)?;
    let arch = machine(inputs, options)?;
    refuse_libraries(inputs, options)?;
    let bytes = inputs.list.iter().map(|input| input.bytes().len() as u64).sum();
    // Each file is read, its names get ids, the best definition of each name wins.
    let wraps = wraps(options);
    let (added, lists) = (Default::default(), Default::default());
    let res = resolved(inputs, options, arch, &wraps, (&added, &lists))?;
    clock.lap("resolve");
    let traced = trace::symbols(&res, &options.trace_symbols);
    let map = map::Map::new(&res, options);
    // No file joins the link below.
    let mut link = link::Link::new(options, arch, res);
    if options.kind == options::OutputKind::Relocatable {
        let report = relocatable::write(&mut link, sink, bytes)?;
        return Ok(map.finish("", Report { traced, ..report }));
    }
    symbols::define_specials(&mut link)?;
    // What nothing reaches is as if it had not been there.
    let removed = gc::collect(&mut link);
    // Every section that stays gets its output section; equal pieces are merged.
    layout::assign::assign(&mut link)?;
    // Each symbol is imported, exported or neither; no name is added below.
    symbols::classify(&mut link)?;
    symbols::choose_entry(&mut link)?;
    symbols::check_libraries(&link)?;
    clock.lap("sections");
    // Unwind records of what is gone go too.
    synthetic::unwind::plan(&mut link)?;
    layout::assign::place_members(&mut link);
    layout::assign::place_commons(&mut link);
    // Unwind tables that are found by an index are in the order of their code.
    synthetic::index::plan(&mut link)?;
    // Every relocation says what it needs.
    link.prepare_scan()?;
    let totals = scan::scan(&link)?;
    clock.lap("scan");
    // What the linker makes is planned once: slots, dynamic symbols, strings, versions, tags.
    synthetic::plan::plan_slots(&mut link, totals);
    synthetic::properties::plan(&mut link)?;
    if link.is_dynamic() {
        synthetic::plan::plan_dynsyms(&mut link);
        synthetic::dynamic::plan(&mut link)?;
    }
    let objects = link.res.objects().map(|o| o.1);
    let attributes = synthetic::attributes::merge(arch, options, objects)?;
    (link.plan.attributes, link.plan.flags) = attributes;
    synthetic::sections::add_loaded(&mut link);
    synthetic::symtab::plan(&mut link);
    synthetic::sections::add_tables(&mut link);
    // No section is added below.
    layout::addresses::arrange(&mut link);
    synthetic::sections::connect(&mut link);
    layout::addresses::settle(&mut link)?;
    hardening::check(&mut link)?;
    symbols::compute_defsyms(&mut link)?;
    layout::symbols::resolve_addresses(&mut link);
    // What a branch can't reach it reaches by a thunk, for which things move once more.
    layout::thunks::settle(&mut link)?;
    synthetic::symtab::add_marks(&mut link);
    // Addresses are final; debug sections may shrink before they get their place in the file.
    write::pack::debug(&mut link, bytes)?;
    clock.lap("layout");
    // No address changes below: everything is written in place, in parallel.
    let image = output::allocate(sink, link.shape.size, bytes)?;
    write::sections(&link, image)?;
    layout::thunks::write(&link, image)?;
    format::elf::write::headers(&link, image);
    synthetic::build_id::finish(&link, image);
    clock.lap("write");
    let stats = Stats::of(&link, clock.laps);
    let warnings = std::mem::take(&mut link.warnings);
    let table = if options.map.is_some() { map::text(&link) } else { String::new() };
    // The tables are large and the process is about to end: freeing them page by page costs more
    // than the kernel's sweep. In-process callers link small cases.
    if link.res.section_count > 100_000 {
        std::mem::forget(link);
    }
    Ok(map.finish(&table, Report { warnings, removed, traced, map: None, stats }))
}

/// Time by phase.
struct Clock {
    last: std::time::Instant,
    laps: Vec<(&'static str, std::time::Duration)>,
}

impl Default for Clock {
    fn default() -> Self {
        Self { last: std::time::Instant::now(), laps: Vec::new() }
    }
}

impl Clock {
    fn lap(&mut self, name: &'static str) {
        let now = std::time::Instant::now();
        self.laps.push((name, now - self.last));
        self.last = now;
    }
}

/// The machine everything is for.
fn machine(inputs: &Inputs, options: &Options) -> Result<&'static arch::Arch, Errors> {
    let emulation = inputs.emulation.or(options.emulation);
    let arch = emulation.or_else(|| arch::ARCHES.first().copied());
    let arch =
        arch.ok_or_else(|| Error::new(ErrorKind::WrongMachine, "no machine is supported"))?;
    let arch = arch.chosen.map_or(arch, |chosen| chosen(options.choices));
    let own = |flag: &&String| {
        arch.errata.iter().any(|erratum| erratum.flag == flag.trim_start_matches('-'))
    };
    if let Some(flag) = options.errata.iter().find(|flag| !own(flag)) {
        // lld refuses them, too; gcc and clang only pass them for their machine.
        let text = format!("{flag} is for other machines");
        return Err(Error::new(ErrorKind::Usage, text).into());
    }
    mode::check(options, arch)?;
    let page = options.z.max_page_size.unwrap_or(arch.page);
    if let Some(base) = options.image_base.filter(|base| !base.is_multiple_of(page)) {
        let text = format!("--image-base={base:#x}: not a multiple of the page size {page:#x}");
        return Err(Error::new(ErrorKind::Usage, text).into());
    }
    Ok(arch)
}

/// What the inputs' names mean. A build mode adds an object, with which they are resolved again; and then
/// another, if that brought the runtime. What the result refers to is kept in the last argument.
fn resolved<'a>(
    inputs: &'a Inputs,
    options: &'a Options,
    arch: &'static arch::Arch,
    wraps: &'a [[String; 3]],
    (added, lists): (&'a [OnceCell<mode::Added>; 2], &'a [OnceCell<Candidates<'a>>; 3]),
) -> Result<resolve::Resolution<'a>, Errors> {
    let round = |list: &'a OnceCell<Candidates<'a>>, added| {
        let all = list.get_or_init(|| candidates(inputs, added));
        resolve::resolve(all, wraps, options, arch)
    };
    let mut res = round(&lists[0], None)?;
    let mut before = None;
    for (list, cell) in lists[1..].iter().zip(added) {
        let Some(more) = mode::add(&res, options, arch, before)? else { break };
        before = Some(cell.get_or_init(|| more));
        res = round(list, before)?;
    }
    Ok(res)
}

type Candidates<'a> = Vec<resolve::Candidate<'a>>;

/// The inputs, as the build mode changes them, after the object that it adds.
fn candidates<'a>(inputs: &'a Inputs, added: Option<&'a mode::Added>) -> Candidates<'a> {
    let edits = added.map_or(&[][..], |added| &added.edits);
    let edited = |at: usize| edits.iter().find(|edit| edit.0 == at).map(|edit| &edit.1[..]);
    let candidate = |(at, input): (usize, &'a Input)| resolve::Candidate {
        name: input.name.clone(),
        given: input.needed.clone().into_bytes(),
        data: edited(at).unwrap_or_else(|| input.bytes()),
        what: match (input.kind, input.lazy) {
            (InputKind::Shared, _) => resolve::What::Shared,
            (_, true) => resolve::What::Lazy,
            _ => resolve::What::Object,
        },
        as_needed: input.state.as_needed,
        hide: input.hidden,
    };
    let added = added.map(|added| resolve::Candidate {
        name: mode::OBJECT.into(),
        given: Vec::new(),
        data: &added.object,
        what: resolve::What::Object,
        as_needed: false,
        hide: false,
    });
    added.into_iter().chain(inputs.list.iter().enumerate().map(candidate)).collect()
}

/// Neither a static program nor an object can need a library at run time.
fn refuse_libraries(inputs: &Inputs, options: &Options) -> Result<(), Errors> {
    if !options.is_static && options.kind != options::OutputKind::Relocatable {
        return Ok(());
    }
    let libraries = inputs.list.iter().filter(|input| input.kind == InputKind::Shared);
    let error = |input: &Input| {
        let text = "a shared library can't be part of a static link";
        Error::new(ErrorKind::BadInput, text).in_file(&input.name)
    };
    Errors::collect(libraries.map(error).collect()).map_or(Ok(()), Err)
}

/// Each wrapped name with its `__wrap_` and `__real_` forms.
fn wraps(options: &Options) -> Vec<[String; 3]> {
    let forms = |name: &String| [name.clone(), format!("__wrap_{name}"), format!("__real_{name}")];
    options.wrap.iter().map(forms).collect()
}

/// Links a command line (without the program's name) whose files come from `files`, in process.
pub fn link_args(args: &[String], files: &dyn Files) -> Result<(Vec<u8>, Report), Errors> {
    if macho::is_meant(args) {
        return macho::link_args(args, files);
    }
    let options = Options::parse(args, files)?;
    let inputs = Inputs::load(&options, files)?;
    threads::with(options.threads, || {
        let mut image = Vec::new();
        let report = link(&inputs, &options, &mut image)?;
        Ok((image, report))
    })
}

/// The same onto the disk: a file where `-o` says, made as the command makes it.
pub fn link_file(args: &[String], files: &dyn Files) -> Result<(), Errors> {
    if macho::is_meant(args) {
        return macho::link_file(args, files);
    }
    let options = Options::parse(args, files)?;
    let inputs = Inputs::load(&options, files)?;
    threads::with(options.threads, || {
        let mut sink = command::sink(&options);
        link(&inputs, &options, &mut sink)?;
        sink.commit().map_err(|error| command::cannot_write(&error, &options.output))
    })
}
