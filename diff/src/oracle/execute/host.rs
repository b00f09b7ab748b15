//! The host program: its C source in, compiled once, and what it saw of a module out.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use super::platform::Platform;
use crate::run::{self, End, Limits, Run, Scratch};
use crate::{File, Format, Request};

const SOURCE: &str = include_str!("host.c");
/// The loader of Mach-O images.
const MACHO: &str = include_str!("macho_loader.c");

/// The file of a scratch folder with the host's answers: what the module prints is none of them.
const ANSWERS: (&str, &str) = ("SCOLD_ANSWERS", "scold.answers");

/// Commands of the compiler, each for the file that it makes.
type Builds = &'static [(&'static str, &'static [&'static str])];

/// What is compiled for a platform, and how.
fn builds(platform: &Platform) -> (&'static str, Builds) {
    match (platform.target.format, platform.is_native()) {
        (Format::Elf, _) => (
            SOURCE,
            &[
                ("host", &["-O1", "-w", "host.c", "-o", "host", "-ldl"]),
                (
                    "hook.so",
                    &["-O1", "-w", "-DHOOK", "-shared", "-fPIC", "host.c", "-o", "hook.so", "-ldl"],
                ),
            ],
        ),
        (Format::Macho, true) => {
            (MACHO, &[("host", &["-O1", "-w", "-rdynamic", "host.c", "-o", "host", "-ldl"])])
        }
        (Format::Macho, false) => {
            (MACHO, &[("host", &["-O1", "-w", "-static", "-DSTATIC", "host.c", "-o", "host"])])
        }
    }
}

/// The compiled host.
#[derive(Debug)]
pub(super) struct Host {
    platform: &'static Platform,
    folder: PathBuf,
}

impl Host {
    /// The host of this user for `platform`, or why there is none.
    pub(super) fn get(platform: &'static Platform) -> Result<&'static Self, &'static str> {
        static HOSTS: OnceLock<Vec<OnceLock<Result<Host, String>>>> = OnceLock::new();
        let all = HOSTS.get_or_init(|| (0..Platform::count()).map(|_| OnceLock::new()).collect());
        let host = all.get(platform.index()).ok_or("no such platform")?;
        let built = host.get_or_init(|| Self::build(platform).map_err(|error| error.to_string()));
        built.as_ref().map_err(String::as_str)
    }

    /// Compiles the source, or finds what another process compiled from the same source.
    fn build(platform: &'static Platform) -> io::Result<Self> {
        use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
        let compiler = platform.compiler().map_err(io::Error::other)?;
        let user = rustix::process::getuid().as_raw();
        let (source, builds) = builds(platform);
        let digest = crate::model::digest(source.as_bytes());
        let name = format!("scold-host-{user}-{}-{digest:016x}", platform.target);
        let folder = std::env::temp_dir().join(name);
        let made = std::fs::DirBuilder::new().mode(0o700).create(&folder);
        let own = std::fs::symlink_metadata(&folder).map(|folder| folder.uid());
        if made.is_err() && *own.as_ref().unwrap_or(&user) != user {
            let why = format!("{} is somebody else's", folder.display());
            return Err(io::Error::other(why));
        }
        if let (Err(error), Err(_)) = (made, own) {
            let why = format!("temporary folder {}: {error}", folder.display());
            return Err(io::Error::other(why));
        }
        if builds.iter().all(|(name, _)| folder.join(name).is_file()) {
            return Ok(Self { platform, folder });
        }
        let scratch = Scratch::new()?;
        scratch.write("host.c", source.as_bytes())?;
        for (_, args) in builds {
            let limits = Limits::wall(Duration::from_secs(60));
            let run = run::run(&compiler, args, scratch.path(), &[], limits)?;
            if run.end != End::Exit(0) {
                return Err(io::Error::other(run.err()));
            }
        }
        for (name, _) in builds {
            // Whole or not at all: another process may be looking.
            let fresh = folder.join(format!("{name}.{}", std::process::id()));
            std::fs::copy(scratch.path().join(name), &fresh)?;
            std::fs::rename(fresh, folder.join(name))?;
        }
        Ok(Self { platform, folder })
    }

