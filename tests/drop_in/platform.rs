//! What programs are built for and run by: this machine, or another one behind qemu's user mode.

use std::path::Path;
use std::process::Command;

use super::{command, has, skip};

/// One machine's tools.
pub(super) struct Platform {
    /// As in the names of scratch folders.
    pub(super) name: &'static str,
    pub(super) gcc: &'static str,
    pub(super) gxx: &'static str,
    /// What runs its programs, with the folder of its C library; none if this machine does.
    emulator: &'static [&'static str],
    /// `GOARCH`, and what else Go needs to know.
    pub(super) go: &'static [(&'static str, &'static str)],
    /// Whether its C library can start a static PIE.
    static_pie: bool,
    hint: &'static str,
}

/// This machine.
pub(super) const HOST: Platform = Platform {
    name: "host",
    gcc: "gcc",
    gxx: "g++",
    emulator: &[],
    go: &[],
    static_pie: true,
    hint: "g++",
};

pub(super) const ARM64: Platform = Platform {
    name: "arm64",
    gcc: "aarch64-linux-gnu-gcc",
    gxx: "aarch64-linux-gnu-g++",
    emulator: &["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"],
    go: &[("GOARCH", "arm64")],
    static_pie: true,
    hint: "apt-get install g++-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user",
};

pub(super) const ARM: Platform = Platform {
    name: "arm",
    gcc: "arm-linux-gnueabihf-gcc",
    gxx: "arm-linux-gnueabihf-g++",
    emulator: &["qemu-arm", "-L", "/usr/arm-linux-gnueabihf"],
    go: &[("GOARCH", "arm"), ("GOARM", "7")],
    static_pie: false,
    hint: "apt-get install g++-arm-linux-gnueabihf libc6-dev-armhf-cross qemu-user",
};

impl Platform {
    /// Whether `test` can run here; says so if not.
    #[track_caller]
    pub(super) fn ready(&self, test: &str) -> bool {
        let tools = [self.gcc, self.gxx].into_iter().chain(self.emulator.first().copied());
        let missing: Vec<&str> = tools.filter(|tool| !has(tool)).collect();
        if let [first, ..] = missing[..] {
            skip(&format!("{test} ({})", self.name), first, self.hint);
        }
        missing.is_empty()
    }

    /// The program `exe`, about to run.
    pub(super) fn run(&self, exe: &Path) -> Command {
        match self.emulator {
            [] => command(exe),
            [emulator, args @ ..] => {
                let mut command = command(emulator);
                command.args(args).arg(exe);
                command
            }
        }
    }

    /// Whether it has what a link with `flags` needs.
    pub(super) fn has_startup(&self, flags: &[&str]) -> bool {
        self.static_pie || !flags.contains(&"-static-pie")
    }

    /// The name of a scratch folder.
    pub(super) fn folder(&self, test: &str) -> String {
        format!("{test}-{}", self.name)
    }
}
