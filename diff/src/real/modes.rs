//! `--buildmode`, `--goos` and `--goarch` among a link's arguments → what they ask for.
//!
//! Only the reference linker has such options: the others get what a mode means. The table is the Go toolchain's
//! (`internal/platform`), as far as there are machines here. It must not know what a mode adds.

use std::io;

use crate::desugar::desugar;
use crate::{Arch, Format, Mode, Request};

/// What the arguments say of the build.
#[derive(Default, Debug)]
pub(super) struct Asked {
    pub(super) mode: Option<Mode>,
    /// The option among the others that says what is made, as it counts beside the mode.
    kind: Option<&'static str>,
    /// `-no-pie` stands where a library is asked for.
    fixes_library: bool,
    /// `-r`, which is none of those.
    relocatable: bool,
    goos: Option<String>,
    goarch: Option<String>,
}

/// A system, its files, its machines, and whether its programs may be fixed: libraries are there in both modes.
type Row = (&'static str, Format, &'static [&'static str], bool);

const SYSTEMS: &[Row] = &[
    ("linux", Format::Elf, &["amd64", "arm", "arm64"], true),
    ("android", Format::Elf, &["amd64", "arm", "arm64"], true),
    ("darwin", Format::Macho, &["amd64", "arm64"], false),
];

/// Modes that never reach a linker, or that linkers don't know by their names.
const OTHERS: &[&str] = &["archive", "c-archive", "default", "shared"];

/// The arguments without those about the build, and what those ask for.
///
/// Errors: an argument that is missing; a mode there is none of.
pub(super) fn read(args: &[String]) -> io::Result<(Vec<String>, Asked)> {
    let (mut rest, mut asked) = (Vec::new(), Asked::default());
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let bare = arg.strip_prefix('-').map(|bare| bare.strip_prefix('-').unwrap_or(bare));
        let (name, value) = bare.unwrap_or_default().split_once('=').map_or_else(
            || (bare.unwrap_or_default(), None),
            |(name, value)| (name, Some(value.to_owned())),
        );
        if !matches!(name, "buildmode" | "goos" | "goarch") {
            rest.push(arg.clone());
            continue;
        }
        let value = value.or_else(|| args.next().cloned());
        let value = value.ok_or_else(|| wrong(format!("{arg} needs an argument")))?;
        match name {
            "buildmode" => asked.mode = Some(mode(&value)?),
            "goos" => asked.goos = Some(value),
            _ => asked.goarch = Some(value),
        }
    }
    Ok((rest, asked))
}

fn mode(name: &str) -> io::Result<Mode> {
    match name {
        _ if OTHERS.contains(&name) => Err(wrong(format!("buildmode {name} is not the linker's"))),
        _ => name.parse().map_err(|_| wrong(format!("invalid buildmode: {name:?}"))),
    }
}

fn wrong(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

/// What Go calls a machine.
fn goarch(arch: Arch) -> &'static str {
    match arch {
        Arch::Amd64 => "amd64",
        Arch::Arm => "arm",
        Arch::Arm64 => "arm64",
    }
}

/// What options that say what is made may stand beside.
fn makes(kind: &str) -> &'static [Mode] {
    match kind {
        "-shared" | "-dylib" => &[Mode::CShared, Mode::Plugin],
        "-pie" => &[Mode::Pie],
        "-no-pie" => &[Mode::Exe],
        "-execute" => &[Mode::Exe, Mode::Pie],
        _ => &[],
    }
}

impl Asked {
    /// Whether `arg` says what is made, and there is a mode that says that: of several the last one counts.
    pub(super) fn says_kind(&mut self, arg: &str) -> bool {
        let Some(mode) = self.mode else { return false };
        let kind = match arg {
            "-shared" | "--shared" | "-Bshareable" => "-shared",
            "-pie" | "--pie" | "-pic-executable" => "-pie",
            "-no-pie" | "--no-pie" => "-no-pie",
            "-r" | "-i" | "--relocatable" => {
                self.relocatable = true;
                return true;
            }
            "-dylib" => "-dylib",
            "-bundle" => "-bundle",
            "-execute" => "-execute",
            _ => return false,
        };
        let is_program = match self.kind {
            None => !mode.is_library(),
            Some(before) => before == "-pie" || before == "-no-pie",
        };
        // A mode's library can't be one that isn't, whatever comes then.
        self.fixes_library |= kind == "-no-pie" && !is_program;
        self.kind = Some(kind);
        true
    }

