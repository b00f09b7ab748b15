//! The invariants oracle: what no spec allows in one output, whatever the others do.
//!
//! It reads the image with its own walk, never with the model's, so that the two can't share a
//! mistake. One check is one function of a file beside this one; [`flaws`] runs them all.

mod dynamic;
mod exidx;
mod hash;
mod header;
mod image;
pub(super) mod inputs;
mod macho;
mod relocations;
mod sections;
mod segments;
mod unwind;

use super::{Cost, Evidence, Mismatch, Oracle, Ruling};
use crate::{Format, Request};
use image::Image;

/// The invariants.
pub(super) struct Invariants;

impl Oracle for Invariants {
    fn name(&self) -> &'static str {
        "invariants"
    }

    fn cost(&self) -> Cost {
        Cost::Bytes
    }

    fn judge(&self, evidence: &Evidence<'_>, ruling: &mut Ruling) {
        // A relocatable output has none of what is looked at here.
        if evidence.request.args.iter().any(|arg| arg == "-r" || arg == "--relocatable") {
            return;
        }
        for trial in evidence.trials {
            let Some(image) = trial.outcome.image() else { continue };
            for flaw in flaws(evidence.request, image) {
                let Flaw { shape, at, found, wanted } = flaw;
                let mismatch = Mismatch { key: at, found, wanted };
                ruling.complain(self.name(), trial.linker.name(), shape, mismatch, "");
            }
        }
    }
}

/// One thing that no correct output has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Flaw {
    /// What kind of flaw, in words without names and numbers.
    pub shape: &'static str,
    /// Where: a section, segment or table entry.
    pub at: String,
    /// What is there.
    pub found: String,
    /// What should be.
    pub wanted: String,
}

/// Collects flaws; many of one kind are one flaw for people.
#[derive(Default)]
struct Flaws(Vec<Flaw>);

/// How many flaws of one shape are kept.
const SAME: usize = 4;

impl Flaws {
    fn add(&mut self, shape: &'static str, at: impl ToString, found: impl ToString, wanted: &str) {
        if self.0.iter().filter(|flaw| flaw.shape == shape).count() < SAME {
            let (at, found) = (at.to_string(), found.to_string());
            self.0.push(Flaw { shape, at, found, wanted: wanted.into() });
        }
    }

    /// Adds a flaw with a hexadecimal number unless `good`.
    fn check(
        &mut self,
        good: bool,
        shape: &'static str,
        at: impl ToString,
        number: u64,
        wanted: &str,
    ) {
        if !good {
            self.add(shape, at, format!("{number:#x}"), wanted);
        }
    }
}

/// Every flaw of `image`, the output of `request`. Never panics on any bytes.
pub fn flaws(request: &Request, image: &[u8]) -> Vec<Flaw> {
    let mut flaws = Flaws::default();
    if request.target.format == Format::Macho {
        macho::check(request, image, &mut flaws);
        return flaws.0;
    }
    let Some(image) = Image::parse(image) else {
        flaws.add("not an ELF image", "header", "unreadable", "a readable image");
        return flaws.0;
    };
    header::check(request, &image, &mut flaws);
    segments::check(request, &image, &mut flaws);
    sections::check(&image, &mut flaws);
    dynamic::check(request, &image, &mut flaws);
    relocations::check(request, &image, &mut flaws);
    hash::check(&image, &mut flaws);
    unwind::check(&image, &mut flaws);
    exidx::check(&image, &mut flaws);
    inputs::check(request, &image, &mut flaws);
    flaws.0
}
