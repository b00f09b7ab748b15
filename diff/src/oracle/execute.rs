//! The execute oracle: the platform's own dynamic linker loads the module, and a small host tells
//! what it saw.
//!
//! Libraries are opened with dlopen in a child with limits; executables get a preloaded hook that
//! looks and leaves before they start. Every relocated slot is held against what the abstract loader
//! says, every export against its symbol, and what the module's probes (`scold.probe.N`, no argument,
//! a u64) return is put to the vote. What does not run here natively runs under qemu's user emulation with
//! the target's own libc; `platform` has the rows.

mod host;
mod macho;
mod platform;
mod values;
pub mod world;

use std::collections::BTreeMap;

use super::{Cost, Evidence, Mismatch, Oracle, Ruling, Trial, shape::words};
use crate::loader::{Cell, Content, Kind, Module, Symbol};
use crate::run::{End, Run};
use crate::{Family, Format, Request};
use host::Host;
use platform::Platform;
use values::{Answer, Values};

/// The platform's loader.
pub(super) struct Execute;

impl Oracle for Execute {
    fn name(&self) -> &'static str {
        "execute"
    }

    fn cost(&self) -> Cost {
        Cost::Runs
    }

    fn judge(&self, evidence: &Evidence<'_>, ruling: &mut Ruling) {
        let Some(platform) = Platform::of(evidence.request.target) else { return };
        let host = match Host::get(platform) {
            Ok(host) => host,
            Err(why) => {
                let target = platform.target;
                ruling.skipped.push(format!("execute: no program loads {target} modules: {why}"));
                return;
            }
        };
        let mut probes: BTreeMap<String, Vec<(&Trial, Answer)>> = BTreeMap::new();
        for trial in evidence.trials {
            let Some(image) = trial.outcome.image() else { continue };
            if platform.target.format == Format::Macho {
                let Some(read) = macho::Image::read(image) else { continue };
                let request = evidence.request;
                let mut session = macho::Session { request, trial, image: &read, ruling };
                for (probe, value) in session.run(host, image, evidence.limit) {
                    probes.entry(probe).or_default().push((trial, value));
                }
                continue;
            }
            let Ok(module) = Module::load(image) else { continue };
            let Some(script) = Script::of(evidence.request, &module) else { continue };
            let played = host.play(evidence.request, image, &script.text(), evidence.limit);
            let run = match played {
                Ok(run) => run,
                Err(error) => {
                    ruling.skipped.push(format!("execute: a module could not be run: {error}"));
                    continue;
                }
            };
            let mut session = Session { trial, module: &module, cells: module.memory(), ruling };
            for (probe, value) in session.judge(evidence.request, &script, &run, image) {
                probes.entry(probe).or_default().push((trial, value));
            }
        }
        for (probe, mut answers) in probes {
            // Who answered another question, or is known to be wrong, has no vote.
            answers.retain(|(trial, _)| {
                let name = trial.linker.name();
                let poisoned = ruling.poisoned.iter().any(|(linker, _)| linker == name);
                // What a place refers to may be what a probe reads.
                let reads =
                    |family| matches!(family, Family::Site | Family::Bytes | Family::Lookup);
                let open = ruling.open.iter().any(|(l, key, _)| l == name && reads(key.family));
                let compared = |oracle| matches!(oracle, "expected" | "agree" | "loader");
                !poisoned
                    && !open
                    && !ruling.complaints.iter().any(|c| c.linker == name && compared(c.oracle))
            });
            vote(&probe, &answers, ruling);
        }
    }
}

/// Commands and what each is about.
struct Script(Vec<(String, About)>);

enum About {
    Open,
    /// `Module::memory()[i]`'s bytes.
    Slot(usize),
    /// What the slot before should hold.
    Wanted,
    /// `symbols[i]` as the module gives it.
    Own(usize),
    /// `symbols[i]` as everybody finds it.
    Find(usize),
    Probe(String),
    Close,
}

/// How many slots and symbols are looked at.
const MOST: usize = 600;