    /// `request` as it is in this mode.
    ///
    /// Errors: a mode that isn't there on the system, with the Go toolchain's text; inputs of another machine.
    pub(super) fn apply(&self, request: Request) -> io::Result<Request> {
        let Some(mode) = self.mode else {
            return match self.goos.is_some() || self.goarch.is_some() {
                true => Err(wrong("--goos and --goarch go with --buildmode".to_owned())),
                false => Ok(request),
            };
        };
        let format = request.target.format;
        let wrong_kind = self.kind.filter(|kind| !makes(kind).contains(&mode));
        if let Some(kind) = if self.fixes_library { Some("-no-pie") } else { wrong_kind } {
            return Err(wrong(format!("--buildmode={mode} and {kind} may not be used together")));
        }
        if self.relocatable {
            return Err(wrong("-r and --buildmode may not be used together".to_owned()));
        }
        let own = goarch(request.target.arch);
        let goos = self.goos.as_deref().unwrap_or(match format {
            Format::Elf => "linux",
            Format::Macho => "darwin",
        });
        let asked = self.goarch.as_deref().unwrap_or(own);
        let row = SYSTEMS.iter().find(|row| row.0 == goos && row.2.contains(&asked));
        let Some(&(goos, files, ..)) = row.filter(|row| row.3 || mode != Mode::Exe) else {
            return Err(wrong(format!("buildmode {mode} not supported on {goos}/{asked}")));
        };
        if files != format {
            let inputs = if format == Format::Elf { "ELF" } else { "Mach-O" };
            return Err(wrong(format!("--goos={goos}: the inputs are {inputs}")));
        }
        if asked != own {
            let inputs = match (format, request.target.arch) {
                (Format::Elf, _) => format!("the inputs are for {own}"),
                (Format::Macho, Arch::Amd64) => "-arch is x86_64".to_owned(),
                (Format::Macho, _) => format!("-arch is {own}"),
            };
            return Err(wrong(format!("--goarch={asked}: {inputs}")));
        }
        Ok(desugar(Request { mode, goos: Some(goos), ..request }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::request;
    use super::*;
    use crate::Target;
    use crate::adapter::{Adapter as _, Outcome, Reference};
    use crate::desugar::{OBJECT, sample, sugared};

    fn parse(line: &str, dir: &std::path::Path) -> Result<Request, String> {
        let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
        request(Target::AMD64_ELF, &args, dir).map_err(|error| error.to_string())
    }

    /// A folder with a module in it that defines `names`.
    fn folder(names: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let module = sample::module(Target::AMD64_ELF, Mode::Plugin, names).unwrap();
        std::fs::write(dir.path().join("a.o"), &module.files[0].bytes).unwrap();
        dir
    }

    #[test]
    fn a_mode_is_there_for_every_linker() {
        let start = "_rt0_amd64_android_lib";
        let dir = folder(&["f", "local.moduledata", start]);
        for (line, mode) in [
            ("--buildmode=plugin a.o", Mode::Plugin),
            ("-buildmode c-shared -shared --goos=android -goarch amd64 a.o", Mode::CShared),
        ] {
            let request = parse(line, dir.path()).unwrap();
            assert_eq!((request.mode, &*request.args), (mode, &[OBJECT.into(), "a.o".into()][..]));
            assert_eq!(sugared(&request).unwrap().args, ["a.o"]);
            let added = String::from_utf8_lossy(&request.file(OBJECT).unwrap().bytes).into_owned();
            assert_eq!(added.contains(start), mode == Mode::CShared, "{line}");
            let command = Reference::default().command(&request);
            assert!(command.contains(&format!("--buildmode={mode}")), "{command:?}");
            assert!(command.iter().any(|arg| arg.starts_with("--goos=")), "{command:?}");
        }
        let plain = parse("--buildmode=plugin --goos linux a.o", folder(&["f"]).path()).unwrap();
        assert_eq!((plain.mode, &*plain.args), (Mode::Plugin, &["a.o".to_owned()][..]));
    }

    /// What the reference linker says to the same, if it refuses.
    fn refusal(mode: Mode, line: &str, file: &[u8]) -> Option<String> {
        let args = line.split(' ').map(str::to_owned).collect();
        let files = vec![crate::File { name: "a.o".into(), bytes: file.into() }];
        let request = Request { target: Target::AMD64_ELF, mode, args, files, goos: None };
        match Reference::default().link(&request, std::time::Duration::from_secs(20)) {
            Outcome::Refused(_, text) => Some(text),
            Outcome::Linked(_) => None,
            other => panic!("{line}: {other:?}"),
        }
    }

    /// The linker has the same table, and says the same.
    #[test]
    fn what_is_refused_the_linker_refuses() {
        let dir = folder(&["f"]);
        let file = std::fs::read(dir.path().join("a.o")).unwrap();
        for line in [
            "--buildmode=plugin --goos=windows a.o",
            "--buildmode=c-shared --goarch=386 a.o",
            "--buildmode=plugin --goos=darwin --goarch=arm a.o",
            "--buildmode=plugin --goos=darwin a.o",
            "--buildmode=exe -no-pie --goos=darwin a.o",
            "--buildmode=bogus a.o",
            "--buildmode=c-archive a.o",
            "--goos=linux a.o",
            "--buildmode=c-shared --goarch=arm64 a.o",
        ] {
            let said = parse(line, dir.path()).unwrap_err();
            let mode = if line.contains("=exe") { Mode::Exe } else { Mode::Shared };
            let text = refusal(mode, line, &file).unwrap();
            assert!(text.ends_with(&said), "{text}, {said}");
        }
        assert!(parse("--buildmode", dir.path()).is_err());
    }

    /// Options beside a mode: what they say is as the linker reads them, in any order.
    #[test]
    fn a_mode_and_another_are_refused_as_the_linker_does() {
        let dir = folder(&["f"]);
        let file = std::fs::read(dir.path().join("a.o")).unwrap();
        let (mut refused, mut taken) = (0, 0);
        for mode in ["plugin", "c-shared", "pie", "exe"] {
            for more in ["-shared", "-pie", "-no-pie", "-r", "-shared -pie", "-pie -shared"]
                .into_iter()
                .chain(["-pie -no-pie", "-no-pie -pie", "-Bshareable -no-pie", "-r -pie"])
            {
                let line = format!("{more} --buildmode={mode} a.o");
                let own = refusal(mode.parse().unwrap(), &line, &file);
                match parse(&line, dir.path()) {
                    Ok(request) => {
                        assert_eq!((request.mode.name(), request.args), (mode, vec!["a.o".into()]));
                        assert_eq!(own, None, "{line}");
                        taken += 1;
                    }
                    Err(said) => {
                        assert!(own.as_ref().unwrap().ends_with(&said), "{line}: {own:?}, {said}");
                        refused += 1;
                    }
                }
            }
        }
        assert!(refused > 20 && taken > 7, "{refused} {taken}");
    }

    /// What other linkers get is the mode's flags and objects there, too.
    #[test]
    fn a_mode_is_there_for_mach_o() {
        let dir = tempfile::tempdir().unwrap();
        let target = Target::ARM64_MACHO;
        std::fs::write(dir.path().join("r"), "--buildmode\nplugin").unwrap();
        let module = crate::desugar::macho::sample(target.arch, "local.moduledata");
        std::fs::write(dir.path().join("a.o"), module).unwrap();
        let parse = |line: &str| {
            let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
            request(target, &args, dir.path()).map_err(|error| error.to_string())
        };
        for line in ["-buildmode plugin -dylib a.o", "@r a.o", "--buildmode=plugin a.o"] {
            let request = parse(line).unwrap();
            assert_eq!(request.mode, Mode::Plugin, "{line}");
            assert!(request.file(OBJECT).is_some() && request.args.contains(&OBJECT.to_owned()));
            assert_eq!(sugared(&request).unwrap().args, ["a.o", "-install_name", "a.out"]);
            let command = Reference::default().command(&request);
            let own = ["--buildmode=plugin", "--goos=darwin"];
            assert!(own.iter().all(|arg| command.contains(&(*arg).to_owned())), "{command:?}");
        }
        let flat = parse("-flat_namespace --buildmode c-shared a.o").unwrap();
        assert_eq!(flat.mode, Mode::CShared);
        assert!(flat.args.contains(&"-flat_namespace".to_owned()));
        for (line, said) in [
            (
                "--buildmode=plugin -bundle a.o",
                "--buildmode=plugin and -bundle may not be used together",
            ),
            ("--buildmode=pie -dylib a.o", "--buildmode=pie and -dylib may not be used together"),
            ("--buildmode=exe a.o", "buildmode exe not supported on darwin/arm64"),
            ("--buildmode=plugin --goos=linux a.o", "--goos=linux: the inputs are Mach-O"),
            ("--buildmode=plugin --goarch=amd64 a.o", "--goarch=amd64: -arch is arm64"),
            ("--goos=darwin a.o", "--goos and --goarch go with --buildmode"),
        ] {
            assert_eq!(parse(line).unwrap_err(), said, "{line}");
        }
    }
}
