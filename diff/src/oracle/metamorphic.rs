//! The metamorphic oracle: relations that hold for one linker alone.
//!
//! A [`Relation`] turns a request into another whose output must have the same Facts. Those that a request can express
//! are here; those that need the case (a section split in two, local symbols renamed, dead code) are variants that the
//! caller makes: see [`compare`]. All linkers being wrong together is no help here.
//!
//! What a build mode adds to a request is no part of it: relations change what people gave, and the mode adds to that
//! again, at the head and at the tail where it has to be.

mod bsd;

use std::time::Duration;

use object::{Object as _, ObjectSymbol as _};

use super::{Cost, Evidence, Mismatch, Oracle, Ruling, Trial, shape};
use crate::adapter::{Outcome, Shared};
use crate::model::macho;
use crate::{File, Format, Request, Value, desugar};

/// The relations.
pub(super) struct Metamorphic;

/// One relation: a name, and the request that must give the same Facts.
pub struct Relation {
    /// `order`, `archive`, `partial`; part of the shape.
    pub name: &'static str,
    /// The other request; none if the relation does not apply. Links that it needs are the linker's:
    /// what came of one that made no output is the error.
    pub apply: fn(&Request, &Shared, Duration) -> Option<Result<Request, Outcome>>,
}

/// Every relation that a request can express, one row each.
pub static RELATIONS: &[Relation] = &[
    Relation { name: "order", apply: |request, _, _| reordered(request).map(Ok) },
    Relation { name: "archive", apply: |request, _, _| wrapped(request).map(Ok) },
    Relation { name: "partial", apply: partial },
];

impl Oracle for Metamorphic {
    fn name(&self) -> &'static str {
        "metamorphic"
    }

    fn cost(&self) -> Cost {
        Cost::Links
    }

    fn judge(&self, evidence: &Evidence<'_>, ruling: &mut Ruling) {
        let given = desugar::sugared(evidence.request);
        let given = given.as_ref().unwrap_or(evidence.request);
        for trial in evidence.trials.iter().filter(|trial| trial.outcome.image().is_some()) {
            for relation in RELATIONS {
                let Some(variant) = (relation.apply)(given, &trial.linker, evidence.limit) else {
                    continue;
                };
                let outcome = match variant {
                    Ok(variant) => trial.linker.link(&desugar::desugar(variant), evidence.limit),
                    Err(outcome) => outcome,
                };
                // Markers and names stay: the output is read as the original's.
                let other = Trial::of(&trial.linker, evidence.request, outcome);
                compare(evidence, trial, &other, relation.name, ruling);
            }
        }
    }
}

/// Complains where the variant's Facts are not those of `trial`.
///
/// The seam for relations on cases (a section split, locals renamed, dead code added): make the
/// variant's request, link it, give the Facts the original's names, and call this.
pub fn compare(
    evidence: &Evidence<'_>,
    trial: &Trial,
    other: &Trial,
    name: &str,
    ruling: &mut Ruling,
) {
    let linker = trial.linker.name();
    let failed = match &other.outcome {
        Outcome::Linked(_) => None,
        Outcome::Unsupported(_) => return,
        Outcome::Refused(class, text) => Some((class.code(), text.clone())),
        Outcome::Crashed(text) => Some(("crash", text.clone())),
        Outcome::Hung => Some(("hang", String::new())),
    };
    if let Some((what, text)) = failed {
        let mismatch =
            Mismatch { key: "outcome".into(), found: what.into(), wanted: "linked".into() };
        ruling.complain("metamorphic", linker, &format!("{name}: {what}"), mismatch, &text);
        return;
    }
    for difference in trial.facts.differences(&other.facts) {
        let text = |value: Option<&Value>| value.map_or("absent".into(), ToString::to_string);
        let mismatch = Mismatch {
            key: difference.key.to_string(),
            found: text(difference.right),
            wanted: text(difference.left),
        };
        let relocations =
            ruling.relocations.get_or_insert_with(|| shape::Relocations::of(evidence.request));
        let relocation = relocations.at(difference.key);
        let change =
            shape(relocation.as_deref(), difference.key, difference.right, difference.left);
        ruling.complain("metamorphic", linker, &format!("{name}: {change}"), mismatch, "");
    }
}

/// Positions in `args` of inputs that are plain objects; none if some are an archive's in all but name.
fn objects(request: &Request) -> Vec<usize> {
    if request.args.iter().any(|arg| arg.ends_with("-start-lib")) {
        return Vec::new();
    }
    let is = |arg: &String| {
        request.file(arg).is_some_and(|file| match request.target.format {
            Format::Elf => file.bytes.starts_with(b"\x7fELF") && file.bytes.get(16) == Some(&1),
            Format::Macho => macho::file_kind(&file.bytes) == Some(macho::image::OBJECT),
        })
    };
    request.args.iter().enumerate().filter(|(_, arg)| is(arg)).map(|(i, _)| i).collect()
}

