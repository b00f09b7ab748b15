//! The inputs of a link → what of it is part of the module: who takes part, what those define and ask for.
//!
//! Of archives only members count that something asks for. It must not know what a mode makes of the names.

use std::collections::{BTreeSet, HashMap};

use super::code::Code;
use super::edit::{self, Change};
use super::{ENTRY, Place, is_added};
use crate::model::archive;
use crate::model::elf::{self, Defined, Facing, Mention, Standing};
use crate::request::Ways;
use crate::{File, Request};

/// What the inputs that take part say that matters here.
#[derive(Default)]
pub(super) struct Said<'r> {
    pub(super) units: Vec<Unit<'r>>,
    /// Global names that they define.
    defined: BTreeSet<&'r str>,
    /// Global names that they don't define, and ask for.
    wanted: BTreeSet<&'r str>,
    /// Their sections, each with the file and member it is of.
    sections: Vec<((&'r str, Option<usize>), elf::Outline<'r>)>,
    /// Names that arguments ask for and archives offer: some linkers ask only when all inputs are read.
    pub(super) asked: Vec<&'r str>,
    /// Names that arguments define.
    set: BTreeSet<&'r str>,
    /// The name of what the loader calls first.
    init: Option<&'r str>,
    /// The Go linker has added it all.
    pub(super) complete: bool,
}

/// An object, or a member of an archive.
#[derive(Clone)]
pub(super) struct Unit<'r> {
    /// The file it is in.
    pub(super) file: &'r str,
    /// Which of the archive's members, unless that is a file of its own.
    pub(super) member: Option<usize>,
    pub(super) bytes: &'r [u8],
    /// Its sections of groups that an earlier one has.
    pub(super) dropped: BTreeSet<u32>,
    mentions: Vec<Mention<'r>>,
    /// Mentions what modes look at.
    knows_modes: bool,
    /// Takes part only if something asks for it.
    lazy: bool,
}

impl<'r> Said<'r> {
    /// What the inputs of `request` say if `more` is asked for, too; none if they know nothing of modes.
    pub(super) fn of(request: &'r Request, more: Option<&'r str>) -> Option<Self> {
        let inputs = Inputs::read(request);
        inputs.units.iter().any(|unit| unit.knows_modes).then_some(())?;
        let offered = |name: &&str| matches!(inputs.offers.get(*name), Some(Some(_)));
        let asked = named(&request.args).filter(offered).collect();
        let set = options(&request.args).filter(|option| option.0 == "defsym");
        let set = set.filter_map(|(_, value)| Some(value.split_once('=')?.0.trim())).collect();
        let init = options(&request.args).filter(|option| option.0 == "init").last();
        let init = init.map(|(_, name)| name);
        let (mut said, mut groups) =
            (Self { asked, set, init, ..Self::default() }, BTreeSet::new());
        for unit in inputs.taking_part(request, more) {
            let again = elf::comdats(unit.bytes).into_iter().filter(|it| !groups.insert(it.0));
            let dropped = again.flat_map(|group| group.1).collect();
            for Mention { name, facing } in &unit.mentions {
                match facing {
                    Facing::Local => said.complete |= *name == ENTRY,
                    Facing::Defined => _ = said.defined.insert(name),
                    Facing::Wanted | Facing::Weak => _ = said.wanted.insert(name),
                }
            }
            let place = (unit.file, unit.member);
            said.sections.extend(elf::outlines(unit.bytes).into_iter().map(|s| (place, s)));
            said.units.push(Unit { dropped, ..unit.clone() });
        }
        Some(said)
    }

    /// Who defines `name` for all objects; or, where nobody does, all that do for themselves.
    pub(super) fn find(&self, name: &str) -> Vec<(&Unit<'r>, Defined)> {
        let of = |unit: &Unit<'r>| elf::definitions(unit.bytes, name, &unit.dropped);
        let units = self.units.iter().filter(|unit| unit.knows_modes);
        let each = units.flat_map(|unit| of(unit).into_iter().map(move |it| (unit, it)));
        let mut all: Vec<_> = each.collect();
        // The first one of the best.
        let best = all.iter().rev().max_by_key(|(_, it)| it.standing).copied();
        match best {
            Some(best) if best.1.standing != Standing::Local => vec![best],
            _ => std::mem::take(&mut all),
        }
    }

