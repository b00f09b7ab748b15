//! Real messages of every linker, and what is found on this machine.

use super::*;
use crate::model::ErrorClass as E;
use crate::{Arch, run};

/// Linker, message as it was printed, class.
const MESSAGES: &[(&str, &str, E)] = &[
    (
        "gnu_ld",
        "ld.bfd: und.o: in function `_start':\n(.text+0x1): undefined reference to `nowhere'",
        E::UndefinedSymbol,
    ),
    ("gnu_ld", "ld.bfd: out: hidden symbol `hid' isn't defined", E::UndefinedSymbol),
    (
        "gnu_ld",
        "ld.bfd: d2.o: in function `foo':\n(.text+0x0): multiple definition of `foo'; d1.o:(.text+0x0): first defined here",
        E::DuplicateSymbol,
    ),
    (
        "gnu_ld",
        "ld.bfd: prot.o: warning: relocation against `pv' in read-only section `.text'\nld.bfd: prot.o:(.text+0x3): undefined reference to `pv'\nld.bfd: prot.o: relocation R_X86_64_PC32 against undefined protected symbol `pv' can not be used when making a shared object\nld.bfd: final link failed: bad value",
        E::UndefinedSymbol,
    ),
    (
        "gnu_ld",
        "ld.bfd: a.o: relocation R_X86_64_PC32 against undefined symbol `s0' can not be used when making a PIE object; recompile with -fPIE\nld.bfd: final link failed: bad value",
        E::RelocDynamic,
    ),
    (
        "gnu_ld",
        "ld.bfd: dyn.o: relocation R_X86_64_32 against symbol `v' can not be used when making a shared object; recompile with -fPIC\nld.bfd: failed to set dynamic section sizes: bad value",
        E::RelocDynamic,
    ),
    (
        "gnu_ld",
        "ov.o: in function `_start':\n(.text+0x1): relocation truncated to fit: R_X86_64_32 against symbol `big' defined in *ABS* section in out",
        E::RelocOverflow,
    ),
    (
        "gnu_ld",
        "ld.bfd: t: TLS reference in tls.o mismatches non-TLS definition in tlsd.o section .data\nld.bfd: tlsd.o: error adding symbols: bad value",
        E::TlsMismatch,
    ),
    (
        "gnu_ld",
        "ld.bfd: unk.o: unsupported relocation type 0x48\nld.bfd: final link failed: bad value",
        E::RelocUnsupported,
    ),
    (
        "gnu_ld",
        "ld.bfd: out: version node not found for symbol foo@@NOPE\nld.bfd: failed to set dynamic section sizes: bad value",
        E::UndefinedVersion,
    ),
    (
        "gnu_ld",
        "ld.bfd:bad.o: file format not recognized; treating as linker script\nld.bfd:bad.o:0: syntax error",
        E::BadInput,
    ),
    ("gnu_ld", "trunc.o: file not recognized: file format not recognized", E::BadInput),
    (
        "gnu_ld",
        "ld.bfd: unknown architecture of input file `arm.o' is incompatible with i386:x86-64 output",
        E::WrongMachine,
    ),
    ("gnu_ld", "ld.bfd: cannot find -lmissing: No such file or directory", E::MissingFile),
    (
        "gnu_ld",
        "ld.bfd: unrecognized option '--frobnicate'\nld.bfd: use the --help option for usage information",
        E::UnknownOption,
    ),
    ("gold", "und.o(.text+0x1): error: undefined reference to 'nowhere'", E::UndefinedSymbol),
    (
        "gold",
        "ld.gold: error: und.o: requires dynamic R_X86_64_PC32 reloc against 'hid' which may overflow at runtime; recompile with -fPIC\nld.gold: error: read-only segment has dynamic relocations\nund.o(.text+0x7): error: undefined reference to 'hid'",
        E::UndefinedSymbol,
    ),
    ("gold", "ld.gold: error: protected symbol 'pv' is not defined locally", E::UndefinedSymbol),
    (
        "gold",
        "ld.gold: error: d2.o: multiple definition of 'foo'\nld.gold: d1.o: previous definition here",
        E::DuplicateSymbol,
    ),
    (
        "gold",
        "ld.gold: error: narrow.o: requires unsupported dynamic reloc 14; recompile with -fPIC",
        E::RelocDynamic,
    ),
    (
        "gold",
        "ov.o(.text+0x1): error: relocation overflow: reference to 'big' defined in abs.o",
        E::RelocOverflow,
    ),
    (
        "gold",
        "ld.gold: error: tlsd.o: symbol 't' used as both __thread and non-__thread",
        E::TlsMismatch,
    ),
    ("gold", "unk.o(.text+0x1): error: unsupported reloc 200", E::RelocUnsupported),
    ("gold", "ld.gold: fatal error: arm.o: unsupported ELF machine number 183", E::WrongMachine),
    (
        "gold",
        "ld.gold: error: bad.map:2:1: syntax error, unexpected end of file, expecting '}'",
        E::BadScript,
    ),
    ("gold", "ld.gold: error: cannot find -lmissing", E::MissingFile),
    ("gold", "ld.gold: --frobnicate: unknown option", E::UnknownOption),
    (
        "lld",
        "ld.lld-22: error: undefined symbol: nowhere\n>>> referenced by und.o:(.text+0x1)",
        E::UndefinedSymbol,
    ),
    ("lld", "ld.lld-22: error: undefined hidden symbol: hid", E::UndefinedSymbol),
    (
        "lld",
        "ld.lld-22: error: duplicate symbol: foo\n>>> defined at d1.o:(.text+0x0)",
        E::DuplicateSymbol,
    ),
    (
        "lld",
        "ld.lld-22: error: relocation R_X86_64_PC32 cannot be used against symbol 'v'; recompile with -fPIC\n>>> defined in dyn.o",
        E::RelocDynamic,
    ),
    (
        "lld",
        "ld.lld-22: error: ov.o:(.data+0x0): relocation R_X86_64_8 out of range: 4886718345 is not in [-128, 255]; references 'big'",
        E::RelocOverflow,
    ),
    ("lld", "ld.lld-14: error: TLS attribute mismatch: t", E::TlsMismatch),
    (
        "lld",
        "ld.lld-22: error: unk.o:(.text+0x1): unknown relocation (200) against symbol big",
        E::RelocUnsupported,
    ),
    (
        "lld",
        "ld.lld-22: error: ver.o: symbol foo@@NOPE has undefined version NOPE",
        E::UndefinedVersion,
    ),
    ("lld", "ld.lld-22: error: trunc.o: section table goes past the end of file", E::BadInput),
    ("lld", "ld.lld-22: error: arm.o is incompatible with elf_x86_64", E::WrongMachine),
    ("lld", "ld.lld-22: error: unable to find library -lmissing", E::MissingFile),
    ("lld", "ld.lld-22: error: unknown argument '--frobnicate'", E::UnknownOption),
    (
        "mold",
        "mold: error: undefined symbol: nowhere\n>>> referenced by und.o:(.text)",
        E::UndefinedSymbol,
    ),
    ("mold", "mold: error: duplicate symbol: d2.o: d1.o: foo", E::DuplicateSymbol),
    (
        "mold",
        "mold: error: dyn.o:(.text): R_X86_64_PC32 relocation at offset 0x2 against symbol `v' can not be used; recompile with -fPIC",
        E::RelocDynamic,
    ),
    (
        "mold",
        "mold: error: ov.o:(.data): relocation R_X86_64_8 against big out of range: 4886718345 is not in [0, 256)",
        E::RelocOverflow,
    ),
    ("mold", "mold: error: ver.o: symbol foo has undefined version NOPE", E::UndefinedVersion),
    ("mold", "mold: fatal: trunc.o: e_shoff or e_shnum corrupted: 300 7", E::BadInput),
    (
        "mold",
        "mold: fatal: arm.o: incompatible file type: x86_64 is expected but got arm64",
        E::WrongMachine,
    ),
    ("mold", "mold: fatal: bad.map: expected '}', but got EOF", E::BadScript),
    ("mold", "mold: fatal: library not found: missing", E::MissingFile),
    ("mold", "mold: fatal: unknown command line option: --frobnicate", E::UnknownOption),
    (
        "wild",
        "wild: warning: -z text is not yet supported\nwild: error: Undefined symbol hid, referenced by \n    und.o",
        E::UndefinedSymbol,
    ),
    (
        "wild",
        "wild: error: Duplicate symbols detected: foo, defined in d1.o and d2.o",
        E::DuplicateSymbol,
    ),
    (
        "wild",
        "wild: error: Failed to copy section `.text` from file dyn.o (256 (1/0))\n  Caused by:\n    relocation R_X86_64_PC32 cannot be used when making a shared object; recompile with -fPIC",
        E::RelocDynamic,
    ),
    (
        "wild",
        "wild: error: Failed copying from ov.o (512 (2/0)) to output file\n  Caused by:\n    Failed to apply relocations in section `.text` of ov.o\n    Failed to apply relocation of type R_X86_64_32 to symbol `big`",
        E::RelocOverflow,
    ),
    (
        "wild",
        "wild: error: Failed to parse object file `trunc.o`\n  Caused by:\n    Invalid ELF section header offset/size/alignment",
        E::BadInput,
    ),
    (
        "wild",
        "wild: error: Failed to parse object file `arm.o`\n  Caused by:\n    `arm.o` has incompatible architecture: aarch64, expecting x86_64",
        E::WrongMachine,
    ),
    ("wild", "wild: error: Couldn't find library `missing` on library search path", E::MissingFile),
    ("wild", "wild: error: unrecognized option(s): --frobnicate", E::UnknownOption),
    (
        "wild",
        "wild: error: Failed to parse version script:\nparse error at line 1, column 33",
        E::BadScript,
    ),
    (
        "ld64_lld",
        "ld64.lld-22: error: undefined symbol: _nowhere\n>>> referenced by und.o:(symbol _f+0x1)",
        E::UndefinedSymbol,
    ),
    (
        "ld64_lld",
        "ld64.lld-22: error: duplicate symbol: _f\n>>> defined in dup.o\n>>> defined in dup2.o",
        E::DuplicateSymbol,
    ),
    (
        "ld64_lld",
        "ld64.lld-22: error: ov3.o:(symbol _g+0x3): relocation SIGNED is out of range: 78187492761 is not in [-2147483648, 2147483647]; references _abs",
        E::RelocOverflow,
    ),
    (
        "ld64_lld",
        "ld64.lld-22: error: rebase target address 0xfffffffffff01000 does not fit into chained fixup. Re-link with -no_fixup_chains",
        E::RelocOverflow,
    ),
    (
        "ld64_lld",
        "ld64.lld-22: error: tls.o:(symbol _t+0x3): TLV relocation requires that symbol _f be thread-local",
        E::TlsMismatch,
    ),
    (
        "ld64_lld",
        "ld64.lld-22: error: mis.o:(symbol _g+0x4): 64-bit LDR/STR to 0x4001 (_q) is not 8-byte aligned",
        E::RelocMisaligned,
    ),
    ("ld64_lld", "ld64.lld-22: error: cannot open b.o: No such file or directory", E::MissingFile),
    ("ld64_lld", "ld64.lld-22: error: library not found for -lnowhere", E::MissingFile),
    ("ld64_lld", "ld64.lld-22: error: unknown argument '--frob'", E::UnknownOption),
    ("ld64_lld", "ld64.lld-22: error: empty.o: unhandled file type", E::BadInput),
    ("ld64_lld", "ld64.lld-22: error: must specify -arch", E::Usage),
    (
        "zig",
        "error: undefined symbol: _nowhere\n    note: referenced by und.o:_f",
        E::UndefinedSymbol,
    ),
    (
        "zig",
        "error: duplicate symbol definition: _f\n    note: defined by dup.o",
        E::DuplicateSymbol,
    ),
    (
        "zig",
        "error: _t: illegal thread-local variable reference to regular symbol _f\nerror: failed to scan relocations: AlreadyReported",
        E::TlsMismatch,
    ),
    (
        "zig",
        "error: _g: unexpected remainder when resolving ARM64_RELOC_PAGEOFF12 at offset 0x4\n    note: while parsing mis.o",
        E::RelocMisaligned,
    ),
    ("zig", "error: invalid cpu architecture: x86_64", E::WrongMachine),
    ("zig", "error: failed to open object nothere.o: FileNotFound", E::MissingFile),
];

