//! Divergences and known bugs: a difference in, the entry that explains it out.
//!
//! `divergences.toml` lists what linkers may do differently, each with its reason and source;
//! `corpus/known/` lists bugs that are reported already. Both are compiled in. An entry that nothing
//! matched in a full campaign is stale: [`Rules::unmatched`]. DIVERGENCES.md is made by [`markdown`].

mod field;
mod inputs;
mod sites;
mod symbols;

use std::fmt::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Deserialize;

use crate::adapter::{Adapter, REFERENCE};
use crate::oracle::{Complaint, Mismatch, Relocations};
use crate::{Key, Request, Value};
pub use inputs::Has;
pub use symbols::Symbol;

/// Known bugs, a file per linker.
const KNOWN: &[&str] = &[
    include_str!("../../corpus/known/gnu_ld.toml"),
    include_str!("../../corpus/known/gold.toml"),
    include_str!("../../corpus/known/ld64_lld.toml"),
    include_str!("../../corpus/known/lld.toml"),
    include_str!("../../corpus/known/mold.toml"),
    include_str!("../../corpus/known/wild.toml"),
    include_str!("../../corpus/known/zig.toml"),
];

/// What a divergence does to the comparison.
#[derive(Clone, Copy, PartialEq, Eq, Default, Deserialize, Debug)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// The two values count as equal.
    #[default]
    Equal,
    /// The linker answered another question: its comparison ends, and is counted as poisoned.
    Poison,
}

/// A legitimate divergence.
#[derive(Clone, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Divergence {
    /// A short name.
    pub id: String,
    /// Keys it is about, a glob: `site.*`.
    pub key: String,
    /// Relocation types (psABI names) of sites it is about; all if empty.
    #[serde(default)]
    pub relocations: Vec<String>,
    /// Relocation types of which the request must have one anywhere.
    #[serde(default)]
    pub with: Vec<String>,
    /// What the inputs must have, each.
    #[serde(default)]
    pub has: Vec<Has>,
    /// Values of which the two sides must have two different ones (or both the only one), globs;
    /// `absent` for none. Any if empty.
    #[serde(default)]
    pub values: Vec<String>,
    /// What the values are, in order: this linker's, then the one demanded or the others'; globs. One
    /// of the pairs must match. Any if empty.
    #[serde(default)]
    pub pairs: Vec<[String; 2]>,
    /// A text from which on both values must be the same: ` absolute `.
    #[serde(default)]
    pub same_from: String,
    /// What the symbol of the fact must be.
    #[serde(default)]
    pub symbol: Option<Symbol>,
    /// Linkers that do it, globs over the adapter's family; `*` for any but the reference, which
    /// follows the project's policy.
    pub linkers: Vec<String>,
    /// Their versions, such as `>=14, <20`; all if empty.
    #[serde(default)]
    pub versions: String,
    /// Arguments the request must have, globs, one of each.
    #[serde(default)]
    pub args: Vec<String>,
    /// Modes it is about; all if empty.
    #[serde(default)]
    pub modes: Vec<String>,
    /// What it does to the comparison.
    #[serde(default)]
    pub effect: Effect,
    /// Why both are right.
    pub reason: String,
    /// A spec, an issue, a manual.
    pub source: String,
}

impl Divergence {
    /// Whether it ends the comparison.
    pub fn poisons(&self) -> bool {
        self.effect == Effect::Poison
    }

    /// Whether the two values are one of `pairs`, of two different kinds among `values` (or of the only
    /// one), and have the same tail.
    fn pairs(&self, question: &Question<'_>) -> bool {
        let text = |value: Option<&Value>| value.map_or("absent".into(), ToString::to_string);
        let (found, wanted) = (text(question.found), text(question.wanted));
        let kinds = |text: &str| {
            let all = self.values.iter().enumerate();
            all.filter(|(_, pattern)| glob(pattern, text)).map(|(i, _)| i).collect::<Vec<_>>()
        };
        let tail = |text: &str| text.find(&self.same_from).map(|at| text[at..].to_owned());
        let same = self.same_from.is_empty() || tail(&found) == tail(&wanted);
        let pair = |[one, other]: &[String; 2]| glob(one, &found) && glob(other, &wanted);
        if !same || !(self.pairs.is_empty() || self.pairs.iter().any(pair)) {
            return false;
        }
        let (found, wanted) = (kinds(&found), kinds(&wanted));
        match self.values.len() {
            0 => true,
            1 => !found.is_empty() && !wanted.is_empty(),
            _ => found.iter().any(|kind| wanted.iter().any(|other| other != kind)),
        }
    }

    fn matches(&self, question: &Question<'_>) -> bool {
        let relocation =
            || self.relocations.iter().any(|name| Some(&**name) == question.relocation);
        let mode = || self.modes.iter().any(|mode| mode == question.request.mode.name());
        let arg = |pattern: &String| question.request.args.iter().any(|arg| glob(pattern, arg));
        by(&self.linkers, &self.versions, question.linker)
            && glob(&self.key, &question.key.to_string())
            && (self.relocations.is_empty() || relocation())
            && (self.modes.is_empty() || mode())
            && self.args.iter().all(arg)
            && self.pairs(question)
            && (self.with.is_empty() || question.relocations.have(&self.with))
            && self.has.iter().all(|has| has.describes(question.request))
            && self.symbol.is_none_or(|symbol| symbol.describes(question))
    }
}

