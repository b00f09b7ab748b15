//! Engines → sources of cases.

use scold_diff::Target;

use super::{Engine, Source};

/// The sources of `engines` for `target`; `seed` is the random one's.
pub fn sources(engines: &[Engine], target: Target, seed: u64) -> Vec<Source> {
    let _ = (engines, target, seed);
    Vec::new()
}