#[test]
fn real_messages_classify() {
    for (name, message, class) in MESSAGES {
        let linker = ADAPTERS.iter().find(|linker| linker.name == *name).unwrap();
        assert_eq!(linker.classify(message), *class, "{name}: {message}");
    }
}

#[test]
fn a_message_nobody_knows_is_other() {
    for linker in ADAPTERS {
        assert_eq!(linker.classify("ld: the moon is full"), E::Other);
        assert_eq!(linker.classify("ld: warning: undefined symbol"), E::Other);
    }
}

#[test]
fn versions_are_read_from_banners() {
    for (banner, version) in [
        ("GNU ld (GNU Binutils for Debian) 2.40", &[2, 40][..]),
        ("GNU gold (GNU Binutils for Debian 2.40) 1.16", &[2, 40]),
        ("Debian LLD 22.1.8 (compatible with GNU linkers)", &[22, 1, 8]),
        ("mold 1.10.1 (compatible with GNU ld)", &[1, 10, 1]),
        ("Wild 0.10.0 non-git-build (compatible with GNU linkers)", &[0, 10, 0]),
        ("@(#)PROGRAM:ld  PROJECT:ld64-951.9", &[951, 9]),
        ("@(#)PROGRAM:ld PROJECT:ld-1115.7.3", &[1115, 7, 3]),
        ("no number", &[]),
    ] {
        assert_eq!(release(banner), version, "{banner}");
    }
}

