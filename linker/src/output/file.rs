//! The image as a file. Regular files are made under no name at all (`O_TMPFILE`), filled through
//! a mapping and given their name at the end, so that an error, a signal or a crash leaves nothing
//! behind; `/dev/null`, pipes and other special files are written through.

#![allow(unsafe_code)] // Mapping a file has no safe form; see the one block below.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use memmap2::MmapMut;
use rustix::fs::{AtFlags, CWD, FallocateFlags, Mode, OFlags};

use super::Sink;

/// A file that appears when it is committed.
#[derive(Debug)]
pub struct FileSink {
    path: PathBuf,
    mode: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nothing allocated yet.
    Empty,
    /// Kept in memory until it is committed: for special files, and where `O_TMPFILE` is missing.
    Memory { bytes: Vec<u8>, special: bool },
    /// A file without a name, mapped.
    Mapped { file: File, map: MmapMut },
}

impl FileSink {
    /// A sink that makes `path` with `mode` less the umask.
    ///
    /// An existing file keeps its content until the commit.
    pub fn new(path: impl Into<PathBuf>, mode: u32) -> Self {
        Self { path: path.into(), mode, state: State::Empty }
    }

    /// Gives the file its name, replacing what was there.
    pub fn commit(self) -> io::Result<()> {
        match self.state {
            State::Empty => Err(io::Error::other("nothing was written")),
            State::Memory { bytes, special: true } => {
                OpenOptions::new().write(true).open(&self.path)?.write_all(&bytes)
            }
            State::Memory { bytes, special: false } => write_new(&self.path, self.mode, &bytes),
            State::Mapped { file, map } => {
                let linked = link_in(&file, &self.path);
                match linked {
                    Err(error) if error.kind() != io::ErrorKind::IsADirectory => {
                        write_new(&self.path, self.mode, &map)
                    }
                    result => result,
                }
            }
        }
    }
}

impl Sink for FileSink {
    fn name(&self) -> Option<String> {
        Some(self.path.display().to_string())
    }

    fn allocate(&mut self, len: usize) -> io::Result<&mut [u8]> {
        let special = is_special(&self.path)?;
        let unnamed = if special || len == 0 {
            None
        } else {
            unnamed(directory(&self.path), self.mode, len)?
        };
        self.state = match unnamed {
            Some(file) => {
                // SAFETY: the file was made by this process a moment ago and has no name, so no
                // one else can open, change or truncate it while it is mapped.
                let map = unsafe { MmapMut::map_mut(&file)? };
                State::Mapped { file, map }
            }
            None => State::Memory { bytes: vec![0; len], special },
        };
        match &mut self.state {
            State::Mapped { map, .. } => Ok(&mut map[..]),
            State::Memory { bytes, .. } => Ok(bytes),
            State::Empty => Err(io::Error::other("nothing was allocated")),
        }
    }
}

/// The directory that holds `path`.
fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

/// Whether `path` must be written through: it is there and no regular file, or it is a name the
/// system made for an open file, such as `/dev/stdout`.
pub(super) fn is_special(path: &Path) -> io::Result<bool> {
    let Ok(meta) = fs::metadata(path) else { return Ok(false) };
    let kind = meta.file_type();
    if kind.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "is a directory"));
    }
    if kind.is_char_device() || kind.is_block_device() || kind.is_fifo() || kind.is_socket() {
        return Ok(true);
    }
    let systems = ["/dev", "/proc"].iter().any(|root| path.starts_with(root));
    Ok(systems && fs::symlink_metadata(path)?.is_symlink())
}

/// A file of `len` zeros without a name in `dir`; `None` where the file system has no such thing.
fn unnamed(dir: &Path, mode: u32, len: usize) -> io::Result<Option<File>> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let fd = match rustix::fs::openat(CWD, dir, flags, Mode::from_raw_mode(mode)) {
        Ok(fd) => fd,
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR | rustix::io::Errno::INVAL) => {
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let file = File::from(fd);
    file.set_len(len as u64)?;
    // A full disk must be an error here, not a SIGBUS in the middle of the writing.
    match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, len as u64) {
        Err(error @ (rustix::io::Errno::NOSPC | rustix::io::Errno::DQUOT)) => Err(error.into()),
        _ => Ok(Some(file)),
    }
}

