//! Sites: what every relocation in the output means, and which relocations must be refused.
//!
//! Spec: x86-64 psABI §4.4 for values and ranges, §3.5.5 for TLS; gABI chapter 5 for what a loader can
//! still change. Addresses are never computed: where arithmetic needs one that the linker chooses,
//! bounds that hold for every linker decide, or the site is left open.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use scold_diff::model::{ErrorClass, Facts, Meaning, Place, Value};
use scold_diff::{Family, Key};

use super::amd64::{self, Form, Row};
use super::binding::{Bound, has_dynamic_table};
use super::resolve::{Fate, Findings, LOCAL, Link, Target, Winner, is_taken_apart};
use crate::case::{
    Data, Definition, LibraryDefinition, Reloc, Section, SectionKind, SymbolKind, SymbolRef,
    Visibility,
};

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
    pub(crate) bounds: &'l [Bound],
    pub(crate) findings: Findings,
    pub(crate) facts: Facts,
    pub(crate) uses: Vec<Uses>,
    /// Per file, per section: `FILE:NAME#k`.
    pub(crate) labels: Vec<Vec<Box<str>>>,
    /// A library's code needs its TLS block to be allocated at start-up.
    pub(crate) static_tls: bool,
    pub(crate) textrel: bool,
    /// Sites of weak undefined names of an executable that may be null or looked up.
    pub(crate) weak_sites: BTreeMap<usize, Vec<Key>>,
}

impl<'l, 'c> Sites<'l, 'c> {
    pub(crate) fn new(link: &'l Link<'c>, bounds: &'l [Bound], findings: Findings) -> Self {
        Self {
            link,
            bounds,
            findings,
            facts: Facts::default(),
            uses: vec![Uses::default(); link.syms.len()],
            labels: (0..link.world.files.len()).map(|file| labels(link, file)).collect(),
            static_tls: false,
            textrel: false,
            weak_sites: BTreeMap::new(),
        }
    }

