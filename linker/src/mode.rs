//! Build modes: `--buildmode`, `--goos`, `--goarch` → the flags they stand for, and what they add to a link.
//!
//! What is added is one object like any other (`made`), and what changes is changed in the inputs (`edit`): later phases
//! know of no modes but by the bounds of sections. Must not know of layout or of how an output is written. After the Go
//! linker's modes, as its sources have them.

mod edit;
mod explain;
mod made;
mod matrix;
mod module;
#[cfg(test)]
pub(crate) mod tests;

#[cfg(test)]
pub(crate) use module::tests::sample as module_sample;

use crate::arch::Arch;
use crate::link::Special;
use crate::options::{Options, OutputKind, Symbolic};
use crate::resolve::Resolution;
use crate::{Error, ErrorKind, Result};

pub use explain::explain;
pub use made::{Addition, OBJECT};
pub use matrix::{SYSTEMS, machines};

/// A build mode: what it asks of a link beyond the inputs.
#[derive(PartialEq, Eq, Debug)]
pub struct Mode {
    /// As `-buildmode` spells it.
    pub name: &'static str,
    /// What is made.
    pub kind: OutputKind,
    /// Which definitions can't be preempted.
    pub symbolic: Symbolic,
    /// The library stays when it is closed.
    pub nodelete: bool,
    /// Everything is bound when it is loaded: a lazy lookup would run on a small stack.
    pub now: bool,
    /// Loading the library starts its runtime.
    pub starts: bool,
    /// Its module data is never called `runtime.firstmoduledata`: that is the host's.
    pub is_guest: bool,
    /// The output's mode, less the umask.
    pub file_mode: u32,
    /// Where there is such a thing: systems, each with its machines.
    pub targets: &'static [(&'static str, &'static [&'static str])],
}

/// What the command line says of the build.
#[derive(Clone, Default, Debug)]
pub struct Build {
    /// `--buildmode`.
    pub mode: Option<&'static Mode>,
    /// `--goos`; `None`: what the inputs' format says.
    pub goos: Option<String>,
    /// `--goarch`; `None`: the inputs' machine.
    pub goarch: Option<String>,
}

/// Every mode.
pub static MODES: &[Mode] = &[
    Mode {
        name: "c-shared",
        kind: OutputKind::Shared,
        symbolic: Symbolic::All,
        nodelete: true,
        now: false,
        starts: true,
        is_guest: false,
        file_mode: 0o666,
        targets: matrix::C_SHARED,
    },
    Mode {
        name: "plugin",
        kind: OutputKind::Shared,
        symbolic: Symbolic::None,
        nodelete: false,
        now: true,
        starts: false,
        is_guest: true,
        file_mode: 0o666,
        targets: matrix::PLUGIN,
    },
    Mode {
        name: "pie",
        kind: OutputKind::Pie,
        symbolic: Symbolic::None,
        nodelete: false,
        now: false,
        starts: false,
        is_guest: false,
        file_mode: 0o777,
        targets: matrix::EXECUTABLE,
    },
    Mode {
        name: "exe",
        kind: OutputKind::Exe,
        symbolic: Symbolic::None,
        nodelete: false,
        now: false,
        starts: false,
        is_guest: false,
        file_mode: 0o777,
        targets: matrix::FIXED,
    },
];

