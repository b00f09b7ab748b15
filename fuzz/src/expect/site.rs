//! Sites: what every relocation in the output means, and which relocations must be refused.
//!
//! Spec: the psABI of each machine for values and ranges ([`crate::machine`]), and for TLS; gABI chapter 5
//! for what a loader can still change. Addresses are never computed: where arithmetic needs one that the linker chooses,
//! bounds that hold for every linker decide, or the site is left open.

mod forms;
mod meaning;
mod tls;

use std::collections::{BTreeMap, BTreeSet};

use scold_diff::expectation::Open;
use scold_diff::model::{ErrorClass, Facts, Meaning, Value};
use scold_diff::{Family, Key};

use super::binding::Bound;
use super::resolve::{Fate, Findings, LOCAL, Link, Target, Winner, is_taken_apart, unwinds};
use crate::case::{Definition, Reloc, Section, SymbolKind, SymbolRef, Visibility};
use crate::machine::{Form, Machine, Row};

/// No linker puts code or data below this address, nor (in a case without huge sections) above.
const LOWEST: i128 = 0x1_0000;
const HIGHEST: i128 = 0x4000_0000;

/// How live relocations use a name.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Uses {
    /// Any live relocation names it.
    pub(crate) any: bool,
    /// Its address is needed where nothing can be changed at run time.
    pub(crate) direct: bool,
    /// A word in writable memory holds its address.
    pub(crate) word: bool,
}

/// What a relocation's symbol is, once everything is resolved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Thing {
    /// In a section of this module.
    Place { file: usize, section: usize, offset: u64 },
    /// A common symbol.
    Common(usize),
    /// A number.
    Number(u64),
    /// Answered at run time.
    Dynamic(usize),
    /// A weak undefined symbol.
    Null(Option<usize>),
    /// A name the linker makes.
    Linker(usize),
    /// In a section that is not in the output.
    Gone,
    /// An undefined symbol that must be refused.
    Undefined,
}

/// Walks all relocations of the output.
pub(crate) struct Sites<'l, 'c> {
    pub(crate) link: &'l Link<'c>,
    pub(crate) machine: &'static Machine,
    pub(crate) bounds: &'l [Bound],
    pub(crate) findings: Findings,
    pub(crate) facts: Facts,
    pub(crate) uses: Vec<Uses>,
    /// Per file, per section: `FILE:NAME#k`.
    pub(crate) labels: Vec<Vec<Box<str>>>,
    /// A library's code needs its TLS block to be allocated at start-up.
    pub(crate) static_tls: bool,
    pub(crate) textrel: bool,
    /// Names, as the loader looks them up, of the copies a program has of libraries' variables.
    pub(crate) copies: BTreeSet<Box<str>>,
    /// Which libraries DT_NEEDED names.
    pub(crate) needed: Vec<bool>,
    /// Sites of weak undefined names of an executable that may be null or looked up.
    pub(crate) weak_sites: BTreeMap<usize, Vec<Key>>,
}

impl<'l, 'c> Sites<'l, 'c> {
    pub(crate) fn new(link: &'l Link<'c>, bounds: &'l [Bound], findings: Findings) -> Self {
        Self {
            link,
            machine: link.world.machine,
            bounds,
            findings,
            facts: Facts::default(),
            uses: vec![Uses::default(); link.syms.len()],
            labels: link.world.files.iter().map(|f| f.object.labels(&f.name())).collect(),
            static_tls: false,
            textrel: false,
            copies: BTreeSet::new(),
            needed: needed(link),
            weak_sites: BTreeMap::new(),
        }
    }

