//! A link's arguments and inputs → what it is for, as far as they say. It must not know what the link asks for.

use std::collections::HashSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::script::Item;
use super::{inputs, response};
use crate::bytes::{u16_at, u32_at};
use crate::model::macho::machine;
use crate::{Format, Target};

/// What `args` link for, paths relative to `dir`: `asked`, or as `-arch` says, or the first object among them; none if
/// they don't say, or say something that no linker here links for.
///
/// Errors: `-arch` of another target than `asked`, for people.
pub fn target(
    asked: Option<Target>,
    args: &[String],
    dir: &Path,
) -> Result<Option<Target>, String> {
    // Arguments that can't be read are told of by whoever needs them.
    let args = response::expand(args, dir).unwrap_or_else(|_| args.to_vec());
    let named = args.iter().any(|arg| arg == "-arch");
    match (asked, said(&args, dir)) {
        (Some(asked), Some(said)) if asked != said && named => {
            Err(format!("--target {asked}: the arguments are for {said}"))
        }
        (asked, said) => Ok(asked.or(said)),
    }
}

/// Scripts that are looked at: they name one another.
const MAX_SCRIPTS: usize = 256;

/// The number that Mach-O files have for the machine of `target`.
pub(super) fn cputype(target: Target) -> Option<u32> {
    machine::of(target.arch).map(|machine| machine.cputype)
}

/// What `args` say themselves.
fn said(args: &[String], dir: &Path) -> Option<Target> {
    let named = args.iter().position(|arg| arg == "-arch").and_then(|at| args.get(at + 1));
    if let Some(name) = named {
        let made =
            |target: &&Target| target.format == Format::Macho && target.arch.darwin() == name;
        return Target::ALL.iter().find(made).copied();
    }
    // `-m`, as compilers give it to GNU ld.
    let emulation = args.iter().position(|arg| arg == "-m").and_then(|at| args.get(at + 1));
    let made = |target: &&Target| {
        target.format == Format::Elf && emulation.is_some_and(|m| m == target.arch.emulation())
    };
    if let Some(target) = Target::ALL.iter().find(made) {
        return Some(*target);
    }
    let mut seen = HashSet::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg.starts_with('-') {
            // Its second word is no input.
            if super::is_passed_over(arg) || super::has_word(arg) || super::has_file(arg) {
                args.next();
            }
        } else if let Some(target) = within(&dir.join(arg), dir, &mut seen) {
            return Some(target);
        }
    }
    None
}

/// What the object at `path` is for, or the first that a script there names, unless that was `seen` before.
fn within(path: &Path, dir: &Path, seen: &mut HashSet<PathBuf>) -> Option<Target> {
    let own = of(&start(path)?);
    own.or_else(|| {
        let script = inputs::read(path)?;
        if seen.len() == MAX_SCRIPTS || !seen.insert(path.canonicalize().ok()?) {
            return None;
        }
        let mut names = script.items.iter().filter_map(|item| match item {
            Item::Input(name) if !name.starts_with("-l") => Some(name),
            _ => None,
        });
        let beside = path.parent().unwrap_or(dir);
        names.find_map(|name| {
            let mut homes = [dir, beside].into_iter().map(|folder| folder.join(name));
            within(&homes.find(|path| path.is_file())?, dir, seen)
        })
    })
}

/// The first bytes of a file.
fn start(path: &Path) -> Option<Vec<u8>> {
    if !path.is_file() {
        return None;
    }
    let mut start = Vec::new();
    std::fs::File::open(path).ok()?.take(64).read_to_end(&mut start).ok()?;
    Some(start)
}

/// What an object that starts so is for.
fn of(start: &[u8]) -> Option<Target> {
    let mine = |target: &&Target| match (target.format, start.get(..4)) {
        (Format::Elf, Some(b"\x7fELF")) => u16_at(start, 18) == Some(target.arch.machine()),
        // MH_MAGIC_64, little-endian.
        (Format::Macho, Some([0xcf, 0xfa, 0xed, 0xfe])) => {
            let number = cputype(**target);
            number.is_some_and(|number| u32_at(start, 4) == Some(number))
        }
        _ => false,
    };
    Target::ALL.iter().find(mine).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mode;
    use crate::desugar::sample;
    use crate::{Arch, desugar};

    #[test]
    fn a_link_is_for_what_its_inputs_are_for() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
        put("text", b"INPUT(gone.o)");
        put("names", b"GROUP(-lm AS_NEEDED(text a.o))");
        put("args", b"-dylib -arch x86_64");
        let says = |line: &str| {
            let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
            target(None, &args, dir.path()).unwrap()
        };
        for arch in [Arch::Amd64, Arch::Arm64] {
            put("m.o", &desugar::macho::sample(arch, "local.moduledata"));
            let found = says("text m.o").unwrap();
            assert_eq!((found.format, found.arch), (Format::Macho, arch));
        }
        for target in Target::ALL.iter().filter(|target| target.format == Format::Elf) {
            let request = sample::module(*target, Mode::Plugin, &["f"]).unwrap();
            put("a.o", &request.files[0].bytes);
            assert_eq!(says("-shared missing.o text a.o m.o"), Some(*target));
            assert_eq!(says("-shared names m.o"), Some(*target));
        }
        // What an option names is no input.
        assert_eq!(says("-plugin m.o -o m.o -Map m.o a.o").map(|t| t.format), Some(Format::Elf));
        assert_eq!(says("-plugin m.o -m aarch64linux m.o"), Some(Target::ARM64_ELF));
        assert_eq!(says("-arch arm64 a.o"), Some(Target::ARM64_MACHO));
        assert_eq!(says("@args a.o"), Some(Target::AMD64_MACHO));
        let asked = |target, line: &str| super::target(Some(target), &[line.into()], dir.path());
        assert_eq!(asked(Target::AMD64_MACHO, "@args"), Ok(Some(Target::AMD64_MACHO)));
        assert_eq!(asked(Target::AMD64_ELF, "m.o"), Ok(Some(Target::AMD64_ELF)));
        let said = asked(Target::AMD64_ELF, "@args").unwrap_err();
        assert_eq!(said, "--target amd64-elf: the arguments are for amd64-macho");
        // However many others come first.
        put("l.a", b"!<arch>\n");
        let found = says(&format!("{}m.o", "l.a ".repeat(300)));
        assert_eq!(found.map(|target| target.format), Some(Format::Macho));
        // Scripts that name each other say nothing, soon.
        for at in 0..100 {
            put(&format!("s{at}"), format!("INPUT({})", "s0 s1 s2 s3 s99 ".repeat(20)).as_bytes());
        }
        assert_eq!(says("s0"), None);
        assert_eq!((says("-arch ppc a.o"), says("text"), says("-shared")), (None, None, None));
    }
}
