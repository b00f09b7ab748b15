//! Running programs: a command line and limits in, how it ended and what it said out.
//!
//! The only place of the project that spawns a process for the judge, so that limits, a clean
//! environment and cleaning up hold everywhere. It must not know what the programs are.
//!
//! Limits are set with `prlimit` on the running child: a hook between fork and exec would force a
//! slow fork of a large process (192 ms against 4 ms, measured). Linux only.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, Signal};

use crate::request;

/// How much of what a program prints is kept, in bytes for each stream.
const CAPTURE: u64 = 64 << 10;

/// What a program may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Wall time, as [`Patience`] counts it.
    pub wall: Duration,
    /// Address space in bytes.
    pub memory: u64,
    /// Size of any file it writes, in bytes.
    pub file: u64,
}

impl Limits {
    /// The usual limits with this wall time.
    pub fn wall(wall: Duration) -> Self {
        Self { wall, ..Self::default() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { wall: Duration::from_secs(10), memory: 8 << 30, file: 2 << 30 }
    }
}

/// How a program ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It exited with this code.
    Exit(i32),
    /// A signal killed it.
    Signal(i32),
    /// It ran into the wall time and was killed with its whole process group.
    Timeout,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Run {
    /// How it ended.
    pub end: End,
    /// The first bytes of its standard output.
    pub stdout: Vec<u8>,
    /// The first bytes of its standard error.
    pub stderr: Vec<u8>,
}

impl Run {
    /// Standard output as text.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

/// Runs `program` in `dir` with nothing in its environment but a neutral PATH, locale and `env`.
///
/// Errors: the program can't be started; how it ended is no error.
#[allow(clippy::disallowed_methods)] // This is the place the rule points to.
pub fn run<S: AsRef<OsStr>>(
    program: &Path,
    args: &[S],
    dir: &Path,
    env: &[(&str, &str)],
    limits: Limits,
) -> io::Result<Run> {
    let mut out = capture("stdout")?;
    let mut err = capture("stderr")?;
    let child = Command::new(program)
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("LC_ALL", "C")
        .env("TMPDIR", dir)
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::from(out.try_clone()?))
        .stderr(Stdio::from(err.try_clone()?))
        .process_group(0)
        .spawn()?;
    let end = finish(child, limits)?;
    Ok(Run { end, stdout: captured(&mut out)?, stderr: captured(&mut err)? })
}

/// A file in memory that the child writes; RLIMIT_FSIZE bounds it too.
fn capture(name: &str) -> io::Result<File> {
    Ok(File::from(rustix::fs::memfd_create(name, rustix::fs::MemfdFlags::CLOEXEC)?))
}

fn captured(file: &mut File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(CAPTURE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Limits `child`, waits for it, and takes its whole process group down with it.
fn finish(mut child: Child, limits: Limits) -> io::Result<End> {
    let pid = Pid::from_child(&child);
    for (resource, value) in
        [(Resource::As, limits.memory), (Resource::Fsize, limits.file), (Resource::Core, 0)]
    {
        // The child may be gone already.
        let limit = Rlimit { current: Some(value), maximum: Some(value) };
        let _ = rustix::process::prlimit(Some(pid), resource, limit);
    }
    let in_time = wait(pid, limits.wall);
    // Before the child is reaped, so that the group's number is still its own.
    let _ = rustix::process::kill_process_group(pid, Signal::KILL);
    let status = child.wait()?;
    Ok(match (in_time?, status.code(), status.signal()) {
        (false, ..) => End::Timeout,
        (true, Some(code), _) => End::Exit(code),
        (true, None, signal) => End::Signal(signal.unwrap_or(0)),
    })
}

/// Whether the child ends (is a zombie) within `wall`.
fn wait(pid: Pid, wall: Duration) -> io::Result<bool> {
    let fd = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
    let patience = Patience::new(wall);
    let mut left = wall;
    loop {
        let time = Timespec {
            tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        match poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&time)) {
            Ok(0) if left.is_zero() => return Ok(false),
            Ok(0) | Err(rustix::io::Errno::INTR) => left = patience.left(starved(pid)),
            Ok(_) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
    }
}

/// How long a process waited for a processor: the thread of it that did longest.
fn starved(pid: Pid) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero()));
    let each = tasks.into_iter().flatten().flatten().map(|task| waited(&task.path()));
    each.max().unwrap_or_default()
}

/// How long a thread, given by its folder in `/proc`, waited for a processor: the second number of its schedstat, in
/// nanoseconds. Zero where the kernel doesn't count that.
pub fn waited(task: &Path) -> Duration {
    let stat = fs::read_to_string(task.join("schedstat")).unwrap_or_default();
    let waited = stat.split_whitespace().nth(1).and_then(|number| number.parse().ok());
    Duration::from_nanos(waited.unwrap_or(0))
}

/// Time to answer in. What waits for a processor doesn't hang: on a busy machine that time doesn't count, up to
/// nine times the limit.
pub struct Patience {
    start: Instant,
    wall: Duration,
}

impl Patience {
    /// How many times the limit may be waited.
    const MOST: u32 = 9;

    /// From now on.
    pub fn new(wall: Duration) -> Self {
        Self { start: Instant::now(), wall }
    }

    /// What is left of it for work that has `waited` so long for a processor.
    pub fn left(&self, waited: Duration) -> Duration {
        let granted = waited.min(self.wall.saturating_mul(Self::MOST));
        self.wall.saturating_add(granted).saturating_sub(self.start.elapsed())
    }
}

