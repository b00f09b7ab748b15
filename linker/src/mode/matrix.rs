//! The matrix: which build mode is there on which system and machine. Data only.

/// The system of ELF inputs, unless the command line says otherwise.
pub(super) const ELF_SYSTEM: &str = "linux";

/// Systems and whether their files are ELF.
pub const SYSTEMS: &[(&str, bool)] = &[("linux", true), ("android", true), ("darwin", false)];

const THREE: &[&str] = &["amd64", "arm", "arm64"];
const TWO: &[&str] = &["amd64", "arm64"];

pub(super) const C_SHARED: &[(&str, &[&str])] =
    &[("linux", THREE), ("android", THREE), ("darwin", TWO)];
/// All of android's: the Go command itself builds plugins there for amd64 and 386 only, but what one is made of is
/// what it is on linux.
pub(super) const PLUGIN: &[(&str, &[&str])] =
    &[("linux", THREE), ("android", THREE), ("darwin", TWO)];
/// Hosts that can't be moved: darwin has none any more.
pub(super) const FIXED: &[(&str, &[&str])] = &[("linux", THREE), ("android", THREE)];
/// Hosts.
pub(super) const EXECUTABLE: &[(&str, &[&str])] =
    &[("linux", THREE), ("android", THREE), ("darwin", TWO)];

/// Modes of `go build` that never reach a linker, or that it has none of.
pub(super) const OTHERS: &[&str] = &["archive", "c-archive", "default", "shared"];

/// A machine of Go's that there is no back end for: `e_machine`, whether it has 64 bits, whether it is little-endian, its
/// name.
type Foreign = (u16, bool, bool, &'static str);

/// All of them.
pub(super) const FOREIGN: &[Foreign] = &[
    (3, false, true, "386"),
    (8, false, false, "mips"),
    (8, false, true, "mipsle"),
    (8, true, false, "mips64"),
    (8, true, true, "mips64le"),
    (21, true, false, "ppc64"),
    (21, true, true, "ppc64le"),
    (22, true, false, "s390x"),
    (243, true, true, "riscv64"),
    (258, true, true, "loong64"),
];

/// Whether the files of `goos` are ELF.
pub(super) fn is_elf(goos: &str) -> bool {
    SYSTEMS.contains(&(goos, true))
}

/// The machines of all systems.
pub fn machines() -> &'static [&'static str] {
    THREE
}
