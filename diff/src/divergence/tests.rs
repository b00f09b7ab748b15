//! Globs, ranges, entries; DIVERGENCES.md is current.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::adapter::Outcome;
use crate::model::Meaning;
use crate::{Family, Mode, Target};

struct Fake(&'static str, &'static str);

impl Adapter for Fake {
    fn name(&self) -> &str {
        self.0
    }
    fn version(&self) -> &str {
        self.1
    }
    fn link(&self, _: &Request, _: Duration) -> Outcome {
        Outcome::Hung
    }
}

#[test]
fn globs() {
    for (pattern, text, is) in [
        ("site.*", "site.a.o:.text+0x1", true),
        ("site.*", "export.site.", false),
        ("*", "", true),
        ("a*b*c", "a__b__c", true),
        ("a*b*c", "a__c__b", false),
        ("a*a", "a", false),
        ("exact", "exact", true),
        ("exact", "exactly", false),
        ("* absolute *", "Object Global size=4 absolute 0x0", true),
    ] {
        assert_eq!(glob(pattern, text), is, "{pattern} {text}");
    }
}

#[test]
fn ranges() {
    let gold = Fake("gold", "GNU gold (GNU Binutils for Debian 2.40) 1.16");
    for (range, is) in [
        ("", true),
        (">=2.40", true),
        (">=2.41", false),
        ("<2.41", true),
        (">2.40", false),
        ("<=2.40", true),
        ("=2", true),
        (">=2.30, <2.40", false),
    ] {
        assert_eq!(in_range(range, &gold), is, "{range}");
    }
    assert!(bounds("~2").is_none() && bounds("2.x").is_none());
}

#[test]
fn entries_match_both_values_and_count() {
    let text = r#"
        [[divergence]]
        id = "weak"
        key = "site.*"
        values = ["absolute 0x0", "dynamic *"]
        linkers = ["gold"]
        modes = ["pie"]
        reason = "r"
        source = "s"
        [[known]]
        linkers = ["gold"]
        versions = "<2.41"
        signatures = ["agree/site R_X86_64_32 */gold/*"]
        link = "BUGS.md 1"
    "#;
    let rules = Rules::parse(&[text]).unwrap();
    let gold = Fake("gold", "2.40");
    let mut request = Request {
        target: Target::AMD64_ELF,
        mode: Mode::Pie,
        args: vec![],
        files: vec![],
        goos: None,
    };
    let key = Key::new(Family::Site, "a.o:.text+0x1");
    let null = Value::Ref(Meaning::Absolute(0));
    let dynamic = Value::Ref(Meaning::Dynamic("x".into()));
    let other = Value::Ref(Meaning::Absolute(7));
    let relocations = Relocations::of(&request);
    let ask = |request: &Request, found, wanted| {
        let question = Question {
            request,
            linker: &gold,
            key: &key,
            relocation: None,
            relocations: &relocations,
            found,
            wanted,
        };
        rules.explain(&question).is_some()
    };
    assert_eq!(rules.unmatched().len(), 1);
    assert!(ask(&request, Some(&null), Some(&dynamic)));
    assert!(ask(&request, Some(&dynamic), Some(&null)));
    assert!(!ask(&request, Some(&other), Some(&dynamic)));
    // Two values of one kind are no divergence.
    let another = Value::Ref(Meaning::Dynamic("y".into()));
    assert!(!ask(&request, Some(&another), Some(&dynamic)));
    assert!(!ask(&request, None, Some(&dynamic)));
    request.mode = Mode::Shared;
    assert!(!ask(&request, Some(&null), Some(&dynamic)));
    assert!(rules.unmatched().is_empty());
    let known = |linker: &Fake, signature: &str| {
        let complaint = complaint("site.a.o:.text+0x1");
        rules.known(&request, Some(linker), signature, &complaint).is_some()
    };
    assert!(known(&gold, "agree/site R_X86_64_32 other place/gold/amd64-elf"));
    assert!(!known(&gold, "agree/site R_X86_64_64 other place/gold/amd64-elf"));
    assert!(!known(&Fake("gold", "2.41"), "agree/site R_X86_64_32 x/gold/y"));
    assert_eq!(rules.sightings()[0].1, 1);
}