    /// Size and alignment of the common block that all objects mean by `name`: the largest of each.
    pub(super) fn block(&self, name: &str) -> (u64, u64) {
        let of = |unit: &Unit<'r>| elf::definitions(unit.bytes, name, &unit.dropped);
        let units = self.units.iter().filter(|unit| unit.knows_modes);
        let all = units.flat_map(of).filter_map(|it| it.block);
        all.fold((0, 1), |(size, align), it| (size.max(it.0), align.max(it.1)))
    }

    /// Whether somebody does.
    pub(super) fn defines(&self, name: &str) -> bool {
        !self.find(name).is_empty()
    }

    /// Whether only objects for themselves do.
    pub(super) fn is_local(&self, name: &str) -> bool {
        let all = self.find(name);
        !all.is_empty() && all.iter().all(|(_, it)| it.standing == Standing::Local)
    }

    /// Whether `-init` names `start`, and all objects see that.
    pub(super) fn is_init(&self, start: &str) -> bool {
        self.init == Some(start) && !self.is_local(start)
    }

    /// Whether an init entry of theirs calls `start`.
    pub(super) fn calls(&self, start: &str, code: &Code) -> bool {
        let mut units = self.units.iter();
        units.any(|unit| elf::calls(unit.bytes, start, code.words, &unit.dropped))
    }

    /// Where sections called `name` are, as they came.
    pub(super) fn places(&self, name: &'static str) -> impl Iterator<Item = Place> {
        let named = self.sections.iter().filter(move |(_, section)| section.name == name);
        named.map(|((file, member), _)| ((*file).to_owned(), *member))
    }

    /// The sections of those whose place `changes` don't have.
    pub(super) fn sections(&self, changes: &[(Place, Change)]) -> Vec<elf::Outline<'r>> {
        let changed = |(file, member): (&str, Option<usize>)| {
            changes.iter().any(|((name, at), _)| name == file && *at == member)
        };
        let rest = self.sections.iter().filter(|(place, _)| !changed(*place));
        rest.map(|(_, section)| section.clone()).collect()
    }

    /// Those whose place `changes` have, changed; as they are if they can't be.
    pub(super) fn changed(&self, code: &Code, changes: &[(Place, Change)]) -> Vec<Vec<u8>> {
        let each = changes.iter().filter_map(|((file, member), change)| {
            let mut units = self.units.iter();
            let unit = units.find(|unit| unit.file == file && unit.member == *member)?;
            let changed = edit::changed(code, unit.bytes, change);
            Some(changed.unwrap_or_else(|| unit.bytes.to_vec()))
        });
        each.collect()
    }

    /// Whether they refer to `name`, and neither they nor arguments define it.
    pub(super) fn lacks(&self, name: &str) -> bool {
        let known = self.defined.contains(name) || self.set.contains(name);
        self.wanted.contains(name) && !known
    }
}

/// Whether `bytes` have any of the names at all: most objects don't.
fn knows_modes(bytes: &[u8]) -> bool {
    ["_rt0_", "moduledata", "runtime."]
        .iter()
        .any(|part| memchr::memmem::find(bytes, part.as_bytes()).is_some())
}

/// Objects and members in the order of the command line, and who offers what.
#[derive(Default)]
struct Inputs<'r> {
    units: Vec<Unit<'r>>,
    /// The first archive member that defines a name; none if a library that comes before does.
    offers: HashMap<&'r str, Option<usize>>,
    /// What libraries ask for.
    wants: Vec<&'r str>,
}

