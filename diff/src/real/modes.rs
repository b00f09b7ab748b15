//! `--buildmode`, `--goos` and `--goarch` among a link's arguments → what they ask for.
//!
//! Only the reference linker has such options: the others get what a mode means. The table is the Go toolchain's
//! (`internal/platform`), as far as there are machines here. It must not know what a mode adds.

use std::io;

use crate::desugar::desugar;
use crate::{Arch, Mode, Request};

/// What the arguments say of the build.
#[derive(Default, Debug)]
pub(super) struct Asked {
    pub(super) mode: Option<Mode>,
    goos: Option<String>,
    goarch: Option<String>,
}

/// A system, its files' being ELF, and its machines: for libraries in both modes and programs alike.
type Row = (&'static str, bool, &'static [&'static str]);

const SYSTEMS: &[Row] = &[
    ("linux", true, &["amd64", "arm", "arm64"]),
    ("android", true, &["amd64", "arm", "arm64"]),
    ("darwin", false, &["amd64", "arm64"]),
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

impl Asked {
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
        let own = goarch(request.target.arch);
        let goos = self.goos.as_deref().unwrap_or("linux");
        let asked = self.goarch.as_deref().unwrap_or(own);
        let row = SYSTEMS.iter().find(|row| row.0 == goos && row.2.contains(&asked));
        let Some(&(goos, is_elf, _)) = row else {
            return Err(wrong(format!("buildmode {mode} not supported on {goos}/{asked}")));
        };
        if !is_elf {
            return Err(wrong(format!("--goos={goos}: the inputs are ELF")));
        }
        if asked != own {
            return Err(wrong(format!("--goarch={asked}: the inputs are for {own}")));
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
            "--buildmode=bogus a.o",
            "--buildmode=c-archive a.o",
            "--goos=linux a.o",
            "--buildmode=c-shared --goarch=arm64 a.o",
        ] {
            let said = parse(line, dir.path()).unwrap_err();
            let args = line.split(' ').map(str::to_owned).collect();
            let files = vec![crate::File { name: "a.o".into(), bytes: file.clone().into() }];
            let (target, mode) = (Target::AMD64_ELF, Mode::Shared);
            let request = Request { target, mode, args, files, goos: None };
            match Reference::default().link(&request, std::time::Duration::from_secs(20)) {
                Outcome::Refused(_, text) => assert!(text.ends_with(&said), "{text}, {said}"),
                other => panic!("{line}: {other:?}"),
            }
        }
        assert!(parse("--buildmode", dir.path()).is_err());
    }
}