    /// Loads `image` beside the libraries of `request` and plays `script`, a line of output for each.
    pub(super) fn play(
        &self,
        request: &Request,
        image: &[u8],
        script: &str,
        limit: Duration,
    ) -> io::Result<Run> {
        let scratch = Scratch::with(&request.files)?;
        provide_sonames(request, &scratch)?;
        let module = scratch.write("scold.module", image)?;
        make_executable(&module)?;
        scratch.write("scold.script", script.as_bytes())?;
        let program = (!request.mode.is_library()).then_some(module);
        self.start(&scratch, program, limit)
    }

    /// The same for several modules, which are among `files` as all they need is; `program` is the one to start,
    /// if one is.
    pub(super) fn perform(
        &self,
        files: &[File],
        program: Option<&str>,
        script: &str,
        limit: Duration,
    ) -> io::Result<Run> {
        let scratch = Scratch::with(files)?;
        scratch.write("scold.script", script.as_bytes())?;
        if self.platform.target.format == Format::Macho {
            return self.call(&scratch, &["--".into(), "world:./scold.script".into()], limit);
        }
        let program =
            program.map(|name| make_executable(&scratch.path().join(name))).transpose()?;
        self.start(&scratch, program, limit)
    }

    /// Plays the script of `scratch` in the host, or in `program` before it starts.
    fn start(
        &self,
        scratch: &Scratch,
        program: Option<PathBuf>,
        limit: Duration,
    ) -> io::Result<Run> {
        let hook = self.folder.join("hook.so");
        let mut env = vec![("LD_LIBRARY_PATH", "."), ("SCOLD_SCRIPT", "scold.script"), ANSWERS];
        let hook = hook.to_string_lossy();
        let limits = Limits { memory: self.platform.memory(), ..Limits::wall(limit) };
        let program = match program {
            None => self.folder.join("host"),
            Some(program) => {
                env.extend([("LD_PRELOAD", &*hook), ("LD_BIND_NOW", "1")]);
                program
            }
        };
        let start = self.platform.start(&program, &env).map_err(io::Error::other)?;
        let env: Vec<(&str, &str)> = start.env.iter().map(|(n, v)| (&**n, &**v)).collect();
        let run = run::run(&start.program, &start.args, scratch.path(), &env, limits)?;
        answered(scratch, run)
    }
}

impl Host {
    /// Has the loader of Mach-O images load `names`, the last of which is `image`, and play `script`.
    pub(super) fn load(
        &self,
        request: &Request,
        image: &[u8],
        script: &str,
        names: &[String],
        limit: Duration,
    ) -> io::Result<Run> {
        let scratch = Scratch::with(&request.files)?;
        scratch.write("scold.module", image)?;
        scratch.write("scold.script", script.as_bytes())?;
        let own = ["--".to_owned(), "script:./scold.script".to_owned()];
        self.call(&scratch, &[names, &own].concat(), limit)
    }

    /// Calls the loader of Mach-O images.
    fn call(&self, scratch: &Scratch, args: &[String], limit: Duration) -> io::Result<Run> {
        let limits = Limits { memory: self.platform.memory(), ..Limits::wall(limit) };
        let host = self.folder.join("host");
        let start = self.platform.start(&host, &[ANSWERS]).map_err(io::Error::other)?;
        let args: Vec<&String> = start.args.iter().chain(args).collect();
        let env: Vec<(&str, &str)> = start.env.iter().map(|(n, v)| (&**n, &**v)).collect();
        let run = run::run(&start.program, &args, scratch.path(), &env, limits)?;
        answered(scratch, run)
    }
}

/// `run` with the host's answers as its output.
fn answered(scratch: &Scratch, run: Run) -> io::Result<Run> {
    Ok(Run { stdout: scratch.read(ANSWERS.1)?, ..run })
}

/// Libraries are needed by their soname: the file has to be there under it too.
fn provide_sonames(request: &Request, scratch: &Scratch) -> io::Result<()> {
    for file in request.files.iter().filter(|file| file.bytes.get(16) == Some(&3)) {
        let Ok(module) = crate::loader::Module::load(&file.bytes) else { continue };
        let soname = module.dynamic.as_ref().and_then(|dynamic| dynamic.soname);
        let soname = soname.map(|at| module.string(at)).unwrap_or_default();
        let plain = !soname.is_empty() && !soname.contains('/');
        if plain && !scratch.path().join(soname).exists() {
            scratch.write(soname, &file.bytes)?;
        }
    }
    Ok(())
}

fn make_executable(path: &Path) -> io::Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
    Ok(path.to_owned())
}
