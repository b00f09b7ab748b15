//! Objects that no compiler made: what can't be changed stays as it is, and what was changed can be had again.

use crate::desugar::sample::{RUNTIME, bounded, module, zeros};
use crate::desugar::{desugar, macho, sugared, texts};
use crate::model::elf::hostile::Dice;
use crate::{Arch, File, Mode, Request, Target};

/// Damages the objects of `request`, so many times.
fn spoil(request: &Request, rounds: u64) {
    for seed in 1..=rounds {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut damaged = request.clone();
        for file in &mut damaged.files {
            let mut bytes = file.bytes.to_vec();
            dice.damage(&mut bytes);
            file.bytes = bytes.into();
        }
        let _ = texts(&damaged);
        let changed = desugar(damaged.clone());
        let before = sugared(&changed).unwrap_or_else(|| changed.clone());
        assert!(before == damaged, "{:?}, round {seed}", request.mode);
    }
}

const MODES: [Mode; 4] = [Mode::CShared, Mode::Plugin, Mode::Pie, Mode::Exe];

#[test]
fn damaged_objects_can_be_had_again() {
    let start = ["_rt0_amd64_linux_lib", "local.moduledata"];
    for target in [Target::AMD64_ELF, Target::ARM64_ELF, Target::ARM_ELF] {
        for mode in MODES {
            spoil(&module(target, mode, &[&RUNTIME[..], &start].concat()).unwrap(), 300);
            spoil(&module(target, mode, &start).unwrap(), 300);
            spoil(&bounded(target, mode, 0).unwrap(), 300);
            spoil(&zeros(target, mode, &["runtime.bss", "runtime.ebss"]).unwrap(), 300);
        }
    }
}

#[test]
fn damaged_objects_of_darwin_can_be_had_again() {
    let start = ["_rt0_amd64_darwin_lib", "local.moduledata"];
    for (target, arch) in [(Target::AMD64_MACHO, Arch::Amd64), (Target::ARM64_MACHO, Arch::Arm64)] {
        for names in [&RUNTIME[..], &start] {
            let file = File { name: "a.o".into(), bytes: macho::samples(arch, names).into() };
            for mode in MODES {
                let (args, files) = (vec!["a.o".into()], vec![file.clone()]);
                spoil(&Request { target, mode, args, files, goos: None }, 600);
            }
        }
    }
}

/// A name that starts with more than a byte, or is no text at all, is no name that has a like.
#[test]
fn a_section_of_zeros_may_have_any_name() {
    for name in [&b"\xc3\xa4.b"[..], b"\xff.bs", b".bss"] {
        let mut request = zeros(Target::AMD64_ELF, Mode::Pie, &[]).unwrap();
        for file in &mut request.files {
            let mut bytes = file.bytes.to_vec();
            while let Some(at) = memchr::memmem::find(&bytes, b".bss\0") {
                bytes[at..at + 4].copy_from_slice(b"\0\0\0\0");
                bytes[at..at + name.len()].copy_from_slice(name);
                if name == b".bss" {
                    break;
                }
            }
            file.bytes = bytes.into();
        }
        let changed = desugar(request.clone());
        assert_ne!(changed.file("last.o"), request.file("last.o"), "{name:?}");
        assert_eq!(sugared(&changed), Some(request), "{name:?}");
    }
}