#[test]
fn pairs_are_ordered_tails_are_compared_and_the_reference_is_not_excused() {
    let entry = |key: &str, what: &str, linkers: &str| {
        let text = format!(
            "[[divergence]]\nid=\"d\"\nkey=\"{key}\"\n{what}\nlinkers=[\"{linkers}\"]\nreason=\"r\"\nsource=\"s\""
        );
        Rules::parse(&[&text]).unwrap()
    };
    let request = Request {
        target: Target::AMD64_ELF,
        mode: Mode::Exe,
        args: vec![],
        files: vec![],
        goos: None,
    };
    let relocations = Relocations::of(&request);
    let ask = |rules: &Rules, linker: &'static str, key: &Key, found: &Value, wanted: &Value| {
        let linker = Fake(linker, "1.0");
        let (found, wanted) = (Some(found), Some(wanted));
        let relocation = None;
        let question = Question {
            request: &request,
            linker: &linker,
            key,
            relocation,
            relocations: &relocations,
            found,
            wanted,
        };
        rules.explain(&question).is_some()
    };
    let text = |text: &str| Value::Text(text.into());
    let key = Key::new(Family::Perm, "a.o:.rodata");
    let rules = entry("perm.*", "pairs=[[\"*rx*\", \"*r-*\"]]", "*");
    assert!(ask(&rules, "gold", &key, &text("rx"), &text("r-")));
    assert!(!ask(&rules, "gold", &key, &text("r-"), &text("rx")));
    assert!(!ask(&rules, REFERENCE, &key, &text("rx"), &text("r-")));
    let rules = entry("perm.*", "same_from=\" absolute \"", "*");
    assert!(ask(&rules, "gold", &key, &text("Func absolute 0x1"), &text("Object absolute 0x1")));
    assert!(!ask(&rules, "gold", &key, &text("Func absolute 0x1"), &text("Func absolute 0x2")));
    // Nothing here mentions the name: no condition on it holds.
    let rules = entry("site.*", "symbol=\"weak-undefined\"", "*");
    let (null, dynamic) = (Meaning::Absolute(0), Meaning::Dynamic("f".into()));
    let site = Key::new(Family::Site, "a.o:.text+0x1");
    assert!(!ask(&rules, "gold", &site, &Value::Ref(null), &Value::Ref(dynamic)));
}

#[test]
fn malformed_entries_are_refused() {
    assert!(Rules::parse(&["[[divergence]]\nid = \"x\""]).is_err());
    assert!(Rules::parse(&["[[divergences]]"]).is_err());
    assert!(
        Rules::parse(&["[[known]]\nlinkers=[]\nversions=\"~1\"\nsignatures=[]\nlink=\"\""])
            .is_err()
    );
}

#[test]
fn the_projects_own_entries_parse_and_have_reasons() {
    let mut texts = vec![include_str!("../../../divergences.toml")];
    texts.extend(KNOWN);
    let rules = Rules::parse(&texts).unwrap();
    let mut ids: Vec<&str> = rules.divergences.iter().map(|entry| &*entry.id).collect();
    assert!(!ids.is_empty());
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), rules.divergences.len(), "ids are unique");
    for entry in &rules.divergences {
        assert!(entry.reason.len() > 20 && entry.source.len() > 5, "{}", entry.id);
        assert!(Family::ALL.iter().any(|f| entry.key.starts_with(f.name())), "{}", entry.id);
        for mode in &entry.modes {
            assert!(mode.parse::<Mode>().is_ok(), "{}: {mode}", entry.id);
        }
    }
}

#[test]
fn divergences_md_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../DIVERGENCES.md");
    let text = markdown(Rules::standard());
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == text, "DIVERGENCES.md is stale: BLESS=1 cargo test -p scold-diff divergence");
}

fn complaint(key: &str) -> Complaint {
    Complaint {
        oracle: "expected",
        linker: "gold".into(),
        shape: "site null for place".into(),
        keys: vec![Mismatch { key: key.into(), found: "absolute 0x0".into(), wanted: "x".into() }],
        detail: "said so".into(),
        known: None,
    }
}

#[test]
fn a_known_bug_is_as_narrow_as_its_entry_says() {
    let args = vec!["--gc-sections".to_owned()];
    let mut request =
        Request { target: Target::AMD64_ELF, mode: Mode::Pie, args, files: vec![], goos: None };
    let known = |more: &str, request: &Request| {
        let text = format!("[[known]]\nlinkers = ['gold']\nsignatures = ['*']\nlink = 'l'\n{more}");
        let rules = Rules::parse(&[&text]).unwrap();
        let complaint = complaint("site.a.o:.text+0x1");
        rules.known(request, Some(&Fake("gold", "2.40")), "s", &complaint).is_some()
    };
    let all =
        "key = 'site.*'\nfound = 'absolute *'\nwanted = 'x'\nargs = ['--gc*']\nmodes = ['pie']";
    assert!(known(all, &request));
    for other in ["key = 'export.*'", "found = 'place*'", "wanted = 'y'", "args = ['-z']"] {
        assert!(!known(other, &request), "{other}");
    }
    assert!(!known("with = ['R_X86_64_8']", &request));
    request.mode = Mode::Exe;
    assert!(!known(all, &request));
}

