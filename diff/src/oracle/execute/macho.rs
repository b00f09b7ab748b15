//! Mach-O images are loaded by the project's own loader: natively for amd64, under qemu's user emulation
//! for arm64.
//!
//! The libraries of the request come first, the image last. Every slot that dyld mends is read back and
//! held against what the model's tables say, every export against the trie, and what probes
//! (`_scold.probe.N`) return is put to the vote.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use super::host::Host;
use super::values::Answer;
use super::{MOST, number, values};
use crate::Request;
use crate::model::macho::fixups::{FLAT, Fixup, Fixups, WEAK};
use crate::model::macho::image::{DYLIB, File};
use crate::model::macho::trie::{self, ABSOLUTE, Export, REEXPORT};
use crate::model::macho::{Map, file_kind};
use crate::oracle::shape::words;
use crate::oracle::{Mismatch, Ruling, Trial};
use crate::run::{End, Run};

/// What is known of an image before it runs.
pub(super) struct Image<'a> {
    file: File<'a>,
    fixups: Fixups,
    exports: Vec<(String, Export)>,
}

/// What a line of the script is about.
enum About {
    /// A mended slot: its address, and how often the lines behind it say what is looked up.
    Slot(u64, usize),
    /// What is looked up for the slot before.
    Wanted,
    /// An export, by number.
    Own(usize),
    /// An import, by its name: where everybody finds it.
    Probe(String),
}

impl<'a> Image<'a> {
    /// Reads `bytes`; none of what no loader takes.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let file = File::read(bytes).ok()?;
        let fixups = Fixups::read(&file);
        let blob = file.trie.or(file.info.map(|info| info.export));
        let exports = blob.map_or(Some(Vec::new()), |blob| trie::entries(file.blob(blob)?))?;
        fixups.broken.is_none().then_some(Self { file, fixups, exports })
    }

    /// Lines and what each is about.
    fn script(&self) -> Vec<(String, About)> {
        let mut list = Vec::new();
        for (address, fixup) in self.fixups.map.iter().take(MOST) {
            let lines = lookups(fixup);
            if lines.iter().any(|line| line.split(' ').count() != 4) {
                continue;
            }
            list.push((format!("slot {address:#x}"), About::Slot(*address, lines.len())));
            list.extend(lines.into_iter().map(|line| (line, About::Wanted)));
        }
        let plain = |name: &str| !name.is_empty() && !name.contains(char::is_whitespace);
        for (i, (name, export)) in self.exports.iter().enumerate().take(MOST) {
            if plain(name) && export.flags & REEXPORT == 0 {
                list.push((format!("own {name}"), About::Own(i)));
            }
        }
        let mut probes: Vec<&str> = self.exports.iter().map(|(name, _)| name.as_str()).collect();
        probes.retain(|name| name.starts_with("_scold.probe.") && plain(name));
        probes.sort_unstable();
        list.extend(probes.into_iter().map(|p| (format!("call {p}"), About::Probe(p.into()))));
        list
    }
}

/// What the loader is asked to find for a slot: the coalesced name first, for it wins if there is one.
fn lookups(fixup: &Fixup) -> Vec<String> {
    let coalesced = fixup.coalesce.as_ref().map(|(name, _)| format!("find {name} {WEAK} 1"));
    let bound = fixup
        .bind
        .as_ref()
        .map(|bind| format!("find {} {} {}", bind.name, bind.ordinal, u8::from(bind.weak)));
    coalesced.into_iter().chain(bound).collect()
}

/// Writes the image, its libraries and the script, and has them loaded.
pub(super) fn play(
    host: &Host,
    request: &Request,
    image: &[u8],
    script: &str,
    limit: Duration,
) -> io::Result<Run> {
    let libraries = request.files.iter().filter(|file| file_kind(&file.bytes) == Some(DYLIB));
    let mut names: Vec<String> = libraries.map(|file| format!("./{}", file.name)).collect();
    names.push("./scold.module".into());
    host.load(request, image, script, &names, limit)
}

/// One image's run.
pub(super) struct Session<'s, 'r> {
    pub(super) request: &'s Request,
    pub(super) trial: &'s Trial,
    pub(super) image: &'s Image<'s>,
    pub(super) ruling: &'r mut Ruling,
}

impl Session<'_, '_> {
    /// Has the image loaded; gives what its probes returned.
    pub(super) fn run(
        &mut self,
        host: &Host,
        bytes: &[u8],
        limit: Duration,
    ) -> Vec<(String, Answer)> {
        let script = self.image.script();
        let text: String = script.iter().map(|(line, _)| format!("{line}\n")).collect();
        match play(host, self.request, bytes, &text, limit) {
            Ok(run) => self.judge(&script, &run),
            Err(error) => {
                let why = format!("execute: an image could not be run: {error}");
                self.ruling.skipped.push(why);
                Vec::new()
            }
        }
    }

    fn complain(&mut self, shape: &str, key: String, found: String, wanted: String) {
        let mismatch = Mismatch { key, found, wanted };
        self.ruling.complain("execute", self.trial.linker.name(), shape, mismatch, "");
    }