impl Mode {
    /// The mode that `-buildmode` calls `name`.
    ///
    /// Errors: `usage`; the text of a mode there is none of is the Go linker's.
    pub fn named(name: &str) -> Result<&'static Self> {
        let found = MODES.iter().find(|mode| mode.name == name);
        found.ok_or_else(|| {
            usage(match matrix::OTHERS.contains(&name) {
                true => format!("buildmode {name} is not the linker's"),
                false => format!("invalid buildmode: {name:?}"),
            })
        })
    }

    /// What the mode asks for, before any flag is read: flags may change it again.
    pub fn apply(&'static self, options: &mut Options) {
        options.kind = self.kind;
        options.symbolic = self.symbolic;
        options.z.nodelete = self.nodelete;
        options.z.now = self.now;
        options.z.relro = true;
        options.build.mode = Some(self);
    }

    /// Checks what the flags made of the kind of output.
    ///
    /// Errors: `usage`: a mode that makes something else than it says is none.
    pub fn check_kind(&self, kind: OutputKind) -> Result<()> {
        match kind == self.kind {
            true => Ok(()),
            false => Err(self.contradicts(kind_flag(kind))),
        }
    }

    /// A flag that asks for another kind of output.
    pub(crate) fn contradicts(&self, flag: &str) -> Error {
        usage(format!("--buildmode={} and {flag} may not be used together", self.name))
    }

    /// The same in the flags that every GNU-style linker takes.
    pub fn flags(&self) -> Vec<&'static str> {
        let mut flags = vec![kind_flag(self.kind)];
        flags.extend((self.symbolic == Symbolic::All).then_some("-Bsymbolic"));
        flags.extend(self.nodelete.then_some("-z nodelete"));
        flags.extend(self.now.then_some("-z now"));
        flags.push("-z relro");
        flags
    }

    /// Whether the mode is there on `goos/goarch`.
    ///
    /// Errors: `usage`, with the Go linker's text.
    pub fn check(&self, goos: &str, goarch: &str) -> Result<()> {
        let row = self.targets.iter().find(|row| row.0 == goos);
        match row.is_some_and(|row| row.1.contains(&goarch)) {
            true => Ok(()),
            false => {
                Err(usage(format!("buildmode {} not supported on {goos}/{goarch}", self.name)))
            }
        }
    }

    /// Checks the pair as far as flags say it.
    ///
    /// Errors: those of [`Self::check`].
    pub(crate) fn check_said(&self, build: &Build) -> Result<()> {
        let goos = build.goos.as_deref().unwrap_or(matrix::ELF_SYSTEM);
        build.goarch.as_deref().map_or(Ok(()), |goarch| self.check(goos, goarch))
    }

    /// Where a library on `goos/goarch` starts.
    pub fn entry(&self, goos: &str, goarch: &str) -> Option<String> {
        self.starts.then(|| format!("_rt0_{goarch}_{goos}_lib"))
    }

    /// Whether a module that has the end of the list has the runtime: nobody loads an executable. The Go linker
    /// leaves out of one what only announces modules, where its own packages don't.
    pub fn has_runtime_if_listed(&self) -> bool {
        self.kind != OutputKind::Shared
    }

    /// The names under which the module's data may be found, the first that is defined counts.
    pub fn data_names(&self) -> [&'static str; 2] {
        if self.is_guest { [OWN, FIRST] } else { [FIRST, OWN] }
    }
}

/// Where the runtime's list of modules starts: the data of the module that has the runtime.
const FIRST: &str = "runtime.firstmoduledata";

/// Module data that is nobody else's, whatever others see: the Go linker leaves it local.
pub(crate) const OWN: &str = "local.moduledata";

/// For people: what is to have an address.
pub(crate) const DATA: &str = "a module's data";
/// See [`DATA`].
pub(crate) const START: &str = "what starts a library";

/// The flag that asks for `kind`.
fn kind_flag(kind: OutputKind) -> &'static str {
    match kind {
        OutputKind::Shared => "-shared",
        OutputKind::Pie => "-pie",
        OutputKind::Exe => "-no-pie",
        OutputKind::Relocatable => "-r",
    }
}

/// A `usage` error.
pub(crate) fn usage(text: String) -> Error {
    Error::new(ErrorKind::Usage, text)
}

/// Where a link's output is to run, as `GOOS/GOARCH`: what the flags say, else what the inputs are.
fn target<'o>(options: &'o Options, arch: &'static Arch) -> (&'o str, &'o str) {
    let goos = options.build.goos.as_deref().unwrap_or(matrix::ELF_SYSTEM);
    (goos, options.build.goarch.as_deref().unwrap_or(arch.name))
}

/// Checks what the flags say of the mode and of the target.
///
/// Errors: `usage`; `wrong-machine` for a `--goarch` that the inputs are not for.
pub fn check(options: &Options, arch: &'static Arch) -> Result<()> {
    let Some(mode) = options.build.mode else {
        return match options.build.goos.is_some() || options.build.goarch.is_some() {
            true => Err(usage("--goos and --goarch go with --buildmode".into())),
            false => Ok(()),
        };
    };
    if options.kind == OutputKind::Relocatable {
        return Err(usage("-r and --buildmode may not be used together".into()));
    }
    let (goos, goarch) = target(options, arch);
    mode.check(goos, goarch)?;
    if !matrix::is_elf(goos) {
        return Err(usage(format!("--goos={goos}: the inputs are ELF")));
    }
    if goarch != arch.name {
        let text = format!("--goarch={goarch}: the inputs are for {}", arch.name);
        return Err(Error::new(ErrorKind::WrongMachine, text));
    }
    Ok(())
}

/// Checks the mode against the machine of inputs that there is no back end for: its number, whether it has 64 bits,
/// whether it is little-endian.
///
/// Errors: `usage`, if it is one of Go's.
pub fn check_machine(options: &Options, machine: (u16, bool, bool)) -> Result<()> {
    let goarch = matrix::FOREIGN.iter().find(|row| (row.0, row.1, row.2) == machine);
    let goarch = goarch.map(|row| row.3);
    match options.build.mode.zip(goarch) {
        Some((mode, goarch)) => {
            mode.check(options.build.goos.as_deref().unwrap_or(matrix::ELF_SYSTEM), goarch)
        }
        None => Ok(()),
    }
}

/// What a mode adds to one link.
#[derive(PartialEq, Eq, Debug)]
pub struct Added {
    what: Addition,
    /// The object, which goes before all others.
    pub object: Vec<u8>,
    /// Inputs, by number, that are part of the link with other bytes.
    pub edits: Vec<(usize, Vec<u8>)>,
}