impl<'r> Inputs<'r> {
    fn read(request: &'r Request) -> Self {
        let mut inputs = Self::default();
        for (file, ways) in request.given().filter(|(file, _)| !is_added(&file.name)) {
            inputs.file(request, file, ways);
        }
        inputs
    }

    fn file(&mut self, request: &'r Request, file: &'r File, Ways { whole, lazy }: Ways) {
        match file.bytes.get(..8) {
            Some(archive::MAGIC | archive::THIN) => {
                let thin = file.bytes.starts_with(archive::THIN);
                for (at, (label, bytes)) in archive::members(request, file).into_iter().enumerate()
                {
                    let name = label.split_once('(').and_then(|(_, name)| name.strip_suffix(')'));
                    let own = request.files.iter().find(|it| thin && Some(&*it.name) == name);
                    match own {
                        Some(own) => self.unit((&own.name, None), bytes, !whole),
                        None => self.unit((&file.name, Some(at)), bytes, !whole),
                    }
                }
            }
            _ if elf::is_library(&file.bytes) => {
                for (name, defined) in elf::dynamic_names(&file.bytes) {
                    match defined {
                        true => _ = self.offers.entry(name).or_insert(None),
                        false => self.wants.push(name),
                    }
                }
            }
            _ => self.unit((&file.name, None), &file.bytes, lazy),
        }
    }

    fn unit(&mut self, place: (&'r str, Option<usize>), bytes: &'r [u8], lazy: bool) {
        let at = self.units.len();
        let mentions = elf::mentions(bytes);
        for mention in mentions.iter().filter(|it| lazy && it.facing == Facing::Defined) {
            self.offers.entry(mention.name).or_insert(Some(at));
        }
        let (file, member) = place;
        let (dropped, knows_modes) = (BTreeSet::new(), knows_modes(bytes));
        self.units.push(Unit { file, member, bytes, dropped, mentions, knows_modes, lazy });
    }

    /// Objects, and the members that something asks for, by and by.
    fn taking_part(&self, request: &'r Request, more: Option<&'r str>) -> Vec<&Unit<'r>> {
        let mut taken: Vec<bool> = self.units.iter().map(|unit| !unit.lazy).collect();
        let mut defined: BTreeSet<&str> = BTreeSet::new();
        let mut queue: Vec<&str> = named(&request.args).chain(more).collect();
        queue.extend(&self.wants);
        let mut news: Vec<usize> = (0..taken.len()).filter(|at| taken[*at]).collect();
        loop {
            for unit in news.drain(..).map(|at| &self.units[at]) {
                let named = |wanted: Facing| {
                    let those = unit.mentions.iter().filter(move |it| it.facing == wanted);
                    those.map(|it| it.name)
                };
                defined.extend(named(Facing::Defined));
                queue.extend(named(Facing::Wanted));
            }
            for name in queue.drain(..).filter(|name| !defined.contains(name)) {
                if let Some(Some(at)) = self.offers.get(name)
                    && !std::mem::replace(&mut taken[*at], true)
                {
                    news.push(*at);
                }
            }
            if news.is_empty() {
                break;
            }
        }
        self.units.iter().zip(taken).filter(|(_, taken)| *taken).map(|(unit, _)| unit).collect()
    }
}

/// The names that arguments ask for: `-u`, `-e`, what a `--defsym` stands for.
fn named(args: &[String]) -> impl Iterator<Item = &str> {
    options(args).filter_map(|(option, value)| match option {
        "u" | "e" | "undefined" | "entry" | "require-defined" => Some(value),
        "defsym" => Some(value.rsplit('=').next()?.trim()),
        _ => None,
    })
}

/// What looks like an option among arguments, without dashes, and its value: behind `=`, or the next argument.
fn options(args: &[String]) -> impl Iterator<Item = (&str, &str)> {
    args.iter().enumerate().filter_map(|(at, arg)| {
        let bare = arg.strip_prefix('-')?.trim_start_matches('-');
        match bare.split_once('=') {
            Some(both) => Some(both),
            None => Some((bare, args.get(at + 1)?)),
        }
    })
}
