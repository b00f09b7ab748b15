//! Where outputs of a target run: natively, or under an emulator with the target's own libc.
//!
//! A target comes in as one row. It must not know what is run.

use std::path::{Path, PathBuf};

use crate::run;
use crate::{Arch, Target};

/// How programs of a target run here.
#[derive(Debug)]
pub(super) struct Platform {
    pub(super) target: Target,
    /// Whether this machine is one.
    native: bool,
    /// Otherwise: the emulator of user programs.
    emulator: &'static str,
    /// Where the target's loader and libc are, for the emulator.
    sysroot: &'static str,
    /// The loader there, without which nothing runs.
    loader: &'static str,
    /// The compiler for the target.
    compiler: &'static str,
    /// What brings all three.
    packages: &'static str,
}

/// Whether this is Linux on `arch`.
const fn here(arch: bool) -> bool {
    arch && cfg!(target_os = "linux")
}

/// One row each.
static PLATFORMS: &[Platform] = &[
    Platform {
        target: Target { arch: Arch::Amd64, ..Target::AMD64_ELF },
        native: here(cfg!(target_arch = "x86_64")),
        emulator: "qemu-x86_64",
        sysroot: "/usr/x86_64-linux-gnu",
        loader: "lib/ld-linux-x86-64.so.2",
        compiler: "x86_64-linux-gnu-gcc",
        packages: "qemu-user, gcc-x86-64-linux-gnu, libc6-dev-amd64-cross",
    },
    Platform {
        target: Target::ARM64_ELF,
        native: here(cfg!(target_arch = "aarch64")),
        emulator: "qemu-aarch64",
        sysroot: "/usr/aarch64-linux-gnu",
        loader: "lib/ld-linux-aarch64.so.1",
        compiler: "aarch64-linux-gnu-gcc",
        packages: "qemu-user, gcc-aarch64-linux-gnu, libc6-dev-arm64-cross",
    },
    Platform {
        target: Target::ARM_ELF,
        native: here(cfg!(all(target_arch = "arm", target_abi = "eabihf"))),
        emulator: "qemu-arm",
        sysroot: "/usr/arm-linux-gnueabihf",
        loader: "lib/ld-linux-armhf.so.3",
        compiler: "arm-linux-gnueabihf-gcc",
        packages: "qemu-user, gcc-arm-linux-gnueabihf, libc6-dev-armhf-cross",
    },
    // Not the target's own: what the project's loader of Mach-O images is compiled for.
    Platform {
        target: Target::AMD64_MACHO,
        native: here(cfg!(target_arch = "x86_64")),
        emulator: "qemu-x86_64",
        sysroot: "/usr/x86_64-linux-gnu",
        loader: "lib/ld-linux-x86-64.so.2",
        compiler: "x86_64-linux-gnu-gcc",
        packages: "qemu-user, gcc-x86-64-linux-gnu, libc6-dev-amd64-cross",
    },
    Platform {
        target: Target::ARM64_MACHO,
        native: here(cfg!(target_arch = "aarch64")),
        emulator: "qemu-aarch64",
        sysroot: "/usr/aarch64-linux-gnu",
        loader: "lib/ld-linux-aarch64.so.1",
        compiler: "aarch64-linux-gnu-gcc",
        packages: "qemu-user, gcc-aarch64-linux-gnu, libc6-dev-arm64-cross",
    },
];

/// A program to start: what, and the arguments before its own.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) program: PathBuf,
    pub(super) args: Vec<String>,
    /// What is left for the environment of the process itself.
    pub(super) env: Vec<(String, String)>,
}

impl Platform {
    /// The row of `target`; none for what nothing here could ever run.
    pub(super) fn of(target: Target) -> Option<&'static Self> {
        PLATFORMS.iter().find(|platform| platform.target == target)
    }

    /// The row's place in the table.
    pub(super) fn index(&self) -> usize {
        PLATFORMS.iter().position(|other| other.target == self.target).unwrap_or(0)
    }

    /// How many rows there are.
    pub(super) fn count() -> usize {
        PLATFORMS.len()
    }

    /// The compiler for the target, if it and all else that is needed to run what it makes is here.
    ///
    /// Errors: what is missing, and what brings it.
    pub(super) fn compiler(&self) -> Result<PathBuf, String> {
        if self.native {
            let known = ["cc", "gcc", "clang"].iter();
            let found = known.flat_map(|name| run::find(name)).next();
            return found.ok_or_else(|| "it needs a C compiler".into());
        }
        let missing = |what: &str| format!("no {what} here (Debian: {})", self.packages);
        self.emulator()?;
        if !Path::new(self.sysroot).join(self.loader).is_file() {
            return Err(missing(&format!("{}/{}", self.sysroot, self.loader)));
        }
        run::find(self.compiler).into_iter().next().ok_or_else(|| missing(self.compiler))
    }

    fn emulator(&self) -> Result<PathBuf, String> {
        let missing = || format!("no {} here (Debian: {})", self.emulator, self.packages);
        run::find(self.emulator).into_iter().next().ok_or_else(missing)
    }

    /// Whether programs of the target run here without an emulator.
    pub(super) fn is_native(&self) -> bool {
        self.native
    }

    /// How to start `program` of this target with `env` in its environment: an emulator must not be
    /// given what is meant for the program's own loader.
    ///
    /// Errors: the emulator is gone.
    pub(super) fn start(&self, program: &Path, env: &[(&str, &str)]) -> Result<Start, String> {
        if self.native {
            let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            let env = env.iter().map(own).collect();
            return Ok(Start { program: program.into(), args: Vec::new(), env });
        }
        let mut args = vec!["-L".to_owned(), self.sysroot.to_owned()];
        for (name, value) in env {
            args.extend(["-E".to_owned(), format!("{name}={value}")]);
        }
        args.push(program.display().to_string());
        Ok(Start { program: self.emulator()?, args, env: Vec::new() })
    }

    /// Bytes of address space: an emulator reserves the target's.
    pub(super) fn memory(&self) -> u64 {
        if self.native { 4 << 30 } else { 1 << 40 }
    }
}