    /// Judges every relocation and adds the `site` facts.
    pub(crate) fn walk(&mut self) {
        for file in self.link.loaded() {
            for index in 0..self.labels[file].len() {
                let align = self.link.section(file, index).align;
                if align != 0 && !align.is_power_of_two() {
                    self.malformed("an alignment that is no power of two");
                }
                if self.link.fates[file][index] != Fate::Live {
                    continue;
                }
                let section = self.link.section(file, index);
                if !section.flags.alloc {
                    self.walk_unloaded(file, section);
                    continue;
                }
                let mut dead_call_until = 0;
                for reloc in &section.relocs {
                    if self.is_tls_call(file, reloc) {
                        self.findings.open(
                            Family::Import,
                            "__tls_get_addr",
                            "needed or not once TLS is relaxed",
                        );
                        if reloc.offset < dead_call_until {
                            continue;
                        }
                    }
                    let row = self.row(reloc);
                    if row.is_some_and(|row| row.form.calls_for_tls()) {
                        dead_call_until = reloc.offset + self.machine.tls_call;
                    }
                    self.site(file, index, section, reloc);
                }
            }
        }
    }

    /// What a relocation is: of R_ARM_TARGET1 the options may say so.
    fn row(&self, reloc: &Reloc) -> Option<&'static Row> {
        let Machine { init, pointer, distance, .. } = *self.machine;
        let chosen = self.link.world.on.target1_relative && reloc.r_type == init && init != pointer;
        self.machine.input_row(if chosen { distance } else { reloc.r_type })
    }

    /// Whether it makes a word the address of something.
    pub(crate) fn is_pointer(&self, reloc: &Reloc) -> bool {
        let Machine { init, pointer, .. } = *self.machine;
        reloc.r_type == pointer || reloc.r_type == init && !self.link.world.on.target1_relative
    }

    /// Debug sections: an undefined symbol there is refused by some.
    fn walk_unloaded(&mut self, file: usize, section: &Section) {
        for reloc in &section.relocs {
            if self.thing(file, reloc.symbol) == Thing::Undefined {
                self.findings.may(ErrorClass::UndefinedSymbol);
            }
            match self.row(reloc) {
                Some(row) => {
                    self.reaches_beyond(section, reloc, row);
                }
                None => {
                    self.findings.may(ErrorClass::RelocUnsupported);
                    self.findings.may(ErrorClass::BadInput);
                }
            }
        }
    }

    /// Whether the field doesn't end in its section; then nothing is demanded of the link.
    fn reaches_beyond(&mut self, section: &Section, reloc: &Reloc, row: &Row) -> bool {
        let end = reloc.offset.checked_add(row.field.width.into());
        let beyond = end.is_none_or(|end| end > section.size());
        if beyond {
            self.malformed("a relocation outside of its section");
        }
        beyond
    }

    /// No spec says what becomes of such an object.
    fn malformed(&mut self, reason: &'static str) {
        self.findings.may(ErrorClass::BadInput);
        self.findings.may(ErrorClass::Other);
        self.findings.everything(reason, false);
    }

    fn is_tls_call(&self, file: usize, reloc: &Reloc) -> bool {
        match reloc.symbol {
            SymbolRef::Named(symbol) => self.link.symbol(file, symbol).name == "__tls_get_addr",
            _ => false,
        }
    }

    fn thing(&self, file: usize, symbol: SymbolRef) -> Thing {
        match self.link.target(file, symbol) {
            Target::Null => Thing::Number(0),
            Target::Section { file, section } => self.place(file, section, 0),
            Target::Local { file, symbol } => match self.link.symbol(file, symbol).definition {
                Definition::Section { section, offset } => self.place(file, section, offset),
                Definition::Absolute(value) => Thing::Number(value),
                Definition::Undefined | Definition::Common { .. } => Thing::Gone,
            },
            Target::Global(id) => self.global(id),
        }
    }

    fn place(&self, file: usize, section: usize, offset: u64) -> Thing {
        match self.link.fates[file][section] {
            Fate::Live => Thing::Place { file, section, offset },
            _ => Thing::Gone,
        }
    }

    fn global(&self, id: usize) -> Thing {
        if self.bounds[id].dynamic {
            let sym = &self.link.syms[id];
            let refused =
                sym.winner == Winner::Undefined && sym.strong_ref && self.link.world.on.defs;
            return if refused { Thing::Undefined } else { Thing::Dynamic(id) };
        }
        self.definition(id)
    }

    /// Where a name is defined in this module, whoever may preempt it.
    fn definition(&self, id: usize) -> Thing {
        let sym = &self.link.syms[id];
        match sym.winner {
            Winner::Object { file, symbol } => match self.link.symbol(file, symbol).definition {
                Definition::Section { section, offset } => self.place(file, section, offset),
                Definition::Absolute(value) => Thing::Number(value),
                _ => Thing::Gone,
            },
            Winner::Common { .. } => Thing::Common(id),
            Winner::Number(value) => Thing::Number(value),
            Winner::Linker => Thing::Linker(id),
            Winner::Library { .. } => Thing::Dynamic(id),
            Winner::Alias(_) => match self.link.follow(id) {
                end if end == id => Thing::Gone,
                end => self.definition(end),
            },
            Winner::Undefined if sym.strong_ref => Thing::Undefined,
            Winner::Undefined => Thing::Null(Some(id)),
        }
    }

    fn kind(&self, file: usize, symbol: SymbolRef) -> SymbolKind {
        match self.link.target(file, symbol) {
            Target::Null => SymbolKind::Notype,
            Target::Section { file, section } => {
                if self.link.section(file, section).flags.tls {
                    SymbolKind::Tls
                } else {
                    SymbolKind::Notype
                }
            }
            Target::Local { file, symbol } => self.link.symbol(file, symbol).kind,
            Target::Global(id) => self.link.syms[self.link.follow(id)].kind,
        }
    }

    /// Leaves what this relocation does open.
    fn open_place(&mut self, at: &At<'_>, reason: &'static str, policy: bool) {
        let site = (at.file, at.index, at.reloc.offset);
        self.open_offset(site, reason, policy);
    }

    fn open_offset(
        &mut self,
        (file, index, offset): (usize, usize, u64),
        reason: &'static str,
        policy: bool,
    ) {
        // Arrays, unwind tables and merged strings have no sites: their facts hang on the relocation.
        if is_taken_apart(self.link.section(file, index)) {
            return self.findings.everything(reason, policy);
        }
        let label = self.labels[file][index].clone();
        self.findings.place(&label, offset, reason, policy);
    }

    fn site(&mut self, file: usize, index: usize, section: &Section, reloc: &Reloc) {
        let Some(row) = self.row(reloc) else {
            self.findings.may(ErrorClass::RelocUnsupported);
            self.findings.may(ErrorClass::BadInput);
            let reason = "a relocation that objects don't carry";
            self.open_offset((file, index, reloc.offset), reason, false);
            return;
        };
        if row.form == Form::Nothing {
            return;
        }
        if self.reaches_beyond(section, reloc, row) {
            return;
        }
        let thing = self.thing(file, reloc.symbol);
        if let Target::Global(id) = self.link.target(file, reloc.symbol) {
            self.uses[id].any = true;
        }
        let key =
            Key::new(Family::Site, format!("{}+{:#x}", self.labels[file][index], reloc.offset));
        if let Some((reason, policy)) = self.unclear(file, reloc.symbol) {
            self.findings.open.push(Open { policy, ..open_key(&key, reason) });
        }
        match thing {
            Thing::Undefined => return self.findings.error(ErrorClass::UndefinedSymbol),
            Thing::Dynamic(id)
                if self.link.syms[id].winner == Winner::Undefined
                    && self.link.syms[id].wanted.is_some() =>
            {
                self.findings.may(ErrorClass::UndefinedSymbol);
                self.findings.may(ErrorClass::UndefinedVersion);
                self.findings.everything("a version that nothing defines", false);
            }
            Thing::Null(Some(id)) => self.null(id),
            Thing::Gone if unwinds(section) => return,
            Thing::Gone => {
                self.findings.may(ErrorClass::UndefinedSymbol);
                self.findings.may(ErrorClass::BadInput);
                self.findings.may(ErrorClass::Other);
                self.findings.open.push(open_key(&key, "the target was discarded"));
            }
            _ => {}
        }
        let at = At { file, index, section, reloc, row };
        let meaning = self.meaning(&at, &key, thing);
        if let Some(meaning) = meaning
            && !is_taken_apart(section)
        {
            // Narrow data has no more of a number; of an instruction the whole is told.
            let meaning = match meaning {
                Meaning::Absolute(value) if row.is_narrow() => {
                    Meaning::Absolute(value & row.field.mask)
                }
                meaning => meaning,
            };
            self.facts.add(Family::Site, key.rest, Value::Ref(meaning));
        }
    }

    /// Why it is open what the symbol's name stands for, or that of what it is an alias of.
    fn unclear(&self, file: usize, symbol: SymbolRef) -> Option<(&'static str, bool)> {
        let SymbolRef::Named(symbol) = symbol else { return None };
        let id = self.link.ids[file][symbol];
        let known = |id: usize| self.findings.unclear.get(&*self.link.syms[id].name).copied();
        (id != LOCAL && !self.findings.unclear.is_empty())
            .then(|| known(id).or_else(|| known(self.link.follow(id))))?
    }

    /// A weak undefined name.
    fn null(&mut self, id: usize) {
        let sym = &self.link.syms[id];
        if sym.visibility != Visibility::Default && sym.in_libraries {
            // gold and mold want a definition in the module, as for a strong reference.
            self.findings.may(ErrorClass::UndefinedSymbol);
        }
    }

    fn meaning(&mut self, at: &At<'_>, key: &Key, thing: Thing) -> Option<Meaning> {
        if at.row.rare {
            // Newer than the psABI that GNU ld 2.40, gold, mold 1.10 and wild 0.10 know.
            self.findings.may(ErrorClass::RelocUnsupported);
        }
        let tls = self.kind(at.file, at.reloc.symbol) == SymbolKind::Tls;
        if let Thing::Linker(id) = thing
            && self.link.syms[id].name == "_TLS_MODULE_BASE_"
        {
            return self.module_base(at, key);
        }
        match at.row.form {
            Form::Nothing | Form::Loader | Form::Minus | Form::Addend => None,
            Form::GotBase => Some(Meaning::GotBase),
            Form::TlsModule => {
                self.unusual_tls(at);
                Some(Meaning::TlsModule)
            }
            Form::Size => self.size(at, key, thing),
            Form::TlsDynamic
            | Form::TlsInitial
            | Form::TlsDescriptor
            | Form::DtpOffset
            | Form::TpOffset => self.tls(at, key, thing, tls),
            _ if tls => {
                self.findings.may(ErrorClass::TlsMismatch);
                self.findings.may(ErrorClass::RelocUnsupported);
                self.findings.everything("an ordinary relocation of a TLS symbol", false);
                None
            }
            Form::Absolute => self.absolute(at, key, thing),
            Form::Relative | Form::Page => self.relative(at, key, thing),
            Form::Low => self.low(at, key, thing),
            Form::Call | Form::Branch => self.call(at, key, thing),
            Form::Got | Form::GotHalf | Form::GotOffset => self.got(at, key, thing),
            Form::FromGot | Form::PltFromGot => self.off_got(at, key, thing),
        }
    }
}

/// A relocation where it is.
struct At<'a> {
    file: usize,
    index: usize,
    section: &'a Section,
    reloc: &'a Reloc,
    row: &'static Row,
}

fn open_key(key: &Key, reason: &'static str) -> Open {
    Open { family: Some(key.family), rest: key.rest.clone(), reason, policy: false }
}

/// Libraries that are needed: under --as-needed those that a strong reference of an object binds to.
pub(super) fn needed(link: &Link<'_>) -> Vec<bool> {
    let on = &link.world.on;
    let mut needed: Vec<bool> =
        link.world.libraries.iter().map(|l| !l.as_needed && !on.as_needed).collect();
    for sym in link.syms.iter().filter(|sym| sym.strong_ref) {
        if let Winner::Library { library, .. } = sym.winner {
            needed[library] = true;
        }
    }
    needed
}