impl Script {
    /// None for what no dynamic linker loads.
    fn of(request: &Request, module: &Module<'_>) -> Option<Self> {
        module.dynamic.as_ref()?;
        let library = request.mode.is_library();
        (library || module.image.interpreter).then_some(())?;
        let file = if library { "./scold.module" } else { "-" };
        let mut list = vec![(format!("open {file}"), About::Open)];
        for (i, cell) in module.memory().iter().enumerate().take(MOST) {
            let wanted = match &cell.content {
                Content::Lookup { name, version, .. } => {
                    format!("find {name} {}", version.as_deref().unwrap_or_default())
                }
                Content::Ifunc(at) => format!("resolve {at:#x}"),
                Content::Tls | Content::Bad(_) => continue,
                Content::Address(_) | Content::Number(_) => String::new(),
            };
            list.push((format!("slot {:#x} {}", cell.address, cell.size.min(8)), About::Slot(i)));
            if !wanted.is_empty() {
                list.push((wanted, About::Wanted));
            }
        }
        for (i, symbol) in module.symbols.list.iter().enumerate().take(MOST) {
            let plain = !symbol.name.is_empty() && !symbol.name.contains(char::is_whitespace);
            if !plain || symbol.binding == 0 {
                continue;
            }
            let version = module.symbols.version(symbol).map(|version| version.name);
            let name = format!("{} {}", symbol.name, version.unwrap_or_default());
            list.push((format!("find {name}"), About::Find(i)));
            if !symbol.undefined() {
                list.push((format!("own {name}"), About::Own(i)));
            }
        }
        let mut probes: Vec<&str> = module.symbols.list.iter().map(|symbol| symbol.name).collect();
        probes.retain(|name| name.starts_with("scold.probe."));
        probes.sort_unstable();
        list.extend(
            probes.iter().map(|name| (format!("call {name}"), About::Probe((*name).into()))),
        );
        list.push(("close".into(), About::Close));
        Some(Self(list))
    }

    fn text(&self) -> String {
        self.0.iter().map(|(command, _)| format!("{command}\n")).collect()
    }
}

/// One module's run.
struct Session<'a, 'r> {
    trial: &'a Trial,
    module: &'a Module<'a>,
    cells: Vec<Cell>,
    ruling: &'r mut Ruling,
}

impl Session<'_, '_> {
    fn complain(&mut self, shape: &str, key: String, found: String, wanted: String) {
        let mismatch = Mismatch { key, found, wanted };
        self.ruling.complain("execute", self.trial.linker.name(), shape, mismatch, "");
    }

    /// What the probes returned, in words that don't depend on addresses.
    fn judge(
        &mut self,
        request: &Request,
        script: &Script,
        run: &Run,
        image: &[u8],
    ) -> Vec<(String, Answer)> {
        let out = run.out();
        let lines: Vec<&str> = out.lines().collect();
        let base = lines.first().and_then(|line| line.strip_prefix("open ")).and_then(number);
        let Some(base) = base else {
            self.not_opened(request, run, lines.first().copied().unwrap_or_default());
            return Vec::new();
        };
        let mut values = Values::new(request, self.module, image, base);
        for ((_, about), line) in script.0.iter().zip(&lines) {
            match (about, number(line)) {
                // glibc takes an undefined TLS symbol in DT_HASH for a definition (its value is 0).
                (About::Find(i), _) if self.undefined_tls(*i) => {}
                (About::Find(i), Some(at)) => values.name(at, self.module.symbols.list[*i].name),
                (About::Slot(i), Some(value)) => values.slot(self.cells[*i].address, value),
                _ => {}
            }
        }
        let strays = values::strays(request, &self.trial.facts);
        let mut probes = Vec::new();
        let mut answers = script.0.iter().zip(&lines).peekable();
        while let Some(((_, about), line)) = answers.next() {
            match about {
                About::Slot(i) => {
                    let next = answers.peek();
                    let wanted = next.filter(|((_, about), _)| matches!(about, About::Wanted));
                    let wanted = wanted.map(|(_, line)| **line);
                    self.slot(request, *i, (base, line), wanted);
                }
                About::Own(i) => self.own(*i, base, line),
                About::Close if line.parse().is_ok_and(|code: i32| code != 0) => {
                    let (found, wanted) = ((*line).to_owned(), "0".to_owned());
                    self.complain("can't be closed", "close".into(), found, wanted);
                }
                About::Probe(name) if strays.contains(name) => {}
                About::Probe(name) => probes.push((name.clone(), values.answer(line))),
                _ => {}
            }
        }
        self.ended(script, &lines, run);
        probes
    }

    /// Whether symbol `i` is an undefined thread-local variable.
    fn undefined_tls(&self, i: usize) -> bool {
        let symbol = &self.module.symbols.list[i];
        symbol.undefined() && symbol.kind == object::elf::STT_TLS.0
    }