#[test]
fn banners_tell_linkers_apart() {
    for (banner, name) in [
        ("GNU ld (GNU Binutils for Debian) 2.40", "gnu_ld"),
        ("GNU gold (GNU Binutils for Debian 2.40) 1.16", "gold"),
        ("LLD 22.1.2 (/checkout) (compatible with GNU linkers)", "lld"),
        ("Debian LLD 22.1.8 (compatible with GNU linkers)", "lld"),
        ("mold 1.10.1 (compatible with GNU ld)", "mold"),
        ("Wild 0.10.0 non-git-build (compatible with GNU linkers)", "wild"),
        ("LLD 22.1.2 (/checkout/src/llvm-project/llvm 1cb4e38)", "ld64_lld"),
        ("Debian LLD 22.1.8", "ld64_lld"),
        ("0.17.1", "zig"),
        ("@(#)PROGRAM:ld  PROJECT:ld64-951.9", "ld64"),
    ] {
        let names: Vec<_> = ADAPTERS.iter().filter(|l| (l.is)(banner)).map(|l| l.name).collect();
        assert_eq!(names, [name], "{banner}");
    }
}

#[test]
fn selecting_needs_known_names() {
    let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let error = select(&names(&["nosuch"]), &[]).err().unwrap();
    assert!(error.contains("known: reference, gnu_ld"), "{error}");
    assert!(select(&[], &names(&["x"])).is_err());
    assert!(select(&[], &names(&["x=/nonexistent"])).is_err());
    let twice = select(&names(&["reference", "reference"]), &[]).unwrap();
    assert_eq!(twice.len(), 1);
}