/// Gives a file without a name the name `path`.
fn link_in(file: &File, path: &Path) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let from = format!("/proc/self/fd/{}", file.as_raw_fd());
    let link = |to: &Path| rustix::fs::linkat(CWD, &*from, CWD, to, AtFlags::SYMLINK_FOLLOW);
    match link(path) {
        Err(rustix::io::Errno::EXIST) => {}
        result => return Ok(result?),
    }
    let temp = temp_name(path);
    link(&temp)?;
    fs::rename(&temp, path).inspect_err(|_| {
        let _ = fs::remove_file(&temp);
    })
}

/// Writes `bytes` under a name of its own, then renames.
fn write_new(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    let temp = temp_name(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temp)?;
    let written = file.write_all(bytes).and_then(|()| fs::rename(&temp, path));
    written.inspect_err(|_| {
        let _ = fs::remove_file(&temp);
    })
}

/// A name beside `path` that no other link uses.
fn temp_name(path: &Path) -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    name.push(format!(".{}-{count}.tmp", std::process::id()));
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn put(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
        let mut sink = FileSink::new(path, mode);
        sink.allocate(bytes.len())?.copy_from_slice(bytes);
        sink.commit()
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn appears_whole_with_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        put(&path, 0o777, b"first").unwrap();
        let plain = dir.path().join("plain");
        put(&plain, 0o666, b"x").unwrap();
        // Whatever the umask, execution follows reading.
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, (mode & 0o444) >> 2);
        assert_eq!(fs::metadata(&plain).unwrap().permissions().mode() & 0o111, 0);
        put(&path, 0o777, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(names(dir.path()), ["out", "plain"]);
    }

    #[test]
    fn dropped_before_the_commit_leaves_the_old_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        fs::write(&path, b"old").unwrap();
        let mut sink = FileSink::new(&path, 0o777);
        sink.allocate(10).unwrap().fill(1);
        assert_eq!(names(dir.path()), ["out"], "nothing is visible while it is filled");
        drop(sink);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(dir.path()), ["out"]);
    }

    #[test]
    fn a_running_program_or_link_is_replaced_not_rewritten() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("out"), dir.path().join("other"));
        fs::write(&path, b"old").unwrap();
        fs::hard_link(&path, &other).unwrap();
        put(&path, 0o777, b"new").unwrap();
        assert_eq!(fs::read(&other).unwrap(), b"old");
    }

    #[test]
    fn special_files_are_written_through() {
        put(Path::new("/dev/null"), 0o777, b"anything").unwrap();
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        rustix::fs::mknodat(CWD, &path, rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o600), 0)
            .unwrap();
        let reader = std::thread::spawn({
            let path = path.clone();
            move || fs::read(path).unwrap()
        });
        put(&path, 0o777, b"through").unwrap();
        assert_eq!(reader.join().unwrap(), b"through");
        assert!(fs::metadata(&path).unwrap().file_type().is_fifo());
    }

    #[test]
    fn bad_places_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(put(dir.path(), 0o777, b"x").unwrap_err().kind(), io::ErrorKind::IsADirectory);
        let missing = dir.path().join("no/out");
        assert_eq!(put(&missing, 0o777, b"x").unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(put(&dir.path().join("empty"), 0o777, b"").is_ok());
    }

    #[test]
    fn where_unnamed_files_are_missing_a_named_one_serves() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        write_new(&path, 0o777, b"a").unwrap();
        write_new(&path, 0o777, b"b").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"b");
        assert!(write_new(dir.path(), 0o777, b"c").is_err());
        assert_eq!(names(dir.path()), ["out"]);
    }
}