    /// How the host ended: an answer to every line, or the module killed it.
    fn ended(&mut self, script: &Script, lines: &[&str], run: &Run) {
        let last = script.0.get(lines.len()).map_or("close", |(command, _)| command);
        match run.end {
            End::Timeout => {
                self.complain("hang when loaded", last.into(), "hang".into(), "an end".into());
            }
            // A probe may call a weak name that nobody provides: its address is null by the gABI.
            End::Signal(_)
                if last.starts_with("call ") && self.unprovided_weak(&script.0, lines) => {}
            End::Signal(signal) => {
                let kind = last.split(' ').next().unwrap_or_default();
                let shape = format!("crash in {kind}");
                self.complain(&shape, last.into(), format!("signal {signal}"), "an answer".into());
            }
            End::Exit(code) if code != 0 || lines.last() != Some(&"end") => {
                let kind = last.split(' ').next().unwrap_or_default();
                let shape = format!("exits in {kind}");
                self.complain(&shape, last.into(), format!("exit {code}"), "an answer".into());
            }
            End::Exit(_) => {}
        }
    }

    /// The loader refused, or the module killed the host while it was opened.
    fn not_opened(&mut self, request: &Request, run: &Run, line: &str) {
        let said = format!("{line}{}", run.err());
        if let End::Signal(signal) = run.end {
            self.complain(
                "crash in open",
                "open".into(),
                format!("signal {signal}"),
                "open".into(),
            );
        } else if run.end == End::Timeout {
            self.complain("hang when loaded", "open".into(), "hang".into(), "open".into());
        } else if !self.excused(request, &said) {
            let shape = format!("does not load: {}", words(&said));
            self.complain(&shape, "open".into(), said, "open".into());
        }
    }

    /// Nobody here provides a name or a library that the module rightly needs.
    fn excused(&self, request: &Request, said: &str) -> bool {
        let named = said.split("undefined symbol: ").nth(1).unwrap_or_default();
        let named = named.split([',', ' ', '\n']).next().unwrap_or_default();
        let missing = self.module.symbols.list.iter().any(|symbol| {
            symbol.undefined() && symbol.binding != 2 && !named.is_empty() && symbol.name == named
        });
        let strange = ["cannot open shared object", "static TLS block", "not found (required by"];
        let library = request.files.iter().any(|file| file.bytes.get(16) == Some(&3));
        missing
            || strange[1..].iter().any(|text| said.contains(text))
            || (said.contains(strange[0]) && !library)
    }

    /// What slot `cell` of the module loaded at `base` holds, by `line`; dlsym says `wanted`.
    fn slot(
        &mut self,
        request: &Request,
        cell: usize,
        (base, line): (u64, &str),
        wanted: Option<&str>,
    ) {
        let Some(cell) = self.cells.get(cell).cloned() else { return };
        let moved = if self.module.image.moves { base } else { 0 };
        let (kind, value) = match &cell.content {
            Content::Address(at) => ("address", Some(moved.wrapping_add(*at))),
            Content::Number(number) => ("number", Some(*number)),
            Content::Lookup { name, .. } if self.several_versions(name) => return,
            // Calls are never bound to an executable's own canonical PLT, which dlsym finds.
            Content::Lookup { name, .. } if self.canonical_plt(cell.address, name) => return,
            Content::Lookup { name, version, addend, weak, .. } => match wanted.and_then(number) {
                Some(at) => ("lookup", Some(at.wrapping_add(*addend))),
                None if version.is_none() && provided(request, name) => return,
                None if version.is_none() && self.oldest(name).is_some() => {
                    let at = self.oldest(name).map(|at| base.wrapping_add(at));
                    ("lookup of the oldest version", at.map(|at| at.wrapping_add(*addend)))
                }
                None if *weak => ("weak lookup", Some(*addend)),
                None => return,
            },
            Content::Ifunc(_) => ("ifunc", wanted.and_then(number)),
            Content::Tls | Content::Bad(_) => return,
        };
        let (Some(found), Some(value)) = (number(line), value) else { return };
        let mask = if cell.size < 8 { u64::from(u32::MAX) } else { u64::MAX };
        if found & mask != value & mask {
            let key = format!("slot {:#x}", cell.address);
            let shape = format!("{kind} slot holds something else");
            self.complain(&shape, key, format!("{found:#x}"), format!("{value:#x}"));
        }
    }

    /// Whether a weak slot of the module was found to hold null.
    fn unprovided_weak(&self, script: &[(String, About)], lines: &[&str]) -> bool {
        script.iter().zip(lines).any(|((_, about), line)| match about {
            About::Slot(i) => {
                let content = self.cells.get(*i).map(|cell| &cell.content);
                matches!(content, Some(Content::Lookup { weak: true, .. }))
                    && number(line) == Some(0)
            }
            _ => false,
        })
    }

