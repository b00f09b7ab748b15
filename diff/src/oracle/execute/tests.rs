//! The selftest's subject is loaded for real, correct and with faults.

use std::sync::Arc;
use std::time::Duration;

use super::super::judge;
use super::super::tests::Named;
use super::*;
use crate::adapter::{self, Outcome, Shared};
use crate::divergence::Rules;
use crate::selftest::{MUTATIONS, subject};

fn complaints(request: &Request, images: &[(&'static str, Vec<u8>)]) -> Vec<String> {
    let trials: Vec<Trial> = images
        .iter()
        .map(|(name, image)| {
            let linker: Shared = Arc::new(Named(name));
            Trial::of(&linker, request, Outcome::Linked(image.clone()))
        })
        .collect();
    let rules = Rules::default();
    let limit = Duration::from_secs(20);
    let evidence = Evidence { request, trials: &trials, expected: None, rules: &rules, limit };
    let list = judge(&evidence, &[&Execute]).complaints;
    list.into_iter().map(|c| format!("{} {}: {:?}", c.linker, c.shape, c.keys)).collect()
}

/// Correct outputs of the subject, by linker.
fn images(request: &Request) -> Vec<(&'static str, Vec<u8>)> {
    let mut list = Vec::new();
    for name in ["gnu_ld", "gold", "lld", "mold", "wild"] {
        let Ok(linkers) = adapter::select(&[name.to_owned()], &[]) else { continue };
        let outcome = linkers[0].link(request, Duration::from_secs(20));
        if let Outcome::Linked(image) = outcome {
            list.push((name, image));
        }
    }
    list
}

fn able() -> bool {
    let able = Platform::of(subject::request().target).is_some_and(|p| Host::get(p).is_ok());
    if !able {
        assert_ne!(std::env::var("SCOLD_REQUIRE").as_deref(), Ok("all"), "no C compiler here");
        println!("skipped: needs a C compiler on amd64 Linux; apt-get install gcc");
    }
    able
}

#[test]
fn correct_modules_do_what_the_loader_says() {
    let mut request = subject::request();
    for mode in [crate::Mode::Shared, crate::Mode::CShared, crate::Mode::Plugin] {
        request.mode = mode;
        if able() {
            let list = complaints(&request, &images(&request));
            assert!(list.is_empty(), "{mode}: {list:#?}");
        }
    }
}

#[test]
fn planted_faults_show_at_run_time() {
    let request = subject::request();
    let images = images(&request);
    if !able() || images.len() < 3 {
        return;
    }
    for (name, shape) in [
        ("probe's constant", "probe returns number for number"),
        (".gnu.hash bloom filter", "does not load: fail undefined symbol"),
        ("RELATIVE at the wrong place", "crash"),
    ] {
        let mutation = MUTATIONS.iter().find(|mutation| mutation.name == name).unwrap();
        let mut list = images.clone();
        let faulty = list.iter_mut().any(|(_, image)| (mutation.apply)(image));
        let list = complaints(&request, &list);
        assert!(!faulty || list.iter().any(|text| text.contains(shape)), "{name}: {list:#?}");
    }
}

#[test]
fn aliases_agree_and_other_places_do_not() {
    let request = subject::request();
    let trials: Vec<Trial> = ["a", "b", "c"]
        .map(|name| Trial::of(&(Arc::new(Named(name)) as Shared), &request, Outcome::Hung))
        .into();
    let vote_on = |answers: [&[&str]; 3]| {
        let answer = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let mut ruling = Ruling::default();
        let list: Vec<(&Trial, values::Answer)> = trials.iter().zip(answers.map(answer)).collect();
        vote("probe", &list, &mut ruling);
        ruling
            .complaints
            .into_iter()
            .map(|c| format!("{} {}", c.linker, c.shape))
            .collect::<Vec<_>>()
    };
    let both = &["place a.o:.data+0x10", "symbol v"][..];
    let none: Vec<String> = Vec::new();
    assert_eq!(vote_on([both, &["place a.o:.data+0x10"], &["symbol v"]]), none);
    assert_eq!(vote_on([both, both, &["symbol w"]]), ["c probe returns symbol for place"]);
    assert_eq!(
        vote_on([&["place a.o:.data+0x18"], both, both]),
        ["a probe returns place for place"]
    );
    assert_eq!(vote_on([both, &["symbol x"], &["number 0x1"]]), none);
}