#[test]
fn every_known_bug_has_a_condition() {
    let rules = Rules::parse(KNOWN).unwrap();
    let wide = rules.known.iter().filter(|bug| !bug.is_narrow());
    let wide: Vec<String> =
        wide.map(|bug| format!("{:?} {}: {:?}", bug.linkers, bug.link, bug.signatures)).collect();
    assert!(wide.is_empty(), "any bug of this look would count as known:\n{}", wide.join("\n"));
}

#[test]
fn a_known_bug_needs_its_inputs() {
    let request = Request {
        target: Target::AMD64_ELF,
        mode: Mode::Shared,
        args: vec![],
        files: vec![],
        goos: None,
    };
    let text = "[[known]]\nlinkers=['gold']\nsignatures=['*']\nhas=['comdat']\nlink='l'";
    let rules = Rules::parse(&[text]).unwrap();
    assert!(rules.known[0].is_narrow());
    let complaint = complaint("export.f");
    assert!(rules.known(&request, Some(&Fake("gold", "2.40")), "s", &complaint).is_none());
    assert!(Rules::parse(&[&text.replace("comdat", "comdats")]).is_err());
}

#[test]
fn a_program_without_entry_is_told_by_its_name() {
    let asks = |args: &[&str]| {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        let files = crate::desugar::sample::module(Target::AMD64_ELF, Mode::Exe, &["main.f"]);
        let request = Request { args, mode: Mode::Exe, ..files.unwrap() };
        inputs::Has::NoEntry.describes(&request)
    };
    assert!(asks(&[]) && asks(&["-e", "nobody"]) && asks(&["--entry=nobody"]));
    assert!(!asks(&["-e", "main.f"]) && !asks(&["--entry=main.f"]) && !asks(&["-e", "0x1000"]));
}

#[test]
fn inits_are_mixed_when_neither_kind_has_a_priority() {
    let object = |sections: &[&str]| {
        let mut object = object::write::Object::new(
            object::BinaryFormat::Elf,
            object::Architecture::X86_64,
            object::Endianness::Little,
        );
        for name in sections {
            object.add_section(vec![], name.as_bytes().to_vec(), object::SectionKind::Data);
        }
        crate::request::File { name: "a.o".into(), bytes: object.write().unwrap().into() }
    };
    let mixed = |sections: &[&str]| {
        let (target, mode, files) = (Target::AMD64_ELF, Mode::Shared, vec![object(sections)]);
        let request = Request { target, mode, args: vec!["a.o".into()], files, goos: None };
        inputs::Has::MixedInits.describes(&request)
    };
    assert!(mixed(&[".ctors", ".init_array"]));
    assert!(!mixed(&[".ctors", ".init_array.00100"]) && !mixed(&[".init_array"]));
}

/// What the loader sees at a place is the bug that the expectation would have named.
#[test]
fn a_known_bug_is_known_to_the_loader() {
    let request = crate::desugar::sample::bounded(Target::AMD64_ELF, Mode::Plugin, 0).unwrap();
    let known = |signature: &str, key: &str, wanted: &str| {
        let text = format!("[[known]]\nlinkers=['gold']\nsignatures=['{wanted}']\nlink='l'");
        let rules = Rules::parse(&[&text]).unwrap();
        let gold = Fake("gold", "2.40");
        rules.known(&request, Some(&gold), signature, &complaint(key)).is_some()
    };
    let (said, key) = ("loader/site bad the image base/gold/amd64-elf", "site.bounds.o:.data+0x10");
    let names =
        ["expected/site R_X86_64_64 bad(the image base) for null/*", "expected/site R_X86* bad(*"];
    assert!(names.iter().all(|name| known(said, key, name)));
    let others = [
        "expected/site R_X86_64_32 bad(the image base) for null/*",
        "expected/site R_X86_64_64 bad(an address outside the image) for null/*",
        "expected/site R_X86_64_64 bad(the image base) for null/lld/*",
    ];
    assert!(others.iter().all(|name| !known(said, key, name)));
    assert!(!known(said, "site.bounds.o:.data+0x11", names[0]));
    assert!(!known("loader/lookup bad the image base/gold/amd64-elf", key, names[0]));
}
