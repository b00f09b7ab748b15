//! Relations on the selftest's subject, with every linker of this machine and one that is wrong.

use std::sync::Arc;

use super::super::judge;
use super::*;
use crate::adapter::{self, Adapter};
use crate::divergence::Rules;
use crate::selftest::subject;

/// A linker that gives another image when it sees an archive.
struct Partial(Shared);

impl Adapter for Partial {
    fn name(&self) -> &str {
        "partial"
    }
    fn version(&self) -> &str {
        "1.0"
    }
    fn link(&self, request: &Request, limit: Duration) -> Outcome {
        let outcome = self.0.link(request, limit);
        let Outcome::Linked(mut image) = outcome else { return outcome };
        if request.args.iter().any(|arg| arg.ends_with(".a"))
            && let Some(at) = memchr::memmem::find(&image, &[0x11; 16])
        {
            image[at] = 0x12;
        }
        Outcome::Linked(image)
    }
}

/// A linker that links, but crashes on `-r`.
struct NoJoin(Shared);

impl Adapter for NoJoin {
    fn name(&self) -> &str {
        "no-join"
    }
    fn version(&self) -> &str {
        "1.0"
    }
    fn link(&self, request: &Request, limit: Duration) -> Outcome {
        self.0.link(request, limit)
    }
    fn join(&self, _: &Request, _: Duration) -> Option<Outcome> {
        Some(Outcome::Crashed("signal 11".into()))
    }
}

#[test]
fn a_crash_on_partial_links_shows() {
    let linkers = adapter::select(&[adapter::REFERENCE.into()], &[]).unwrap();
    let mut request = subject::request();
    request.args.retain(|arg| request.files.iter().any(|file| file.name == *arg));
    let linker: Shared = Arc::new(NoJoin(linkers[0].clone()));
    let limit = Duration::from_secs(20);
    let applied = partial(&request, &linker, limit);
    assert!(matches!(applied, Some(Err(Outcome::Crashed(_)))));
}

fn complaints(linker: &Shared, request: &Request) -> Vec<String> {
    let limit = Duration::from_secs(20);
    let trials = [Trial::run(linker, request, limit)];
    let rules = Rules::default();
    let evidence = Evidence { request, trials: &trials, expected: None, rules: &rules, limit };
    let ruling = judge(&evidence, &[&Metamorphic]);
    ruling
        .complaints
        .into_iter()
        .map(|c| format!("{}: {:?} {}", c.shape, c.keys, c.detail))
        .collect()
}

#[test]
fn a_fault_in_one_way_of_linking_shows_and_correct_linkers_have_none() {
    let linkers = adapter::select(&["all".into()], &[]).unwrap();
    let mut any = false;
    let others: Vec<_> = linkers.iter().filter(|l| l.name() != adapter::REFERENCE).collect();
    let requests = subject::macho().into_iter().map(|(_, request)| request);
    for request in requests.chain([subject::request()]) {
        for linker in others.iter().filter(|linker| linker.serves(request.target)) {
            let list = complaints(linker, &request);
            assert!(list.is_empty(), "{}: {list:#?}", linker.name());
            // Where it links at all.
            let limit = Duration::from_secs(20);
            if Trial::run(linker, &request, limit).outcome.image().is_some() {
                let wrong: Shared = Arc::new(Partial((*linker).clone()));
                let list = complaints(&wrong, &request);
                assert!(list.iter().any(|text| text.starts_with("archive: bytes")), "{list:?}");
                any = true;
            }
        }
    }
    if !any {
        assert_ne!(std::env::var("SCOLD_REQUIRE").as_deref(), Ok("all"), "no linker here");
        println!("skipped: no linker here; apt-get install binutils");
    }
}

#[test]
fn files_that_depend_on_their_order_stay() {
    let mut request = subject::request();
    assert!(independent(&request));
    let mut again = request.files[0].clone();
    again.name = "b.o".into();
    request.files.push(again);
    request.args.push("b.o".into());
    assert!(!independent(&request));
    assert!(reordered(&request).is_none());
}

/// What a mode adds is no part of what is turned round or joined: it is added again, where it has to be.
#[test]
fn a_mode_adds_to_each_variant_again() {
    use crate::desugar::{OBJECT, TAIL, desugar, sample, sugared};
    let module = |names: &[&str]| {
        let target = crate::Target::AMD64_ELF;
        sample::module(target, crate::Mode::Plugin, names).unwrap()
    };
    let mut request = module(&["local.moduledata", "type.a", "runtime.edata"]);
    let other = module(&["type.b"]).files.remove(0);
    request.files.push(File { name: "b.o".into(), bytes: other.bytes });
    request.args.push("b.o".into());
    let request = desugar(request);
    assert_eq!(request.args[0], OBJECT);
    let given = sugared(&request).unwrap();
    assert_eq!(given.args, ["a.o", "b.o"]);
    let turned = desugar(reordered(&given).unwrap());
    let inner = |args: &[String]| -> Vec<String> {
        args.iter().filter(|arg| ![OBJECT, TAIL].contains(&arg.as_str())).cloned().collect()
    };
    assert_eq!(turned.args[0], OBJECT);
    assert_eq!(inner(&turned.args), ["b.o", "a.o"]);
    let reference = &adapter::select(&[adapter::REFERENCE.into()], &[]).unwrap()[0];
    let limit = Duration::from_secs(20);
    let Some(Ok(joined)) = partial(&given, reference, limit) else { panic!("not joined") };
    assert_eq!(inner(&desugar(joined).args), ["joined.o"]);
    let alone = desugar(module(&["local.moduledata", "type.a"]));
    let list = complaints(reference, &alone);
    assert!(list.is_empty(), "{list:#?}");
}