/// What went wrong here, through no fault of a linker: the first of it.
static TROUBLE: Mutex<Option<String>> = Mutex::new(None);

/// Remembers that a program that is there could not be run, or its files not written.
pub fn note_trouble(what: &str, error: &io::Error) {
    let mut trouble = TROUBLE.lock().unwrap_or_else(PoisonError::into_inner);
    trouble.get_or_insert_with(|| format!("{what}: {error}"));
}

/// Why results of this process are not to be trusted, if they aren't.
pub fn trouble() -> Option<String> {
    TROUBLE.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// A folder of its own, on tmpfs where there is one, gone when dropped.
#[derive(Debug)]
pub struct Scratch(tempfile::TempDir);

impl Scratch {
    /// An empty folder.
    pub fn new() -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("scold-");
        let memory = Path::new("/dev/shm");
        if let Ok(dir) = builder.tempdir_in(memory) {
            return Ok(Self(dir));
        }
        builder.tempdir().map(Self)
    }

    /// A folder with these files in it.
    ///
    /// Errors: `InvalidInput` for a name that leaves the folder.
    pub fn with(files: &[request::File]) -> io::Result<Self> {
        let scratch = Self::new()?;
        for file in files {
            scratch.write(&file.name, &file.bytes)?;
        }
        Ok(scratch)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes one file, `name` being relative, and gives its path.
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<PathBuf> {
        let relative = Path::new(name);
        if !relative.components().all(|part| matches!(part, std::path::Component::Normal(_))) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("bad name `{name}`")));
        }
        let path = self.path().join(relative);
        if let (true, Some(parent)) = (name.contains('/'), path.parent()) {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, bytes)?;
        Ok(path)
    }

    /// The first bytes of a file that a program left there; nothing if it left none.
    pub fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        match File::open(self.path().join(name)) {
            Ok(mut file) => captured(&mut file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

/// Every program of this name in PATH and the usual places, in order, no path twice.
pub fn find(name: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for path in folders().into_iter().map(|dir| dir.join(name)).filter(|path| path.is_file()) {
        if !found.contains(&path) {
            found.push(path);
        }
    }
    found
}

/// Every program whose name starts with `prefix` and goes on with a number: `ld.lld-19`.
pub fn find_numbered(prefix: &str) -> Vec<(u32, PathBuf)> {
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for dir in folders() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix(prefix)?.parse().ok());
            if let Some(number) = number
                && !found.iter().any(|(other, _)| *other == number)
            {
                found.push((number, entry.path()));
            }
        }
    }
    found.sort();
    found
}

/// PATH, then where distributions and cargo put programs.
fn folders() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut list: Vec<PathBuf> = std::env::split_paths(&path).collect();
    list.extend(["/usr/local/bin", "/usr/bin", "/bin"].map(PathBuf::from));
    if let Some(home) = std::env::var_os("HOME") {
        list.push(Path::new(&home).join(".cargo/bin"));
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, limits: Limits) -> Run {
        let scratch = Scratch::new().unwrap();
        run(Path::new("/bin/sh"), &["-c", script], scratch.path(), &[("GIVEN", "yes")], limits)
            .unwrap()
    }

    #[test]
    fn tells_how_it_ended_and_what_it_said() {
        let run = sh("echo out; echo err >&2; exit 3", Limits::default());
        assert_eq!((run.end, run.out(), run.err()), (End::Exit(3), "out\n".into(), "err\n".into()));
        assert_eq!(sh("kill -SEGV $$", Limits::default()).end, End::Signal(11));
    }

    #[test]
    fn the_environment_is_clean() {
        let env = sh("env", Limits::default()).out();
        assert!(env.contains("GIVEN=yes") && !env.contains("CARGO"), "{env}");
    }

    #[test]
    fn a_timeout_takes_the_whole_group_down() {
        let limits = Limits::wall(Duration::from_millis(700));
        let run = sh("sleep 77 & echo $!; wait", limits);
        assert_eq!(run.end, End::Timeout);
        let pid = run.out().trim().to_owned();
        // Killed, and at most waiting to be reaped by whoever inherited it.
        let gone = || {
            let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            state.is_empty() || state.contains(") Z ") || state.contains(") X ")
        };
        let deadline = Instant::now() + Duration::from_secs(20);
        while !gone() && Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert!(gone());
    }

    #[test]
    fn waiting_for_a_processor_is_no_time() {
        let second = Duration::from_secs(1);
        let patience = Patience { start: Instant::now() - 5 * second, wall: 2 * second };
        assert_eq!(patience.left(Duration::ZERO), Duration::ZERO);
        assert_eq!(patience.left(3 * second), Duration::ZERO);
        assert!(patience.left(4 * second) > second / 2);
        // It is no excuse for ever.
        assert!(patience.left(1000 * second) <= 15 * second);
    }

    #[test]
    fn output_is_bounded() {
        let limits = Limits { file: 1 << 20, ..Limits::default() };
        let run = sh("while :; do echo 0123456789012345678901234567890123456789; done", limits);
        assert!(run.stdout.len() as u64 <= CAPTURE);
        assert_ne!(run.end, End::Exit(0));
    }

    #[test]
    fn names_stay_in_the_folder() {
        let scratch = Scratch::new().unwrap();
        assert!(scratch.write("../x", b"").is_err());
        assert!(scratch.write("/x", b"").is_err());
        assert!(scratch.write("d/x", b"1").is_ok());
    }
}