/// What the mode adds to the files of `res`; none if they are no Go module.
///
/// `before` is what was added to them already, which may have pulled the runtime out of an archive: the answer is
/// none, too, if that is still right. What asks for nothing new pulls nothing new, so asking twice is enough.
///
/// Errors: `mode-conflict` for a runtime whose list has no place for an address, for what is not loaded and for names
/// that are the mode's own, `undefined-symbol` for what has no address, `duplicate-symbol` for what is in several
/// places, `internal`.
pub fn add(
    res: &Resolution<'_>,
    options: &Options,
    arch: &'static Arch,
    before: Option<&Added>,
) -> Result<Option<Added>> {
    let Some(mode) = options.build.mode else { return Ok(None) };
    refuse_defsyms(mode, options, arch)?;
    let library = options.kind == OutputKind::Shared;
    let module = module::Module::new(res, usize::from(before.is_some()), library);
    // The Go linker's own output for another linker: it has done all this.
    let mut what = match module.is_complete() {
        true => Addition::default(),
        false => Addition::find(mode, target(options, arch), |name| module.look(name))?,
    };
    if let Some(start) = &what.start
        && (module.is_init(&options.init, start)
            || module.find(start)?.is_some_and(|place| module.is_called(place)))
    {
        what.start = None;
    }
    let announced = before.is_some_and(|before| before.what.announce.is_some());
    what.pulls = announced && what.announce.is_none();
    if before.map_or(what.is_empty(), |before| before.what == what) {
        return Ok(None);
    }
    if let Some(data) = what.data().filter(|_| options.kind != OutputKind::Exe) {
        module.refuse_number(data, DATA)?;
    }
    if let Some(start) = &what.start {
        module.refuse_number(start, START)?;
    }
    for (name, sort) in [(what.data(), DATA), (what.start.as_deref(), START)] {
        name.map_or(Ok(()), |name| module.refuse_unloaded(name, sort))?;
    }
    // Those from before are the inputs of now.
    let mut edits = module.edits(&what)?;
    for (at, bytes) in before.map_or(&[][..], |before| &before.edits) {
        if !edits.iter().any(|edit| edit.0 == *at) {
            edits.push((*at, bytes.clone()));
        }
    }
    let object = what.object(arch, |name| module.handle(name))?;
    Ok(Some(Added { object, what, edits }))
}

/// Checks that `--defsym` defines nothing that the mode looks for in objects.
///
/// Errors: `mode-conflict`.
fn refuse_defsyms(mode: &Mode, options: &Options, arch: &'static Arch) -> Result<()> {
    let (goos, goarch) = target(options, arch);
    let start = mode.entry(goos, goarch);
    let looked_for = |name: &str| {
        mode.data_names().contains(&name)
            || made::RUNTIME.contains(&name)
            || start.as_deref() == Some(name)
    };
    match options.defsyms.iter().find(|defsym| looked_for(&defsym.name)) {
        Some(defsym) => {
            let text = format!(
                "--buildmode={} and --defsym {} may not be used together: an object is to define it",
                mode.name, defsym.name
            );
            Err(Error::new(ErrorKind::ModeConflict, text))
        }
        None => Ok(()),
    }
}

/// A row of [`MARKERS`].
type Marker = (&'static str, &'static str, &'static str, Option<&'static str>);

/// Section bounds that a module may ask for by these names: of the start, of the end, the section; where there is none,
/// the input sections that stand in for it, because they have addresses in them.
static MARKERS: &[Marker] = &[
    ("runtime.text", "runtime.etext", ".text", None),
    ("runtime.rodata", "runtime.erodata", ".rodata", None),
    ("runtime.types", "runtime.etypes", ".go.type", Some(".data.rel.ro.go.type")),
    ("runtime.noptrdata", "runtime.enoptrdata", ".noptrdata", None),
    ("runtime.data", "runtime.edata", ".data", None),
    ("runtime.bss", "runtime.ebss", ".bss", None),
    ("runtime.noptrbss", "runtime.enoptrbss", ".noptrbss", None),
];

/// What input sections are called that stand in for the output section called `name` where there is none.
pub fn stand_in(name: &[u8]) -> Option<&'static [u8]> {
    let row = MARKERS.iter().find(|row| row.2.as_bytes() == name)?;
    row.3.map(str::as_bytes)
}

/// What the linker itself defines in a link with a mode, if it is asked for: names and meanings.
pub fn markers(options: &Options) -> impl Iterator<Item = (&'static str, Special)> {
    let rows = if options.build.mode.is_some() { MARKERS } else { &[] };
    rows.iter().flat_map(|&(start, end, section, _)| {
        let section = section.as_bytes().to_vec();
        [(start, Special::Start(section.clone())), (end, Special::Stop(section))]
    })
}