/// Whether two files depend on their order: both define a name that a first one wins (weak or common
/// definitions, COMDAT groups), or both have init entries.
fn independent(request: &Request) -> bool {
    let mut seen = std::collections::HashSet::new();
    let mut inits = 0;
    for file in &request.files {
        let Ok(elf) = object::File::parse(&*file.bytes) else { continue };
        let init =
            |name: &str| ["init", "fini", "tors", "_term_"].iter().any(|part| name.contains(part));
        inits += usize::from(
            object::Object::sections(&elf)
                .any(|section| object::ObjectSection::name(&section).is_ok_and(init)),
        );
        for symbol in elf.symbols() {
            let defined = symbol.is_definition() || symbol.is_common();
            if symbol.is_global()
                && defined
                && !seen.insert(symbol.name_bytes().unwrap_or_default().to_vec())
            {
                return false;
            }
        }
        if elf.comdats().next().is_some() {
            return false;
        }
    }
    inits < 2
}

/// The objects in the opposite order.
fn reordered(request: &Request) -> Option<Request> {
    let at = objects(request);
    (at.len() > 1 && independent(request)).then_some(())?;
    let mut other = request.clone();
    for (from, to) in at.iter().zip(at.iter().rev()) {
        other.args[*to].clone_from(&request.args[*from]);
    }
    Some(other)
}

/// The last object as the only member of a whole archive.
fn wrapped(request: &Request) -> Option<Request> {
    let at = *objects(request).last()?;
    let file = request.file(&request.args[at])?;
    if request.target.format == Format::Macho {
        return force_loaded(request, at, file);
    }
    let mut other = request.clone();
    let name = "wrap.a".to_owned();
    other.files.push(File { name: name.clone(), bytes: archive(file).into() });
    let whole = ["--whole-archive".to_owned(), name.clone(), "--no-whole-archive".to_owned()];
    // Inside of another --whole-archive the pair would end it too early.
    let state = request.args.iter().any(|arg| arg.contains("whole-archive"));
    (!state).then_some(())?;
    other.args.splice(at..=at, whole);
    Some(other)
}

/// The same as ld64 says it. Which of equal definitions wins may depend on where the file comes from.
fn force_loaded(request: &Request, at: usize, file: &File) -> Option<Request> {
    independent(request).then_some(())?;
    let mut other = request.clone();
    let name = "wrap.a".to_owned();
    let bytes = bsd::archive(&file.name, &file.bytes, &global_names(file));
    other.files.push(File { name: name.clone(), bytes: bytes.into() });
    other.args.splice(at..=at, ["-force_load".to_owned(), name]);
    Some(other)
}

/// A GNU archive with one member and no index (whole archives need none, but linkers ask for one:
/// an index without names is one).
fn archive(file: &File) -> Vec<u8> {
    let mut out = b"!<arch>\n".to_vec();
    let names = global_names(file);
    let index_len = 4 + names.len() * 4 + names.iter().map(|name| name.len() + 1).sum::<usize>();
    let long = format!("{}/\n", file.name);
    let long_len = long.len() + long.len() % 2;
    let member_at = 8 + 60 + index_len + index_len % 2 + 60 + long_len;
    header(&mut out, "/", index_len);
    out.extend((names.len() as u32).to_be_bytes());
    for _ in &names {
        out.extend((member_at as u32).to_be_bytes());
    }
    for name in &names {
        out.extend(name);
        out.push(0);
    }
    if !out.len().is_multiple_of(2) {
        out.push(b'\n');
    }
    header(&mut out, "//", long_len);
    out.extend(long.as_bytes());
    if !out.len().is_multiple_of(2) {
        out.push(b'\n');
    }
    header(&mut out, "/0", file.bytes.len());
    out.extend(&*file.bytes);
    if !out.len().is_multiple_of(2) {
        out.push(b'\n');
    }
    out
}

fn header(out: &mut Vec<u8>, name: &str, size: usize) {
    let text = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 644);
    out.extend(text.as_bytes());
}

fn global_names(file: &File) -> Vec<Vec<u8>> {
    let Ok(elf) = object::File::parse(&*file.bytes) else { return Vec::new() };
    let global = elf.symbols().filter(|symbol| symbol.is_global() && symbol.is_definition());
    global.filter_map(|symbol| Some(symbol.name_bytes().ok()?.to_vec())).collect()
}

/// All objects joined by `-r` first.
fn partial(
    request: &Request,
    linker: &Shared,
    limit: Duration,
) -> Option<Result<Request, Outcome>> {
    // Few of Mach-O's linkers have it, and it ends with atoms that others cut elsewhere.
    (request.target.format == Format::Elf).then_some(())?;
    let at = objects(request);
    let first = *at.first()?;
    // Options about symbols act twice, and what stands in between loses its place.
    let plain = |(i, arg): (usize, &String)| at.contains(&i) || arg.starts_with("-z");
    (request.args.iter().enumerate().all(plain) && independent(request)).then_some(())?;
    // A mode that makes words of zeros makes them of all zeros that are joined.
    let added = desugar::desugar(request.clone());
    let same = |file: &File| added.file(&file.name).is_some_and(|it| it.bytes == file.bytes);
    request.files.iter().all(same).then_some(())?;
    let mut join = request.clone();
    join.args = at.iter().map(|i| request.args[*i].clone()).collect();
    let bytes = match linker.join(&join, limit)? {
        Outcome::Linked(bytes) => bytes,
        failed => return Some(Err(failed)),
    };
    let mut other = request.clone();
    other.args[first] = "joined.o".into();
    let mut position = 0;
    other.args.retain(|_| {
        position += 1;
        position - 1 == first || !at.contains(&(position - 1))
    });
    other.files.push(File { name: "joined.o".into(), bytes: bytes.into() });
    Some(Ok(other))
}

#[cfg(test)]
mod tests;
