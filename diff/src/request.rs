//! A whole link as data: files in memory and the arguments GNU `ld` would take, in order.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A machine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Arch {
    /// x86-64.
    Amd64,
    /// 32-bit Arm with Thumb-2, EABI5.
    Arm,
    /// AArch64, little-endian.
    Arm64,
}

impl Arch {
    /// Its number in an ELF header.
    pub fn machine(self) -> u16 {
        match self {
            Self::Amd64 => 62,
            Self::Arm => 40,
            Self::Arm64 => 183,
        }
    }

    /// The folder of its libraries on a machine that has those of several, as Debian names it.
    pub fn multiarch(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-linux-gnu",
            Self::Arm => "arm-linux-gnueabihf",
            Self::Arm64 => "aarch64-linux-gnu",
        }
    }

    /// Its Linux programs' dynamic linker, as gcc names it.
    pub fn interpreter(self) -> &'static str {
        match self {
            Self::Amd64 => "/lib64/ld-linux-x86-64.so.2",
            Self::Arm => "/lib/ld-linux-armhf.so.3",
            Self::Arm64 => "/lib/ld-linux-aarch64.so.1",
        }
    }

    /// The name that ld64 knows it by.
    pub fn darwin(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm => "armv7",
            Self::Arm64 => "arm64",
        }
    }

    /// The name that GNU-style linkers know it by on Linux.
    pub fn emulation(self) -> &'static str {
        match self {
            Self::Amd64 => "elf_x86_64",
            Self::Arm => "armelf_linux_eabi",
            Self::Arm64 => "aarch64linux",
        }
    }
}

/// An object file format.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Format {
    /// ELF.
    Elf,
    /// Mach-O.
    Macho,
}

/// What a link is for: `amd64-elf`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Target {
    /// The machine.
    pub arch: Arch,
    /// The format.
    pub format: Format,
}

impl Target {
    /// ELF for x86-64.
    pub const AMD64_ELF: Self = Self { arch: Arch::Amd64, format: Format::Elf };
    /// ELF for AArch64.
    pub const ARM64_ELF: Self = Self { arch: Arch::Arm64, format: Format::Elf };
    /// ELF for 32-bit Arm, EABI5, hard float.
    pub const ARM_ELF: Self = Self { arch: Arch::Arm, format: Format::Elf };
    /// Mach-O for x86-64.
    pub const AMD64_MACHO: Self = Self { arch: Arch::Amd64, format: Format::Macho };
    /// Mach-O for AArch64.
    pub const ARM64_MACHO: Self = Self { arch: Arch::Arm64, format: Format::Macho };
    /// Every target this build can judge and generate: what `all` means.
    pub const ALL: &[Self] =
        &[Self::AMD64_ELF, Self::ARM64_ELF, Self::ARM_ELF, Self::AMD64_MACHO, Self::ARM64_MACHO];
    /// Every target that has a name on command lines.
    pub const NAMED: &[Self] = Self::ALL;

    /// The name used on command lines and in folders.
    pub fn name(self) -> &'static str {
        match (self.arch, self.format) {
            (Arch::Amd64, Format::Elf) => "amd64-elf",
            (Arch::Arm, Format::Elf) => "arm-elf",
            (Arch::Arm64, Format::Elf) => "arm64-elf",
            (Arch::Amd64, Format::Macho) => "amd64-macho",
            (Arch::Arm, Format::Macho) => "arm-macho",
            (Arch::Arm64, Format::Macho) => "arm64-macho",
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        by_name(Self::NAMED, Self::name, "target", s)
    }
}

/// Which of `all` is called `wanted`.
///
/// Errors: those there are, none of these `what`s is called so.
pub fn by_name<T: Copy>(
    all: &[T],
    name: impl Fn(T) -> &'static str,
    what: &str,
    wanted: &str,
) -> Result<T, String> {
    all.iter().copied().find(|one| name(*one) == wanted).ok_or_else(|| {
        let known: Vec<&str> = all.iter().map(|one| name(*one)).collect();
        format!("no {what} `{wanted}`; known: {}", known.join(", "))
    })
}