    /// Judges every relocation and adds the `site` facts.
    pub(crate) fn walk(&mut self) {
        for file in self.link.loaded() {
            for index in 0..self.labels[file].len() {
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
                    if reloc.offset < dead_call_until && self.is_tls_call(file, reloc) {
                        self.findings.open(
                            Family::Import,
                            "__tls_get_addr",
                            "needed or not once TLS is relaxed",
                        );
                        continue;
                    }
                    if matches!(reloc.r_type, 19 | 20) {
                        dead_call_until = reloc.offset + 16;
                    }
                    self.site(file, index, section, reloc);
                }
            }
        }
    }

    /// Debug sections: an undefined symbol there is refused by some.
    fn walk_unloaded(&mut self, file: usize, section: &Section) {
        for reloc in &section.relocs {
            if self.thing(file, reloc.symbol) == Thing::Undefined {
                self.findings.may(ErrorClass::UndefinedSymbol);
            }
        }
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

    fn site(&mut self, file: usize, index: usize, section: &Section, reloc: &Reloc) {
        let Some(row) = amd64::find(reloc.r_type) else {
            self.findings.may(ErrorClass::RelocUnsupported);
            self.findings.may(ErrorClass::BadInput);
            self.findings.everything("a relocation that objects don't carry", false);
            return;
        };
        if row.form == Form::Nothing {
            return;
        }
        let thing = self.thing(file, reloc.symbol);
        if let Target::Global(id) = self.link.target(file, reloc.symbol) {
            self.uses[id].any = true;
        }
        let key =
            Key::new(Family::Site, format!("{}+{:#x}", self.labels[file][index], reloc.offset));
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
            Thing::Gone if section.kind == SectionKind::EhFrame => return,
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
            let meaning = match (meaning, row.width) {
                (Meaning::Absolute(value), width @ 1..=2) => {
                    Meaning::Absolute(value & ((1 << (8 * u64::from(width))) - 1))
                }
                (meaning, _) => meaning,
            };
            self.facts.add(Family::Site, key.rest, Value::Ref(meaning));
        }
    }

    fn meaning(&mut self, at: &At<'_>, key: &Key, thing: Thing) -> Option<Meaning> {
        let tls = self.kind(at.file, at.reloc.symbol) == SymbolKind::Tls;
        match at.row.form {
            Form::Nothing => None,
            Form::GotBase => Some(Meaning::GotBase),
            Form::TlsModule => Some(Meaning::TlsModule),
            Form::Size => self.size(at, key, thing),
            Form::Tls | Form::DtpOffset | Form::TpOffset => self.tls(at, key, thing, tls),
            _ if tls => {
                self.findings.may(ErrorClass::TlsMismatch);
                self.findings.may(ErrorClass::RelocUnsupported);
                self.findings.everything("an ordinary relocation of a TLS symbol", false);
                None
            }
            Form::Absolute => self.absolute(at, key, thing),
            Form::Relative => self.relative(at, key, thing),
            Form::Call => self.call(at, key, thing),
            Form::Got => self.got(at, key, thing),
            Form::FromGot => self.off_got(at, key, thing),
        }
    }

    /// `S + A`.
    fn absolute(&mut self, at: &At<'_>, key: &Key, thing: Thing) -> Option<Meaning> {
        let (row, addend, writable) = (at.row, at.reloc.addend, at.section.flags.write);
        let on = &self.link.world.on;
        match thing {
            Thing::Number(value) => self.number(at, value)?,
            Thing::Null(_) => self.number(at, 0)?,
            Thing::Place { .. } | Thing::Common(_) | Thing::Linker(_) if on.pic => {
                if row.width < 8 {
                    self.findings.error(ErrorClass::RelocDynamic);
                    return None;
                }
                self.word(writable);
            }
            Thing::Place { .. } | Thing::Common(_) | Thing::Linker(_) => {
                self.bounded(at, i128::from(addend) + LOWEST, i128::from(addend) + HIGHEST)?;
            }
            Thing::Dynamic(id) if row.width == 8 => {
                if writable {
                    self.uses[id].word = true;
                } else {
                    self.uses[id].direct = true;
                    if on.pic {
                        self.word(false);
                    }
                }
            }
            Thing::Dynamic(_) if on.pic => {
                self.findings.error(ErrorClass::RelocDynamic);
                return None;
            }
            Thing::Dynamic(id) => {
                self.uses[id].direct = true;
                if row.width < 4 {
                    self.findings.error(ErrorClass::RelocOverflow);
                    self.findings.error(ErrorClass::RelocDynamic);
                    return None;
                }
            }
            Thing::Gone | Thing::Undefined => return None,
        }
        self.address(at, key, thing)
    }

    /// A word that the loader relocates.
    fn word(&mut self, writable: bool) {
        if !writable {
            self.textrel = true;
            self.findings.may(ErrorClass::RelocDynamic);
        }
    }

    /// A number in a field: refused if it doesn't fit.
    fn number(&mut self, at: &At<'_>, value: u64) -> Option<()> {
        let sum = value.wrapping_add(at.reloc.addend as u64);
        if at.row.is_disputed(sum) {
            self.findings.may(ErrorClass::RelocOverflow);
            self.findings.everything("bfd's and mold's ranges of narrow fields", true);
        }
        if !at.row.fits(sum) {
            self.findings.error(ErrorClass::RelocOverflow);
            if self.link.world.on.pic {
                // bfd refuses narrow fields of movable images before it looks at the value.
                self.findings.error(ErrorClass::RelocDynamic);
            }
            return None;
        }
        Some(())
    }

    /// A value between two bounds in a field: refused if none fits, left open if some do.
    fn bounded(&mut self, at: &At<'_>, low: i128, high: i128) -> Option<()> {
        let (min, max) = at.row.limits();
        if at.row.range == amd64::Range::Any || (low >= min && high <= max) {
            return Some(());
        }
        if high < min || low > max {
            self.findings.error(ErrorClass::RelocOverflow);
            return None;
        }
        self.findings.may(ErrorClass::RelocOverflow);
        Some(())
    }

    /// `S + A - P`.
    fn relative(&mut self, at: &At<'_>, key: &Key, thing: Thing) -> Option<Meaning> {
        let on = &self.link.world.on;
        match thing {
            Thing::Number(value) if on.pic => {
                let _ = value;
                // The distance to a number changes with the load address: no loader can fix it.
                self.findings.error(ErrorClass::RelocDynamic);
                self.findings.error(ErrorClass::RelocUnsupported);
                return None;
            }
            Thing::Null(_) if on.pic => {
                self.findings.may(ErrorClass::RelocDynamic);
                self.findings.open.push(open_key(key, "distance to null in a movable image"));
            }
            Thing::Number(value) => self.distance_to_number(at, value)?,
            Thing::Null(_) => self.distance_to_number(at, 0)?,
            Thing::Place { .. } | Thing::Common(_) | Thing::Linker(_) => {
                self.distance(at, thing)?
            }
            Thing::Dynamic(id) => self.relative_dynamic(at, id)?,
            Thing::Gone | Thing::Undefined => return None,
        }
        self.address(at, key, thing)
    }

    fn distance_to_number(&mut self, at: &At<'_>, value: u64) -> Option<()> {
        let sum = i128::from(value.wrapping_add(at.reloc.addend as u64) as i64);
        self.bounded(at, sum - HIGHEST, sum - LOWEST)
    }

    /// The distance of two places: known within a section, bounded otherwise.
    fn distance(&mut self, at: &At<'_>, thing: Thing) -> Option<()> {
        let addend = i128::from(at.reloc.addend);
        let ifunc = self.kind(at.file, at.reloc.symbol) == SymbolKind::Ifunc;
        match thing {
            Thing::Place { file, section, offset }
                if (file, section) == (at.file, at.index) && !ifunc =>
            {
                let value = i128::from(offset) + addend - i128::from(at.reloc.offset);
                if at.row.is_disputed(value as u64) {
                    self.findings.may(ErrorClass::RelocOverflow);
                    self.findings.everything("bfd's and mold's ranges of narrow fields", true);
                }
                self.bounded(at, value, value)
            }
            _ => self.bounded(at, addend - HIGHEST, addend + HIGHEST),
        }
    }

    fn relative_dynamic(&mut self, at: &At<'_>, id: usize) -> Option<()> {
        let kind = self.link.syms[id].kind;
        let writable = at.section.flags.write;
        if self.link.world.on.library {
            let certain = at.row.width < 4 || (kind == SymbolKind::Object && !writable);
            if certain && at.row.width < 8 {
                self.findings.error(ErrorClass::RelocDynamic);
                return None;
            }
            // A PLT entry (mold) or R_X86_64_PC32 for the loader (bfd) are ways out.
            self.findings.may(ErrorClass::RelocDynamic);
            return Some(());
        }
        self.uses[id].direct = true;
        if at.row.width < 4 {
            self.findings.may(ErrorClass::RelocDynamic);
            self.findings.may(ErrorClass::RelocOverflow);
        }
        Some(())
    }

    /// `L + A - P`.
    fn call(&mut self, at: &At<'_>, key: &Key, thing: Thing) -> Option<Meaning> {
        let pic = self.link.world.on.pic;
        match thing {
            Thing::Number(_) if pic => {
                self.findings.may(ErrorClass::RelocDynamic);
                self.findings.may(ErrorClass::RelocUnsupported);
                self.findings.open.push(open_key(key, "a call of a number in a movable image"));
            }
            Thing::Null(_) if pic => {
                self.findings.open.push(open_key(key, "a call of nothing"));
            }
            Thing::Number(value) => self.distance_to_number(at, value)?,
            Thing::Null(_) => self.distance_to_number(at, 0)?,
            Thing::Place { .. } | Thing::Common(_) | Thing::Linker(_) => {
                self.distance(at, thing)?
            }
            Thing::Dynamic(_) => {
                self.bounded(
                    at,
                    i128::from(at.reloc.addend) - HIGHEST,
                    i128::from(at.reloc.addend) + HIGHEST,
                )?;
            }
            Thing::Gone | Thing::Undefined => return None,
        }
        self.address(at, key, thing)
    }

    /// `G + A`, `G + GOT + A - P`.
    fn got(&mut self, at: &At<'_>, key: &Key, thing: Thing) -> Option<Meaning> {
        let addend = i128::from(at.reloc.addend);
        self.bounded(at, addend - HIGHEST, addend + HIGHEST)?;
        self.address(at, key, thing)
    }

    /// `S + A - GOT`, `L + A - GOT`.
    fn off_got(&mut self, at: &At<'_>, key: &Key, thing: Thing) -> Option<Meaning> {
        let pltoff = at.reloc.r_type == 31;
        match thing {
            Thing::Place { .. } | Thing::Common(_) | Thing::Linker(_) => {}
            Thing::Dynamic(_) if pltoff => {}
            _ => {
                self.findings.may(ErrorClass::RelocDynamic);
                self.findings.may(ErrorClass::RelocUnsupported);
                self.findings.open.push(open_key(key, "distance from the GOT to nowhere"));
            }
        }
        self.address(at, key, thing)
    }

    /// `Z + A`.
    fn size(&mut self, at: &At<'_>, key: &Key, thing: Thing) -> Option<Meaning> {
        let size = match self.link.target(at.file, at.reloc.symbol) {
            Target::Global(id) => self.link.syms[id].size,
            Target::Local { file, symbol } => self.link.symbol(file, symbol).size,
            Target::Null => 0,
            Target::Section { .. } => {
                self.findings.open.push(open_key(key, "the size of a section symbol"));
                0
            }
        };
        match thing {
            Thing::Dynamic(_) | Thing::Null(_) | Thing::Linker(_) => {
                self.findings.may(ErrorClass::RelocDynamic);
                self.findings.open.push(open_key(key, "the size of another module's symbol"));
            }
            _ => self.number(at, size)?,
        }
        Some(Meaning::Size(size))
    }

    fn tls(&mut self, at: &At<'_>, key: &Key, thing: Thing, tls: bool) -> Option<Meaning> {
        let on = &self.link.world.on;
        let unknown =
            matches!(thing, Thing::Dynamic(id) if self.link.syms[id].winner == Winner::Undefined);
        if !tls && !unknown {
            self.findings.may(ErrorClass::TlsMismatch);
            self.findings.may(ErrorClass::RelocUnsupported);
            self.findings.everything("a TLS relocation of something else", false);
            return None;
        }
        if matches!(at.reloc.symbol, SymbolRef::Section(_)) {
            // lld and bfd look at the symbol's type, and a section symbol has none.
            self.findings.may(ErrorClass::RelocDynamic);
            self.findings.may(ErrorClass::TlsMismatch);
        }
        match at.row.form {
            Form::TpOffset if on.library && at.row.width < 8 => {
                self.findings.error(ErrorClass::RelocDynamic);
                self.findings.error(ErrorClass::RelocUnsupported);
                return None;
            }
            Form::TpOffset if on.library => {
                self.static_tls = true;
                self.word(at.section.flags.write);
            }
            Form::TpOffset if matches!(thing, Thing::Dynamic(_)) && at.row.width < 8 => {
                self.findings.error(ErrorClass::RelocDynamic);
                self.findings.error(ErrorClass::RelocUnsupported);
                return None;
            }
            Form::DtpOffset if matches!(thing, Thing::Dynamic(_)) => {
                self.findings.may(ErrorClass::RelocDynamic);
                self.findings.may(ErrorClass::RelocUnsupported);
                self.findings.open.push(open_key(key, "an offset in another module's TLS block"));
            }
            _ => {}
        }
        let addend = i128::from(at.reloc.addend);
        match at.row.form {
            Form::TpOffset => self.bounded(at, addend - HIGHEST, addend - 1)?,
            _ => self.bounded(at, addend, addend + HIGHEST)?,
        }
        if self.link.world.on.library && matches!(at.reloc.r_type, 22 | 44 | 50) {
            self.static_tls = true;
        }
        if let Thing::Null(_) = thing {
            self.findings.open.push(open_key(key, "a weak undefined TLS symbol"));
        }
        let inner = self.address(at, key, thing)?;
        Some(Meaning::Tls(Box::new(inner)))
    }

    /// What the address of `thing` means; a merged piece is read there.
    fn address(&mut self, at: &At<'_>, key: &Key, thing: Thing) -> Option<Meaning> {
        if let Thing::Place { file, section, offset } = thing
            && self.link.section(file, section).flags.merge
        {
            return self.merged(at, key, file, section, offset);
        }
        if let Thing::Null(Some(id)) = thing {
            let sym = &self.link.syms[id];
            let importable = has_dynamic_table(self.link) && sym.visibility == Visibility::Default;
            if importable && !self.link.world.on.library {
                self.weak_sites.entry(id).or_default().push(key.clone());
            }
        }
        let ifunc = self.kind(at.file, at.reloc.symbol) == SymbolKind::Ifunc;
        Some(self.plain(thing, ifunc))
    }

    fn plain(&self, thing: Thing, ifunc: bool) -> Meaning {
        match thing {
            Thing::Place { file, section, offset } => {
                let place = self.at_place(file, section, offset as i64);
                if ifunc { Meaning::Ifunc(place) } else { Meaning::Place(place) }
            }
            Thing::Common(id) => Meaning::Place(self.common_place(id)),
            Thing::Number(value) => Meaning::Absolute(value),
            Thing::Null(_) => Meaning::Absolute(0),
            Thing::Dynamic(id) => Meaning::Dynamic(self.lookup_name(id).into()),
            Thing::Linker(id) => match &*self.link.syms[id].name {
                "_GLOBAL_OFFSET_TABLE_" => Meaning::GotBase,
                name => Meaning::Linker(name.into()),
            },
            Thing::Gone | Thing::Undefined => Meaning::Discarded,
        }
    }

    fn at_place(&self, file: usize, section: usize, offset: i64) -> Place {
        Place { section: self.labels[file][section].clone(), offset }
    }

    fn common_place(&self, id: usize) -> Place {
        let Winner::Common { file, .. } = self.link.syms[id].winner else { unreachable!() };
        let name = self.link.world.files[file].name();
        let section = format!("{name}:COMMON.{}", self.link.syms[id].name);
        Place { section: section.into(), offset: 0 }
    }

    /// `NAME` or `NAME@VER`, as the loader looks it up.
    pub(crate) fn lookup_name(&self, id: usize) -> String {
        let sym = &self.link.syms[id];
        let version = match (&self.bounds[id].version, sym.winner) {
            (Some((version, _)), _) => Some(&**version),
            (None, Winner::Library { .. }) => sym.version.map(|(version, _)| version),
            (None, _) => sym.wanted,
        };
        match version {
            Some(version) => format!("{}@{version}", sym.name),
            None => sym.name.clone().into_owned(),
        }
    }

    fn merged(
        &mut self,
        at: &At<'_>,
        key: &Key,
        file: usize,
        section: usize,
        offset: u64,
    ) -> Option<Meaning> {
        let by_section = matches!(at.reloc.symbol, SymbolRef::Section(_));
        let mut offset = i128::from(offset);
        if by_section {
            offset += i128::from(at.reloc.addend);
            if matches!(at.row.form, Form::Relative | Form::Call) {
                self.findings.open.push(open_key(key, "which piece a distance selects"));
            }
        }
        match piece(self.link.section(file, section), offset) {
            Some(bytes) => Some(Meaning::Merged(bytes)),
            None => {
                self.findings.open.push(open_key(key, "outside of a merged piece"));
                Some(Meaning::Merged(Vec::new()))
            }
        }
    }

    /// The meaning of an exported definition.
    pub(crate) fn export_meaning(&self, id: usize) -> Meaning {
        let thing = self.definition(id);
        let kind = self.link.syms[self.link.follow(id)].kind;
        if let Thing::Place { file, section, offset } = thing
            && self.link.section(file, section).flags.merge
            && let Some(bytes) = piece(self.link.section(file, section), offset.into())
        {
            return Meaning::Merged(bytes);
        }
        match (kind, self.plain(thing, kind == SymbolKind::Ifunc)) {
            (SymbolKind::Tls, meaning) => Meaning::Tls(Box::new(meaning)),
            (_, meaning) => meaning,
        }
    }

    /// What a pointer-sized slot that a relocation fills holds: the addend is part of it.
    pub(crate) fn pointer(&self, file: usize, reloc: &Reloc) -> Option<Meaning> {
        let thing = self.thing(file, reloc.symbol);
        let ifunc = self.kind(file, reloc.symbol) == SymbolKind::Ifunc;
        match self.plain(thing, ifunc) {
            Meaning::Place(place) => {
                let offset = place.offset.wrapping_add(reloc.addend);
                Some(Meaning::Place(Place { offset, ..place }))
            }
            Meaning::Absolute(value) => {
                Some(Meaning::Absolute(value.wrapping_add(reloc.addend as u64)))
            }
            Meaning::Discarded => None,
            meaning if reloc.addend == 0 => Some(meaning),
            _ => None,
        }
    }

    /// Whether a library's definition is a number, which linkers treat in their own ways.
    pub(crate) fn is_library_number(&self, id: usize) -> bool {
        match self.link.syms[id].winner {
            Winner::Library { library, symbol } => matches!(
                self.link.world.libraries[library].symbols[symbol].defined,
                LibraryDefinition::Absolute(_)
            ),
            _ => false,
        }
    }

    /// Whether a symbol of a file defines something in that section under a name of its own.
    pub(crate) fn is_findable(&self, file: usize, section: usize) -> bool {
        let it = self.link.section(file, section);
        if it.marker && it.kind != SectionKind::Nobits {
            return true;
        }
        let object = self.link.world.files[file].object;
        object.symbols.iter().zip(&self.link.ids[file]).enumerate().any(|(index, (s, &id))| {
            matches!(s.definition, Definition::Section { section: at, .. } if at == section)
                && (id == LOCAL
                    || self.link.syms[id].winner == Winner::Object { file, symbol: index })
        })
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

fn open_key(key: &Key, reason: &'static str) -> scold_diff::expectation::Open {
    scold_diff::expectation::Open {
        family: Some(key.family),
        rest: key.rest.clone(),
        reason,
        policy: false,
    }
}

fn labels(link: &Link<'_>, file: usize) -> Vec<Box<str>> {
    let name = link.world.files[file].name();
    let sections = &link.world.files[file].object.sections;
    let mut counts: FxHashMap<&str, usize> = FxHashMap::default();
    let label = |section: &Section, k| match k {
        0 => format!("{name}:{}", section.name).into(),
        k => format!("{name}:{}#{k}", section.name).into(),
    };
    let mut list = Vec::with_capacity(sections.len());
    for section in sections {
        let count = counts.entry(&section.name).or_default();
        list.push(label(section, *count));
        *count += 1;
    }
    list
}

/// The string from `offset` to its NUL, or the whole constant there.
fn piece(section: &Section, offset: i128) -> Option<Vec<u8>> {
    let Data::Bytes(data) = &section.data else { return None };
    let at = usize::try_from(offset - i128::from(section.start())).ok()?;
    if at >= data.len() {
        return None;
    }
    let unit = usize::try_from(section.entsize).ok()?.max(1);
    if !section.flags.strings {
        let start = at - at % unit;
        return data.get(start..start + unit).map(<[u8]>::to_vec);
    }
    let end = data[at..].chunks_exact(unit).position(|c| c.iter().all(|&b| b == 0))?;
    Some(data[at..at + end * unit].to_vec())
}
