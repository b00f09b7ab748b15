//! What the specs say the result must be: Case → [`Expectation`], no bytes of an output involved.
//!
//! A case is resolved like a link (`world`, `resolve`, `binding`, `live`), every relocation is told in
//! meanings (`site`, by the rows of `machine`), and the rest of the module follows (`module`, `unwind`). Nothing here
//! lays anything out: where an address would decide, bounds that hold for every linker do, or the key
//! is left open with its reason. It must not know any linker, the reference included.

mod binding;
pub mod drills;
mod live;
pub(crate) mod macho;
mod module;
mod modules;
mod resolve;
mod site;
mod unwind;
mod world;

use scold_diff::Expectation;
use scold_diff::expectation::{Open, Refusal};
use scold_diff::model::ErrorClass;
use scold_diff::request::Format;

use crate::Case;
pub(crate) use modules::entry as module_entry;
use resolve::Link;
use site::Sites;
use world::World;

/// What a correct linker's output of `case` has, and what the specs leave open.
pub fn expect(case: &Case) -> Expectation {
    if case.target.format == Format::Macho {
        return macho::expect(case);
    }
    let Some(case) = modules::desugared(case) else { return impossible() };
    let case = &*case;
    let world = World::new(case);
    let entry = world.on.entry.unwrap_or("_start");
    let mut link = Link::resolve(world);
    let bounds = binding::bind(&mut link, case.versions.as_ref());
    if link.world.on.gc {
        live::collect(&mut link, &bounds, entry);
    }
    let findings = std::mem::take(&mut link.findings);
    let mut sites = Sites::new(&link, &bounds, findings);
    sites.walk();
    if !sites.findings.errors.is_empty() {
        let mut classes = std::mem::take(&mut sites.findings.errors);
        classes.extend(sites.findings.may);
        let open = sites.findings.open;
        return Expectation { open, ..Expectation::refused(classes) };
    }
    let choices = sites.finish(case, entry);
    let refusal = match sites.findings.may {
        classes if classes.is_empty() => Refusal::Never,
        classes => Refusal::May(classes),
    };
    Expectation { facts: sites.facts, refusal, choices, open: sites.findings.open }
}

/// A module that can't have what its mode adds: linkers that know no modes link it as it is.
fn impossible() -> Expectation {
    let reason = "a mode's list without a place for it";
    let open = Open { family: None, rest: "*".into(), reason, policy: false };
    let refusal = Refusal::May(vec![ErrorClass::ModeConflict]);
    Expectation { refusal, open: vec![open], ..Expectation::default() }
}

#[cfg(test)]
mod tests;