    /// Whether the module defines `name` more than once: with a version beside none, glibc takes
    /// whichever its hash chain has first, and `dlsym` may see another than a relocation does.
    fn several_versions(&self, name: &str) -> bool {
        let symbols = self.module.symbols.list.iter();
        symbols.filter(|symbol| symbol.name == name && !symbol.undefined()).count() > 1
    }

    /// The module's own definition of `name` in the first version it defines: a relocation without a
    /// version is bound to it though it isn't the default one, and `dlsym` doesn't find it.
    ///
    /// Spec: glibc's `do_lookup_x`; gABI symbol versioning, "Symbol Version Resolution".
    fn oldest(&self, name: &str) -> Option<u64> {
        let mut symbols = self.module.symbols.list.iter();
        let oldest = |symbol: &&Symbol<'_>| {
            symbol.name == name && !symbol.undefined() && symbol.version == 0x8002
        };
        symbols.find(oldest).filter(|symbol| !symbol.absolute() && !symbol.ifunc()).map(|s| s.value)
    }

    fn canonical_plt(&self, slot: u64, name: &str) -> bool {
        let call = self.module.reloc_at(slot).is_some_and(|reloc| reloc.kind == Kind::JumpSlot);
        let mut symbols = self.module.symbols.list.iter();
        call && symbols.any(|symbol| symbol.name == name && symbol.undefined() && symbol.value != 0)
    }

    fn own(&mut self, symbol: usize, base: u64, line: &str) {
        let symbol = &self.module.symbols.list[symbol];
        let moved = if self.module.image.moves { base } else { 0 };
        let key = format!("dlsym {}", symbol.name);
        // STB_GNU_UNIQUE may live elsewhere; TLS and IFUNC have addresses of their own; the loader
        // refuses names that it can't see.
        // Nor what a version script made local (version 0) though it was left in the table.
        if symbol.binding == 10
            || symbol.version & 0x7fff == 0
            || symbol.kind == 6
            || symbol.ifunc()
            || matches!(symbol.visibility & 3, 1 | 2)
        {
            return;
        }
        let wanted = moved.wrapping_add(symbol.value);
        match number(line) {
            None => self.complain("export not found", key, "none".into(), format!("{wanted:#x}")),
            Some(found) if found == wanted || (symbol.absolute() && found == symbol.value) => {}
            Some(found) => {
                let shape = "export found elsewhere";
                self.complain(shape, key, format!("{found:#x}"), format!("{wanted:#x}"));
            }
        }
    }
}

/// Whether a library of the link has `name`, with a version that isn't the default perhaps: glibc
/// binds a relocation without a version to the oldest one, which dlsym doesn't find.
fn provided(request: &Request, name: &str) -> bool {
    let libraries = request.files.iter().filter(|file| file.bytes.get(16) == Some(&3));
    let string = [b"\0", name.as_bytes(), b"\0"].concat();
    libraries.map(|file| &file.bytes).any(|bytes| find(bytes, &string))
}

fn find(bytes: &[u8], string: &[u8]) -> bool {
    bytes.windows(string.len()).any(|window| window == string)
}

/// A line that is a hexadecimal number.
fn number(line: &str) -> Option<u64> {
    u64::from_str_radix(line.trim().strip_prefix("0x")?, 16).ok()
}

/// Who of several linkers' modules returned something else than the others.
fn vote(probe: &str, answers: &[(&Trial, Answer)], ruling: &mut Ruling) {
    let supporters =
        |answer: &Answer| answers.iter().filter(|(_, other)| values::alike(answer, other)).count();
    // Without a majority the value may be an accident of the layout: a part of an address, a
    // distance.
    let most = answers.iter().map(|(_, answer)| answer).max_by_key(|answer| supporters(answer));
    let Some(wanted) = most.filter(|answer| supporters(answer) * 2 > answers.len()) else { return };
    let say = |(trial, answer): &(&Trial, Answer)| {
        format!("{}: {}", trial.linker.name(), values::text(answer))
    };
    for (trial, found) in answers.iter().filter(|(_, answer)| !values::alike(answer, wanted)) {
        let shape = format!("probe returns {} for {}", values::kind(found), values::kind(wanted));
        let mismatch = Mismatch {
            key: probe.into(),
            found: values::text(found),
            wanted: values::text(wanted),
        };
        let detail = answers.iter().map(say).collect::<Vec<_>>().join("; ");
        ruling.complain("execute", trial.linker.name(), &shape, mismatch, &detail);
    }
}

#[cfg(test)]
mod tests;
