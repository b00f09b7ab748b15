//! What ld64's rules say a Mach-O link must give: the same questions as ELF's, with other answers.
//!
//! Names are resolved (`world`, `resolve`), the atoms that stay are found (`live`), relocations are told
//! in meanings (`sites`), and the rest of the image follows (`image`, `unwind`). Spec: the headers of
//! mach-o/, and what ld64 and dyld agree on where those say nothing. It must not know any linker's layout.

mod image;
mod live;
mod modules;
mod resolve;
mod sites;
mod unwind;
mod world;

use scold_diff::Expectation;
use scold_diff::expectation::Refusal;

use crate::Case;
pub(crate) use modules::{MARKERS, mangled};
use resolve::Link;
use sites::Sites;
use world::World;

/// What a correct linker's output of `case` has, and what is left open.
pub(super) fn expect(case: &Case) -> Expectation {
    let case = &*modules::desugared(case);
    let mut link = Link::resolve(World::new(case));
    live::strip(&mut link);
    let findings = std::mem::take(&mut link.findings);
    let mut sites = Sites::new(&link, findings);
    sites.walk();
    sites.check_names();
    if !sites.findings.errors.is_empty() {
        let mut classes = std::mem::take(&mut sites.findings.errors);
        classes.extend(sites.findings.may);
        return Expectation { open: sites.findings.open, ..Expectation::refused(classes) };
    }
    sites.finish();
    let refusal = match sites.findings.may {
        classes if classes.is_empty() => Refusal::Never,
        classes => Refusal::May(classes),
    };
    Expectation { facts: sites.facts, refusal, choices: Vec::new(), open: sites.findings.open }
}

#[cfg(test)]
mod tests;