/// A shared library from one empty object, with every linker that is here, for every target it serves.
#[test]
fn every_linker_of_this_machine_links_and_refuses() {
    let installed: Vec<Installed> = ADAPTERS.iter().flat_map(|linker| linker.installed()).collect();
    if installed.is_empty() {
        assert_ne!(std::env::var("SCOLD_REQUIRE").as_deref(), Ok("all"), "no linker here");
        println!("skipped: no linker here; apt-get install binutils");
    }
    for linker in installed {
        for target in Target::NAMED {
            if linker.serves(*target) {
                links_and_refuses(&linker, *target);
            }
        }
    }
}

fn links_and_refuses(linker: &Installed, target: Target) {
    let machine = match target.arch {
        Arch::Amd64 => object::Architecture::X86_64,
        Arch::Arm => object::Architecture::Arm,
        Arch::Arm64 => object::Architecture::Aarch64,
    };
    let macho = target.format == crate::Format::Macho;
    let format = if macho { object::BinaryFormat::MachO } else { object::BinaryFormat::Elf };
    let mut object = object::write::Object::new(format, machine, object::Endianness::Little);
    // EABI 5, without which bfd does not take the object.
    let e_flags = object::elf::FileFlags(if target.arch == Arch::Arm { 0x0500_0000 } else { 0 });
    let (os_abi, abi_version) = (object::elf::OsAbi(0), 0);
    if !macho {
        object.flags = object::FileFlags::Elf { os_abi, abi_version, e_flags };
    }
    let file = crate::File { name: "a.o".into(), bytes: object.write().unwrap().into() };
    let args = vec!["a.o".into()];
    // Not every linker makes bundles.
    let mode = if macho { crate::Mode::CShared } else { crate::Mode::Shared };
    let request = Request { target, mode, args, files: vec![file], goos: None };
    let limit = Duration::from_secs(20);
    let name = format!("{} {} for {target}", linker.name(), linker.version());
    let outcome = linker.link(&request, limit);
    let Outcome::Linked(image) = outcome else { panic!("{name}: {outcome:?}") };
    let header = (image[..4].to_vec(), image[if macho { 4 } else { 18 }]);
    let wanted = match (target.format, target.arch) {
        (crate::Format::Macho, Arch::Amd64) => (b"\xcf\xfa\xed\xfe".to_vec(), 7),
        (crate::Format::Macho, _) => (b"\xcf\xfa\xed\xfe".to_vec(), 12),
        (crate::Format::Elf, arch) => (b"\x7fELF".to_vec(), arch.machine() as u8),
    };
    assert_eq!(header, wanted, "{name}");
    let missing = Request { args: vec!["b.o".into()], ..request.clone() };
    let outcome = linker.link(&missing, limit);
    assert!(matches!(outcome, Outcome::Refused(E::MissingFile, _)), "{name}: {outcome:?}");
    let bad = Request { args: vec!["a.o".into(), "--frobnicate".into()], ..request };
    let outcome = linker.link(&bad, limit);
    let lacks = matches!(outcome, Outcome::Unsupported("zig does not know this option"));
    let refused = matches!(outcome, Outcome::Refused(E::UnknownOption, _));
    assert!(refused || lacks, "{name}: {outcome:?}");
}

