//! What nothing stands for: what a mode can't have, and what it has already.

use super::*;

const START: &str = "_rt0_amd64_linux_lib";
const OWN: &str = "local.moduledata";

/// A module of one object, with one symbol in each of these sections; a letter says whether others see it.
fn parts(mode: Mode, list: &[(&str, bool, u64)], wanted: &[&str]) -> Request {
    let part = |&(name, global, flags): &(&str, bool, u64)| Part {
        name: if flags == 0 { ".foo" } else { ".data" },
        kind: 1,
        flags,
        align: 8,
        bytes: vec![0; 16],
        symbols: vec![Symbol { name: name.to_owned(), global, hidden: false, kind: DATA }],
        fields: Vec::new(),
        lines: Vec::new(),
    };
    let parts: Vec<Part> = list.iter().map(part).collect();
    let bytes = write::object(code::of(62).unwrap(), &parts, wanted).into();
    let files = vec![File { name: "a.o".into(), bytes }];
    Request { target: Target::AMD64_ELF, mode, args: vec!["a.o".into()], files, goos: None }
}

fn with_args(mut request: Request, args: &[&str]) -> Request {
    request.args.extend(args.iter().map(|arg| (*arg).to_owned()));
    request
}

/// SHF_WRITE, SHF_ALLOC.
const LOADED: u64 = 3;
/// SHF_TLS.
const THREADS: u64 = 0x400 | LOADED;

#[test]
fn what_a_mode_cannot_have_is_left_alone() {
    for (mode, name) in [(Mode::Plugin, OWN), (Mode::CShared, OWN), (Mode::CShared, START)] {
        for global in [false, true] {
            assert!(Extra::of(&parts(mode, &[(name, global, LOADED)], &[])).is_some());
            for flags in [0, THREADS] {
                let request = parts(mode, &[(name, global, flags)], &["runtime.text"]);
                assert_eq!(desugar(request.clone()), request, "{mode} {name} {flags}");
                let refused = Reference::default().link(&request, LIMIT);
                let Outcome::Refused(class, _) = refused else { panic!("{refused:?}") };
                assert_eq!(class, crate::model::ErrorClass::ModeConflict);
            }
        }
    }
}

#[test]
fn an_alias_that_is_taken_is_left_alone() {
    let alias = "go:link.local.moduledata";
    let taken = parts(Mode::Plugin, &[(OWN, false, LOADED), (alias, true, LOADED)], &[]);
    assert_eq!(desugar(taken.clone()), taken);
    let refused = Reference::default().link(&taken, LIMIT);
    assert!(matches!(refused, Outcome::Refused(crate::model::ErrorClass::ModeConflict, _)));
    // One object's own name clashes with nobody's.
    let own = parts(Mode::Plugin, &[(OWN, false, LOADED), (alias, false, LOADED)], &[]);
    assert_ne!(desugar(own.clone()), own);
    assert!(Reference::default().link(&own, LIMIT).image().is_some());
}

#[test]
fn a_marker_that_an_argument_defines_is_not_made() {
    let request = || parts(Mode::Plugin, &[("f", true, LOADED)], &["runtime.text"]);
    assert_eq!(part_names(&request()), [".text.unlikely"]);
    for args in [
        &["--defsym", "runtime.text=0x100"][..],
        &["--defsym=runtime.text=0x100"],
        &["-defsym", "runtime.text = f"],
    ] {
        assert!(part_names(&with_args(request(), args)).is_empty(), "{args:?}");
    }
    let other = with_args(request(), &["--defsym", "f2=runtime.text"]);
    assert_eq!(part_names(&other), [".text.unlikely"]);
}

#[test]
fn what_init_names_has_no_entry() {
    let library = |global| parts(Mode::CShared, &[(START, global, LOADED)], &[]);
    for (args, global, is_init) in [
        (&["-init", START][..], true, true),
        (&["-init=_rt0_amd64_linux_lib"], true, true),
        (&["--init", "f", "-init", START], true, true),
        (&["-init", START, "-init", "f"], true, false),
        (&["-fini", START], true, false),
        (&["-init", START], false, false),
    ] {
        let request = with_args(library(global), args);
        assert_eq!(part_names(&request).is_empty(), is_init, "{args:?} {global}");
        assert_eq!(starts_by_init(&desugar(request)), is_init, "{args:?} {global}");
    }
}