/// A bug that is reported already.
#[derive(Clone, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// Adapter families that have it, globs.
    pub linkers: Vec<String>,
    /// Their versions; all if empty.
    #[serde(default)]
    pub versions: String,
    /// Signatures of its findings, globs.
    pub signatures: Vec<String>,
    /// What the linker says, a glob: refusals for different reasons have one signature.
    #[serde(default)]
    pub said: Option<String>,
    /// What the first key is about, a glob: `site.*:.text*`.
    #[serde(default)]
    pub key: Option<String>,
    /// What was found there, a glob.
    #[serde(default)]
    pub found: Option<String>,
    /// What was wanted there, a glob.
    #[serde(default)]
    pub wanted: Option<String>,
    /// Arguments the request must have, globs, one of each.
    #[serde(default)]
    pub args: Vec<String>,
    /// Modes in which it shows; all if empty.
    #[serde(default)]
    pub modes: Vec<String>,
    /// Relocation types of which the request must have one anywhere.
    #[serde(default)]
    pub with: Vec<String>,
    /// What the inputs must have, each.
    #[serde(default)]
    pub has: Vec<Has>,
    /// The instruction that the first key speaks of has bits in its field already.
    #[serde(default)]
    pub field: bool,
    /// The upstream issue, or a row of BUGS.md.
    pub link: String,
}

impl Known {
    /// Whether `complaint`, of this signature, about `request` is this bug.
    fn is(&self, request: &Request, signature: &str, complaint: &Complaint) -> bool {
        let fits = |pattern: &Option<String>, text: &str| {
            pattern.as_ref().is_none_or(|pattern| glob(pattern, text))
        };
        let first = complaint.keys.first();
        let part = |part: fn(&Mismatch) -> &String| first.map_or("", |key| part(key));
        let arg = |pattern: &String| request.args.iter().any(|arg| glob(pattern, arg));
        self.signatures.iter().any(|pattern| glob(pattern, signature))
            && fits(&self.said, &complaint.detail)
            && fits(&self.key, part(|key| &key.key))
            && fits(&self.found, part(|key| &key.found))
            && fits(&self.wanted, part(|key| &key.wanted))
            && self.args.iter().all(arg)
            && (self.modes.is_empty() || self.modes.iter().any(|m| m == request.mode.name()))
            && (self.with.is_empty() || Relocations::of(request).have(&self.with))
            && self.has.iter().all(|has| has.describes(request))
            && (!self.field || first.is_some_and(|first| field::has_bits(request, first)))
    }

    /// Whether it says more than what its findings look like: a signature alone is that of other bugs too.
    pub fn is_narrow(&self) -> bool {
        [&self.said, &self.key, &self.found, &self.wanted].iter().any(|text| text.is_some())
            || [&self.args, &self.with].iter().any(|list| !list.is_empty())
            || !self.has.is_empty()
            || self.field
    }
}

/// One difference that wants an explanation.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// The link.
    pub request: &'a Request,
    /// Whose output has `found`.
    pub linker: &'a dyn Adapter,
    /// The fact.
    pub key: &'a Key,
    /// The relocation's type, if the fact is a site.
    pub relocation: Option<&'a str>,
    /// All relocations of the request.
    pub relocations: &'a Relocations,
    /// The value of this linker.
    pub found: Option<&'a Value>,
    /// The value of the others, or what is demanded.
    pub wanted: Option<&'a Value>,
}

/// Everything that explains differences, and how often each entry did.
#[derive(Debug, Default)]
pub struct Rules {
    /// Legitimate divergences, the first that matches counts.
    pub divergences: Vec<Divergence>,
    /// Known bugs.
    pub known: Vec<Known>,
    matched: Vec<AtomicU64>,
    seen: Vec<AtomicU64>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    divergence: Vec<Divergence>,
    #[serde(default)]
    known: Vec<Known>,
}

