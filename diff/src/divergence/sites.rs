//! What the loader sees at a relocation's place → how the expectation would have told of it, had it known what is wanted
//! there: a known bug is the same bug. It must not know which bugs there are.

use std::collections::BTreeSet;

use crate::oracle::{Complaint, Relocations};
use crate::{Family, Key, Request};

/// What an expectation may want at a place, as signatures name it.
const WANTED: &[&str] = &[
    "place",
    "dynamic",
    "ifunc",
    "absolute",
    "null",
    "merged",
    "linker",
    "got-base",
    "tls place",
    "tls dynamic",
    "tls-module",
];

/// For each type of relocation that `complaint` is about, the signatures that tell the same of it; nothing if it is none
/// of the loader's about places.
pub(super) fn told(request: &Request, signature: &str, complaint: &Complaint) -> Vec<Vec<String>> {
    let bad = signature.strip_prefix("loader/site bad ");
    let Some((bad, whose)) = bad.and_then(|rest| {
        // The linker, the target.
        let (rest, target) = rest.rsplit_once('/')?;
        let (bad, linker) = rest.rsplit_once('/')?;
        Some((bad, format!("{linker}/{target}")))
    }) else {
        return Vec::new();
    };
    let relocations = Relocations::of(request);
    let rest = |key: &str| key.strip_prefix("site.").map(Box::from);
    let keys = complaint.keys.iter().filter_map(|it| rest(&it.key));
    let types = keys.map(|rest| relocations.at(&Key { family: Family::Site, rest }));
    let Some(types) = types.collect::<Option<BTreeSet<String>>>() else { return Vec::new() };
    let all = |name: &String| {
        let each =
            WANTED.iter().map(|kind| format!("expected/site {name} bad({bad}) for {kind}/{whose}"));
        each.collect()
    };
    types.iter().map(all).collect()
}