    fn judge(&mut self, script: &[(String, About)], run: &Run) -> Vec<(String, Answer)> {
        let out = run.out();
        let lines: Vec<&str> = out.lines().collect();
        let base = lines.first().and_then(|line| line.strip_prefix("open ")).and_then(number);
        let Some(base) = base else {
            self.not_opened(run);
            return Vec::new();
        };
        let lines = &lines[1..];
        let slide = base.wrapping_sub(self.image.file.base());
        let (mut names, mut probes) = (BTreeMap::new(), Vec::new());
        let map = Map::new(self.request, &self.image.file);
        for (i, ((_, about), line)) in script.iter().zip(lines).enumerate() {
            match about {
                About::Slot(address, count) => {
                    let found: Vec<Option<u64>> =
                        lines.iter().skip(i + 1).take(*count).map(|line| number(line)).collect();
                    self.slot(*address, slide, line, &found);
                    let fixup = self.image.fixups.at(*address);
                    let bind = fixup.and_then(|fixup| fixup.bind.as_ref());
                    if let (Some(bind), Some(Some(at))) = (bind, found.last()) {
                        names.insert(*at, bind.name.clone());
                    }
                }
                About::Own(i) => self.own(*i, base, line),
                About::Probe(name) => {
                    let at = |address| map.as_ref().and_then(|map| map.at(address));
                    probes.push((name.clone(), value(line, slide, &names, at)));
                }
                About::Wanted => {}
            }
        }
        self.ended(script, lines, run);
        probes
    }

    /// What the slot holds, by `line`; `found` is what was looked up for it.
    fn slot(&mut self, address: u64, slide: u64, line: &str, found: &[Option<u64>]) {
        let Some(fixup) = self.image.fixups.at(address) else { return };
        let mut wanted = fixup.rebase.map(|target| target.wrapping_add(slide));
        if let (Some(bind), Some(Some(at))) = (&fixup.bind, found.last()) {
            wanted = Some(if *at == 0 { 0 } else { at.wrapping_add(bind.addend as u64) });
        }
        let first = found.first().copied().flatten().filter(|at| *at != 0);
        if let (Some((_, addend)), Some(at)) = (&fixup.coalesce, first) {
            wanted = Some(at.wrapping_add(*addend as u64));
        }
        let (Some(wanted), Some(found)) = (wanted, number(line)) else { return };
        // The loader puts a variable's place there, where dyld puts a key.
        if wanted != found {
            let key = format!("slot {address:#x}");
            let kind = if fixup.bind.is_some() { "bound" } else { "rebased" };
            let shape = format!("{kind} slot holds something else");
            self.complain(&shape, key, format!("{found:#x}"), format!("{wanted:#x}"));
        }
    }

    fn own(&mut self, index: usize, base: u64, line: &str) {
        let (name, export) = &self.image.exports[index];
        let moved = if export.kind() == ABSOLUTE { 0 } else { base };
        let wanted = moved.wrapping_add(export.value);
        // Absolute zero is what the loader says of what it does not find.
        if number(line) != Some(wanted) && wanted != 0 {
            let (key, found) = (format!("export {name}"), line.to_owned());
            self.complain("export found elsewhere", key, found, format!("{wanted:#x}"));
        }
    }

    /// The loader refused, or died before the first answer.
    fn not_opened(&mut self, run: &Run) {
        let (shape, found) = match run.end {
            End::Signal(signal) if self.lacks() && signal == 6 => return,
            End::Signal(signal) => ("crash in open".to_owned(), format!("signal {signal}")),
            End::Timeout => ("hang when loaded".to_owned(), "hang".to_owned()),
            End::Exit(_) => {
                let said = run.err();
                let said = said.trim().trim_start_matches("macho_loader: ");
                (format!("does not load: {}", words(said)), said.to_owned())
            }
        };
        self.complain(&shape, "open".into(), found, "open".into());
    }

    /// Whether it binds what nobody here may provide: calling it is a trap or a null.
    fn lacks(&self) -> bool {
        let mut binds = self.image.fixups.map.values().filter_map(|fixup| fixup.bind.as_ref());
        binds.any(|bind| bind.weak || bind.ordinal > 0 || bind.ordinal == FLAT)
    }

    fn ended(&mut self, script: &[(String, About)], lines: &[&str], run: &Run) {
        let last = script.get(lines.len()).map_or("end", |(line, _)| line);
        let kind = last.split(' ').next().unwrap_or_default().to_owned();
        let (shape, found) = match run.end {
            End::Exit(0) if lines.last() == Some(&"end") => return,
            // A probe may call what nobody provides.
            End::Signal(6 | 11 | 4 | 5) if kind == "call" && self.lacks() => return,
            End::Signal(signal) => (format!("crash in {kind}"), format!("signal {signal}")),
            End::Timeout => (format!("hang in {kind}"), "hang".to_owned()),
            End::Exit(code) => (format!("exits in {kind}"), format!("exit {code}: {}", run.err())),
        };
        self.complain(&shape, last.to_owned(), found, "an answer".into());
    }
}

/// What a probe returned, in words that don't depend on where things were loaded.
fn value(
    line: &str,
    slide: u64,
    names: &BTreeMap<u64, String>,
    place: impl Fn(u64) -> Option<String>,
) -> Answer {
    let mut words = line.split(' ');
    let value = words.next().and_then(number);
    let (object, offset, bytes) = (words.next(), words.next(), words.next());
    let Some(value) = value else { return Answer::from(["no such probe".into()]) };
    let mut answer = Answer::new();
    if object == Some("*") {
        let place = place(value.wrapping_sub(slide));
        answer.extend(place.map(|place| format!("place {place}")));
    }
    let name = names.get(&value).filter(|_| value > 0xffff);
    answer.extend(name.map(|name| format!("symbol {name}")));
    if answer.is_empty() {
        answer.insert(match (object, bytes) {
            (Some("*"), Some(bytes)) => format!("memory {}", values::own(bytes)),
            (Some("-"), Some("-")) => format!("number {value:#x}"),
            (Some("-"), Some(bytes)) => format!("memory {}", values::own(bytes)),
            (Some(object), _) => format!("library {object}+{}", offset.unwrap_or_default()),
            (None, _) => "nothing".into(),
        });
    }
    answer
}