impl Rules {
    /// The project's own, compiled in.
    pub fn standard() -> &'static Self {
        static RULES: OnceLock<Rules> = OnceLock::new();
        RULES.get_or_init(|| {
            let mut texts = vec![include_str!("../../divergences.toml")];
            texts.extend(KNOWN);
            Self::parse(&texts).expect("the rules are compiled in, and a test reads them")
        })
    }

    /// Reads TOML texts with `[[divergence]]` and `[[known]]` entries.
    ///
    /// Errors: malformed text, unknown or missing fields, a version range nobody can read.
    pub fn parse(texts: &[&str]) -> Result<Self, String> {
        let mut rules = Self::default();
        for text in texts {
            let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
            rules.divergences.extend(file.divergence);
            rules.known.extend(file.known);
        }
        let ranges = rules.divergences.iter().map(|entry| &entry.versions);
        for range in ranges.chain(rules.known.iter().map(|entry| &entry.versions)) {
            bounds(range).ok_or_else(|| format!("`{range}` is no range of versions"))?;
        }
        rules.matched.resize_with(rules.divergences.len(), AtomicU64::default);
        rules.seen.resize_with(rules.known.len(), AtomicU64::default);
        Ok(rules)
    }

    /// The divergence that explains a difference; counts it.
    pub fn explain(&self, question: &Question<'_>) -> Option<&Divergence> {
        let at = self.divergences.iter().position(|entry| entry.matches(question))?;
        self.matched[at].fetch_add(1, Ordering::Relaxed);
        Some(&self.divergences[at])
    }

    /// The known bug of `linker` that a complaint of this signature about `request` is; counts it.
    pub fn known(
        &self,
        request: &Request,
        linker: Option<&dyn Adapter>,
        signature: &str,
        complaint: &Complaint,
    ) -> Option<&Known> {
        let linker = linker?;
        let find = |signature: &str| {
            self.known.iter().position(|bug| {
                by(&bug.linkers, &bug.versions, linker) && bug.is(request, signature, complaint)
            })
        };
        let told = || {
            let types = sites::told(request, signature, complaint);
            let found: Option<Vec<usize>> =
                types.iter().map(|names| names.iter().find_map(|name| find(name))).collect();
            found?.first().copied()
        };
        let at = find(signature).or_else(told)?;
        self.seen[at].fetch_add(1, Ordering::Relaxed);
        Some(&self.known[at])
    }

    /// Divergences that have matched nothing so far: after a full campaign they are stale.
    pub fn unmatched(&self) -> Vec<&Divergence> {
        let counts = self.divergences.iter().zip(&self.matched);
        counts.filter(|(_, n)| n.load(Ordering::Relaxed) == 0).map(|(entry, _)| entry).collect()
    }

    /// How often each known bug was seen: link and count.
    pub fn sightings(&self) -> Vec<(&Known, u64)> {
        let counts = self.known.iter().zip(&self.seen);
        counts.map(|(bug, n)| (bug, n.load(Ordering::Relaxed))).filter(|(_, n)| *n > 0).collect()
    }
}

/// Whether an entry with these linkers and versions is about `linker`.
fn by(linkers: &[String], versions: &str, linker: &dyn Adapter) -> bool {
    let family = linker.family();
    let named =
        |pattern: &String| glob(pattern, family) && (family != REFERENCE || pattern == family);
    linkers.iter().any(named) && in_range(versions, linker)
}

fn in_range(versions: &str, linker: &dyn Adapter) -> bool {
    let release = linker.release();
    bounds(versions).is_some_and(|bounds| {
        bounds.iter().all(|(relation, bound)| match *relation {
            ">=" => release >= *bound,
            "<=" => release <= *bound || release.starts_with(bound),
            "<" => release < *bound,
            ">" => release > *bound && !release.starts_with(bound),
            _ => release.starts_with(bound),
        })
    })
}

/// `>=14, <20` as relations and versions.
fn bounds(versions: &str) -> Option<Vec<(&str, Vec<u32>)>> {
    let parts = versions.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let split = part.find(|c: char| c.is_ascii_digit())?;
            let (relation, number) = part.split_at(split);
            let numbers: Result<Vec<u32>, _> = number.split('.').map(str::parse).collect();
            let known = [">=", "<=", "<", ">", "="].contains(&relation.trim());
            known.then_some(())?;
            Some((relation.trim(), numbers.ok()?))
        })
        .collect()
}

/// Whether `text` is what `pattern` describes, `*` standing for anything.
pub fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let Some(last) = pattern.contains('*').then(|| parts.next_back()).flatten() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// DIVERGENCES.md.
pub fn markdown(rules: &Rules) -> String {
    let mut text = String::from(
        "# Divergences\n\n\
         What linkers do differently without being wrong. Made from `divergences.toml`; don't edit\n\
         (`BLESS=1 cargo test -p scold-diff divergence` writes it).\n\n\
         What never shows in Facts — addresses, order, padding, PLT shape, hash style, the packing of\n\
         dynamic relocations — needs no entry.\n",
    );
    for entry in &rules.divergences {
        let versions = if entry.versions.is_empty() { "all" } else { &entry.versions };
        let effect = match entry.effect {
            Effect::Equal => "the values count as equal",
            Effect::Poison => "the comparison ends",
        };
        let _ = write!(
            text,
            "\n## {}\n\n{}\n\n- keys: `{}`\n- linkers: {}; versions: {versions}\n- effect: {effect}\n- source: {}\n",
            entry.id,
            entry.reason,
            entry.key,
            entry.linkers.join(", "),
            entry.source,
        );
        for [found, wanted] in &entry.pairs {
            let _ = writeln!(text, "- value: `{found}` for `{wanted}`");
        }
        if let Some(symbol) = entry.symbol {
            let _ = writeln!(text, "- symbol: {}", symbol.name());
        }
        if !entry.values.is_empty() {
            let values: Vec<String> = entry.values.iter().map(|v| format!("`{v}`")).collect();
            let _ = writeln!(text, "- values: {}", values.join(" ~ "));
        }
    }
    text
}

#[cfg(test)]
mod tests;