/// What is being built.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Mode {
    /// A shared library as C, Go and Rust make them for others: `-shared -Bsymbolic -z nodelete`.
    CShared,
    /// A shared library for a host of the same language: `-shared -z now`, preemptible data.
    Plugin,
    /// A plain `-shared` library, no more flags.
    Shared,
    /// A position-independent executable.
    Pie,
    /// A position-dependent executable.
    Exe,
}

impl Mode {
    /// Every mode.
    pub const ALL: &[Self] = &[Self::CShared, Self::Plugin, Self::Shared, Self::Pie, Self::Exe];

    /// The name used on command lines and in case text.
    pub fn name(self) -> &'static str {
        match self {
            Self::CShared => "c-shared",
            Self::Plugin => "plugin",
            Self::Shared => "shared",
            Self::Pie => "pie",
            Self::Exe => "exe",
        }
    }

    /// The arguments that ask linkers of `format` for this mode: GNU-style ones, or those that are called as ld64 is.
    pub fn args(self, format: Format) -> &'static [&'static str] {
        match format {
            Format::Elf => self.gnu_args(),
            Format::Macho => self.ld64_args(),
        }
    }

    /// A plugin is what Go makes on darwin, a flat dylib; a plain library is a bundle.
    fn ld64_args(self) -> &'static [&'static str] {
        match self {
            Self::CShared => &["-dylib"],
            Self::Plugin => &["-dylib", "-flat_namespace"],
            Self::Shared => &["-bundle"],
            Self::Pie => &["-execute", "-pie"],
            Self::Exe => &["-execute", "-no_pie"],
        }
    }

    fn gnu_args(self) -> &'static [&'static str] {
        match self {
            Self::CShared => &["-shared", "-Bsymbolic", "-z", "nodelete", "-z", "relro"],
            Self::Plugin => &["-shared", "-z", "now", "-z", "relro"],
            Self::Shared => &["-shared"],
            Self::Pie => &["-pie"],
            Self::Exe => &["-no-pie"],
        }
    }

    /// Whether the output is a library.
    pub fn is_library(self) -> bool {
        matches!(self, Self::CShared | Self::Plugin | Self::Shared)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        by_name(Self::ALL, Self::name, "mode", s)
    }
}

/// A file of a link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct File {
    /// The name arguments use, relative, no directories: `a.o`, `libx.so`, `v.map`.
    pub name: String,
    /// Its bytes.
    pub bytes: Arc<[u8]>,
}

/// A whole link: what an adapter performs and what [`crate::model`] reads an output against.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// Machine and format.
    pub target: Target,
    /// What is being built; its arguments are not in `args`.
    pub mode: Mode,
    /// The rest of the arguments as GNU `ld` (for Mach-O: ld64) takes them, inputs and options in order. No `-o`.
    pub args: Vec<String>,
    /// Every file `args` name (objects, archives, libraries, scripts).
    pub files: Vec<File>,
    /// The system the output is for, as Go calls it; none: what the format says.
    pub goos: Option<&'static str>,
}

impl Request {
    /// The system the output is for, as Go calls it.
    pub fn goos(&self) -> &'static str {
        self.goos.unwrap_or(match self.target.format {
            Format::Elf => "linux",
            Format::Macho => "darwin",
        })
    }

    /// The file called `name`.
    pub fn file(&self, name: &str) -> Option<&File> {
        self.files.iter().find(|f| f.name == name)
    }

    /// The files that arguments name, each time they do, and how they take part there.
    pub(crate) fn given(&self) -> impl Iterator<Item = (&File, Ways)> {
        let mut ways = Ways::default();
        self.args.iter().filter_map(move |arg| {
            match arg.trim_start_matches('-') {
                "whole-archive" => ways.whole = true,
                "no-whole-archive" => ways.whole = false,
                "start-lib" => ways.lazy = true,
                "end-lib" => ways.lazy = false,
                _ => {}
            }
            Some((self.file(arg)?, ways))
        })
    }
}

/// How a file takes part, by the options before it.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Ways {
    /// `--whole-archive`: all members of an archive do.
    pub(crate) whole: bool,
    /// `--start-lib`: an object is as good as a member.
    pub(crate) lazy: bool,
}