/// One linker is several programs where each is built for one machine.
#[test]
fn a_target_that_nobody_serves_is_not_asked_for() {
    let wild = &super::wild::LINKER;
    assert!(!wild.ports.iter().any(|port| port.target == Target::ARM_ELF));
    for linker in ADAPTERS.iter().flat_map(|linker| linker.installed()) {
        for target in Target::NAMED.iter().filter(|target| !linker.serves(**target)) {
            assert_eq!(linker.program(*target), None);
            let request = Request { target: *target, ..crate::selftest::subject::request() };
            let outcome = linker.link(&request, Duration::from_secs(20));
            assert_eq!(outcome, Outcome::Unsupported("it does not link for this target"));
        }
    }
}

#[test]
fn a_linker_that_cannot_be_run_is_this_machines_trouble() {
    let Some(mut linker) = ADAPTERS.iter().find_map(|linker| linker.installed().pop()) else {
        assert_ne!(std::env::var("SCOLD_REQUIRE").as_deref(), Ok("all"), "no linker here");
        println!("skipped: no linker here; apt-get install binutils");
        return;
    };
    linker.move_to(Path::new("/nowhere/ld"));
    let request = crate::selftest::subject::request();
    let outcome = linker.link(&request, Duration::from_secs(20));
    assert_eq!(outcome, Outcome::Unsupported("it could not be run here"));
    assert!(run::trouble().is_some_and(|trouble| trouble.contains("/nowhere/ld")));
}

/// What a linker lacks on one machine is no refusal there, and one elsewhere.
#[test]
fn gaps_of_one_machine_are_not_asked_about() {
    let lld = &super::lld::LINKER;
    let said = "ld.lld: error: p.o:(.text+0x28): unknown relocation (513) against symbol x";
    let gap = |target: Target| {
        let port = lld.ports.iter().find(|port| port.target == target).unwrap();
        port.unsupported.iter().any(|(part, _)| matches(said, part))
    };
    assert!(gap(Target::ARM64_ELF) && gap(Target::ARM_ELF) && !gap(Target::AMD64_ELF));
    assert_eq!(lld.classify(said), E::RelocUnsupported);
}

/// The oldest system is a part of zig's target; how fixups are encoded is not asked.
#[test]
fn zig_is_called_as_a_compiler() {
    let words = super::zig::LINKER.words.unwrap();
    let args = "-platform_version macos 11.0 26.0 -fixup_chains -install_name x a.o -dead_strip";
    let args = args.split(' ').map(str::to_owned).collect();
    let (target, mode) = (Target::ARM64_MACHO, crate::Mode::CShared);
    let request = Request { target, mode, args, files: Vec::new(), goos: None };
    let wanted =
        "cc -target aarch64-macos.11.0 -nostdlib -shared -Wl,-install_name,x a.o -Wl,-dead_strip";
    assert_eq!(words(&request).join(" "), wanted);
    let args = "-platform_version macos 13 13.1 a.o".split(' ').map(str::to_owned).collect();
    let command = words(&Request { args, ..request.clone() });
    assert_eq!(command.join(" "), "cc -target aarch64-macos.13.0 -nostdlib -shared a.o");
    let args = "-rpath @loader_path -current_version 1.2 -headerpad 100 -stack_size 0x4000 -x a.o";
    let args = args.split(' ').map(str::to_owned).collect();
    let wanted = "cc -target aarch64-macos.13.0 -nostdlib -shared -Wl,-rpath,@loader_path \
                  -Wl,-current_version,1.2.0 -Wl,-headerpad,0x100 -Wl,-stack_size,0x4000 -Wl,-x a.o";
    assert_eq!(words(&Request { args, ..request }).join(" "), wanted);
}
