//! ELF modules → Facts.

use crate::{Facts, Request};

/// Reads the output of `request` as a loader would.
///
/// Never panics on any bytes: what can't be read becomes a `Bad` meaning or a missing fact.
pub fn facts(request: &Request, output: &[u8]) -> Facts {
    let _ = (request, output);
    Facts::default()
}

/// The bytes around a relocation's place that a linker may rewrite: (before, after) in bytes, where
/// `after` counts from the place and includes the field.
///
/// Spec: x86-64 psABI §4.4 and appendix B (optional relaxations).
pub fn mask(r_type: u32) -> (u64, u64) {
    let _ = r_type;
    (0, 8)
}
