//! Sites: what every relocation of the output means, which names dyld binds for them, and which
//! relocations must be refused.
//!
//! Spec: reloc.h of each machine, by the rows of [`crate::machine::macho`]. Addresses are never computed: an
//! image is anywhere, and where arithmetic needs a distance that a linker chooses, bounds that hold for all of them
//! decide, or the site is left open.

mod arithmetic;

use std::collections::{BTreeMap, BTreeSet};

use scold_diff::model::{ErrorClass, Facts, Meaning, Place, Value};
use scold_diff::{Family, Key};

use super::live::Part;
use super::resolve::{Fate, Findings, Link, Target, Winner};
use crate::case::{Data, Definition, Reloc, Section, SectionKind, SymbolRef};
use crate::machine::{Form, Row, Rows};

/// Walks all relocations of the output.
pub(super) struct Sites<'l, 'c> {
    pub(super) link: &'l Link<'c>,
    pub(super) findings: Findings,
    pub(super) facts: Facts,
    /// What dyld binds for something in the output, as it is looked up: the name's index.
    pub(super) bound: BTreeMap<String, usize>,
    rows: Rows,
}

/// A relocation where it is.
#[derive(Clone, Copy)]
struct At<'a> {
    file: usize,
    index: usize,
    section: &'a Section,
    reloc: &'a Reloc,
    row: &'static Row,
}

impl<'l, 'c> Sites<'l, 'c> {
    pub(super) fn new(link: &'l Link<'c>, findings: Findings) -> Self {
        Self {
            link,
            findings,
            facts: Facts::default(),
            bound: BTreeMap::new(),
            rows: Rows(link.world.machine.rows),
        }
    }

    /// Judges every relocation of what is in the output and adds the `site` facts.
    pub(super) fn walk(&mut self) {
        for &file in &self.link.world.order {
            for index in 0..self.link.labels[file].len() {
                let section = self.link.section(file, index);
                // What describes functions goes with them.
                let described = super::unwind::describes(section);
                if self.link.fates[file][index] == Fate::Live && !described {
                    self.walk_section(file, index, section);
                }
            }
        }
    }

    fn walk_section(&mut self, file: usize, index: usize, section: &'l Section) {
        let mut minus: Option<At<'l>> = None;
        for reloc in &section.relocs {
            let Some(row) = self.rows.row(reloc.r_type) else {
                self.findings.error(ErrorClass::RelocUnsupported);
                continue;
            };
            let at = At { file, index, section, reloc, row };
            self.judge_field(&at, minus.is_some());
            match row.form {
                Form::Minus => {
                    self.subtrahend(&at);
                    minus = Some(at);
                }
                Form::Addend => {
                    self.findings.everything("an addend as a relocation of its own", false)
                }
                _ => {
                    let meaning = self.meaning(&at, minus.take());
                    if let Some(meaning) = meaning.filter(|_| !is_taken_apart(section)) {
                        self.facts.add(Family::Site, self.key(&at).rest, Value::Ref(meaning));
                    }
                }
            }
        }
        if minus.is_some() {
            self.findings.error(ErrorClass::BadInput);
        }
    }

    fn key(&self, at: &At<'_>) -> Key {
        let label = &self.link.labels[at.file][at.index];
        Key::new(Family::Site, format!("{label}+{:#x}", at.reloc.offset))
    }

    /// Whether the field is in the section, and of a kind that linkers know.
    fn judge_field(&mut self, at: &At<'_>, paired: bool) {
        let width = u64::from(at.row.field.width).max(1);
        let end = at.reloc.offset.checked_add(width);
        if end.is_none_or(|end| end > at.section.size()) || at.section.kind.is_zerofill() {
            self.findings.error(ErrorClass::BadInput);
        }
        self.bits(at);
        if at.row.rare {
            self.findings.may(ErrorClass::RelocUnsupported);
        }
        if paired && at.row.form != Form::Absolute {
            self.findings.error(ErrorClass::BadInput);
        }
    }

    /// What is subtracted must be in this image: dyld adds, but never subtracts.
    fn subtrahend(&mut self, at: &At<'_>) {
        let own = self.link.part(at.file, at.reloc.symbol);
        match at.reloc.symbol {
            SymbolRef::Named(_) if own.is_some() => {}
            SymbolRef::Named(_) => self.foreign(at, "a number or an import as subtrahend"),
            _ => self.findings.error(ErrorClass::BadInput),
        }
    }

    /// A name of another image where only one of this image can be.
    fn foreign(&mut self, at: &At<'_>, reason: &'static str) {
        let number = match self.link.target(at.file, at.reloc.symbol) {
            Target::Global(id) => self.link.number(id).is_some(),
            Target::Local { .. } => true,
            _ => false,
        };
        if number {
            self.findings.may(ErrorClass::RelocDynamic);
            self.findings.everything(reason, false);
            return;
        }
        self.findings.error(ErrorClass::RelocDynamic);
        self.findings.may(ErrorClass::UndefinedSymbol);
        self.findings.may(ErrorClass::RelocUnsupported);
        self.findings.may(ErrorClass::RelocOverflow);
    }

    /// What the relocation means for S, its addend taken off.
    fn meaning(&mut self, at: &At<'_>, minus: Option<At<'_>>) -> Option<Meaning> {
        if let Target::Global(id) = self.link.target(at.file, at.reloc.symbol) {
            if self.link.syms[id].winner == Winner::Undefined {
                self.findings.error(ErrorClass::UndefinedSymbol);
                return None;
            }
            let variable = self.link.is_thread_local(id);
            if at.row.form == Form::TlsDescriptor && !variable {
                self.mismatch(at, id);
            } else if variable && at.row.form != Form::TlsDescriptor {
                // lld wants every reference to a descriptor to say so.
                self.findings.may(ErrorClass::TlsMismatch);
                self.findings.everything("an ordinary relocation of a descriptor", true);
            }
            if let Some((reason, policy)) = self.findings.unclear.get(self.link.syms[id].name) {
                let (reason, policy) = (*reason, *policy);
                self.open_site(at, reason, policy);
            }
        }
        let meaning = match at.row.form {
            Form::Absolute => self.pointer(at, minus),
            Form::Call | Form::Branch | Form::Got | Form::TlsDescriptor => self.reached(at),
            _ => self.direct(at),
        };
        self.range(at, minus, meaning.as_ref());
        match meaning {
            Some(Meaning::Absolute(number)) if at.row.form != Form::Got => {
                Some(self.number(at, number))
            }
            meaning => meaning,
        }
    }

    /// A number in a field.
    fn number(&mut self, at: &At<'_>, number: u64) -> Meaning {
        match (at.row.form, at.row.field.width) {
            (Form::Absolute, 4) => Meaning::Absolute(number & 0xffff_ffff),
            (Form::Absolute, _) => Meaning::Absolute(number),
            _ => {
                // Its distance changes with the image's address.
                self.open_site(at, "the distance to a number", false);
                Meaning::Absolute(number)
            }
        }
    }

    /// A TLV access of what is no variable.
    fn mismatch(&mut self, at: &At<'_>, id: usize) {
        match self.link.syms[id].winner {
            // A library says no more than its trie does.
            Winner::Library { .. } | Winner::System => {
                self.findings.may(ErrorClass::TlsMismatch);
                self.findings.everything("a variable of unknown kind", true);
            }
            _ => {
                self.findings.error(ErrorClass::TlsMismatch);
                let _ = at;
            }
        }
    }

    fn open_site(&mut self, at: &At<'_>, reason: &'static str, policy: bool) {
        let key = self.key(at);
        let open = scold_diff::expectation::Open {
            family: Some(Family::Site),
            rest: key.rest,
            reason,
            policy,
        };
        self.findings.open.push(open);
    }

    /// A word that dyld mends, or a difference that is known when linking.
    fn pointer(&mut self, at: &At<'_>, minus: Option<At<'_>>) -> Option<Meaning> {
        if minus.is_some() {
            // The minuend's own definition: nothing is looked up for a difference.
            if self.link.part(at.file, at.reloc.symbol).is_none() {
                self.foreign(at, "a number or an import as minuend");
            }
            return self.own(at);
        }
        let target = self.link.target(at.file, at.reloc.symbol);
        if let Target::Global(id) = target
            && self.link.syms[id].bound.is_some()
        {
            self.mended(at);
            return Some(self.lookup(id));
        }
        let meaning = self.own(at);
        let number = matches!(meaning, Some(Meaning::Absolute(_)));
        if !number && !is_taken_apart(at.section) {
            self.mended(at);
        }
        match meaning {
            Some(Meaning::Place(place))
                if at.section.kind == SectionKind::ThreadLocalVariables && self.is_content(at) =>
            {
                Some(Meaning::Tls(Box::new(Meaning::Place(place))))
            }
            other => other,
        }
    }

    /// dyld mends whole words of memory that can be written.
    fn mended(&mut self, at: &At<'_>) {
        if at.row.field.width != 8 || at.section.name.starts_with("__TEXT,") {
            self.findings.error(ErrorClass::RelocDynamic);
            self.findings.may(ErrorClass::RelocUnsupported);
            self.findings.may(ErrorClass::RelocOverflow);
        }
        if self.link.world.on.chained
            && !(is_aligned(at.section) && at.reloc.offset.is_multiple_of(4))
        {
            self.findings.may(ErrorClass::RelocMisaligned);
            self.findings.may(ErrorClass::RelocUnsupported);
            self.findings.everything("a pointer that chains can't hold", false);
        }
    }

    /// Whether the target is in the initial content of thread-local variables.
    fn is_content(&self, at: &At<'_>) -> bool {
        use SectionKind::{ThreadLocalRegular, ThreadLocalZerofill};
        match self.link.part(at.file, at.reloc.symbol) {
            Some(Part::Section(file, section)) => matches!(
                self.link.section(file, section).kind,
                ThreadLocalRegular | ThreadLocalZerofill
            ),
            _ => false,
        }
    }

    /// Through a stub or a slot if dyld looks the name up.
    fn reached(&mut self, at: &At<'_>) -> Option<Meaning> {
        match self.link.target(at.file, at.reloc.symbol) {
            Target::Global(id) if self.link.syms[id].bound.is_some() => Some(self.lookup(id)),
            _ => self.own(at),
        }
    }

    /// The address itself, in code.
    fn direct(&mut self, at: &At<'_>) -> Option<Meaning> {
        if let Target::Global(id) = self.link.target(at.file, at.reloc.symbol)
            && self.link.syms[id].bound.is_some()
        {
            if self.link.home(id).is_none() {
                self.foreign(at, "an import without a slot");
                return None;
            }
            // The image's own copy, whoever wins at run time.
            self.open_site(at, "the address of what may be overridden", true);
        }
        self.own(at)
    }

    /// A name that dyld looks up for the image.
    pub(super) fn lookup(&mut self, id: usize) -> Meaning {
        let name = self.link.syms[id].bound.clone().unwrap_or_default();
        if self.link.home(id).is_none() {
            self.bound.insert(name.clone(), id);
        }
        Meaning::Dynamic(name.into())
    }

    /// The definition in this image.
    fn own(&mut self, at: &At<'_>) -> Option<Meaning> {
        if let Some(Part::Section(file, section)) = self.link.part(at.file, at.reloc.symbol) {
            if self.link.fates[file][section] != Fate::Live {
                self.open_site(at, "into a weak copy that lost", false);
            }
            let cut = self.link.world.files[file].object.subsections;
            if cut && arithmetic::leaves(at, self.link.section(file, section).size()) {
                self.open_site(at, "which atom an address beyond its section is in", false);
            }
        }
        let addend = match at.reloc.symbol {
            SymbolRef::Section(_) => at.reloc.addend,
            _ => 0,
        };
        match self.link.target(at.file, at.reloc.symbol) {
            Target::Null => Some(Meaning::Absolute(0)),
            Target::Section { file, section } => Some(self.place(file, section, 0, addend)),
            Target::Local { file, symbol } => self.defined(file, symbol),
            Target::Global(id) => self.meaning_of(id),
        }
    }

    /// What a pointer of a table that the linker reads leads to, its addend not counted.
    pub(super) fn named(&mut self, file: usize, reloc: &Reloc) -> Option<Meaning> {
        match self.link.target(file, reloc.symbol) {
            Target::Null => None,
            Target::Section { file, section } => Some(self.place(file, section, 0, reloc.addend)),
            Target::Local { file, symbol } => self.defined(file, symbol),
            Target::Global(id) if self.link.syms[id].bound.is_some() => Some(self.lookup(id)),
            Target::Global(id) => self.meaning_of(id),
        }
    }

    /// What a name stands for in this image.
    pub(super) fn meaning_of(&self, id: usize) -> Option<Meaning> {
        match self.link.syms[id].winner {
            Winner::Object { file, symbol } => self.defined(file, symbol),
            Winner::Common { file, .. } => {
                let name = self.link.world.files[file].name();
                let section = format!("{name}:COMMON.{}", self.link.syms[id].name).into();
                Some(Meaning::Place(Place { section, offset: 0 }))
            }
            Winner::Linker => Some(Meaning::Linker(self.link.syms[id].name.into())),
            _ => None,
        }
    }

    fn defined(&self, file: usize, symbol: usize) -> Option<Meaning> {
        match self.link.symbol(file, symbol).definition {
            Definition::Section { section, offset } => {
                Some(self.place(file, section, offset as i64, 0))
            }
            Definition::Absolute(value) => Some(Meaning::Absolute(value)),
            _ => None,
        }
    }

    /// A place, or what is there if only that counts. `addend` says where in it, when no symbol does.
    fn place(&self, file: usize, section: usize, offset: i64, addend: i64) -> Meaning {
        let it = self.link.section(file, section);
        if let Some(bytes) = element(it, offset.wrapping_add(addend)) {
            return Meaning::Merged(bytes);
        }
        Meaning::Place(Place { section: self.link.labels[file][section].clone(), offset })
    }

    /// Names that options want.
    pub(super) fn check_names(&mut self) {
        let on = &self.link.world.on;
        let entry = (!on.library).then_some(on.entry);
        for name in on.undefined.iter().copied().chain(entry) {
            let id = self.link.find(name);
            if id.is_none_or(|id| self.link.syms[id].winner == Winner::Undefined) {
                self.findings.error(ErrorClass::UndefinedSymbol);
            }
        }
    }

    /// `import`: what dyld binds.
    pub(super) fn imports(&mut self) {
        let mut done = BTreeSet::new();
        for (name, id) in std::mem::take(&mut self.bound) {
            let sym = &self.link.syms[id];
            let weak_library = match sym.winner {
                Winner::Library { library, .. } => self.link.world.libraries[library].weak,
                _ => false,
            };
            let weak = weak_library || (sym.weak_ref && !sym.strong_ref);
            if done.insert(name.clone()) {
                self.facts.add(Family::Import, name, Value::Import { weak });
            }
        }
    }
}

/// The string from `at` to its NUL, or the whole constant there; nothing for sections of other kinds.
fn element(section: &Section, at: i64) -> Option<Vec<u8>> {
    let size = match section.kind {
        SectionKind::CstringLiterals => 0,
        SectionKind::Literals4 => 4,
        SectionKind::Literals8 => 8,
        SectionKind::Literals16 => 16,
        _ => return None,
    };
    let Data::Bytes(data) = &section.data else { return Some(Vec::new()) };
    let at = usize::try_from(at).ok()?;
    if size > 0 {
        let start = at - at % size;
        return Some(data.get(start..start + size).unwrap_or_default().to_vec());
    }
    let rest = data.get(at..).unwrap_or_default();
    let end = rest.iter().position(|&byte| byte == 0)?;
    Some(rest[..end].to_vec())
}

/// Whether what starts a section may be in a chain. Descriptors are pointers, and aligned as such, whatever their
/// section says: compilers say nothing.
fn is_aligned(section: &Section) -> bool {
    section.kind == SectionKind::ThreadLocalVariables || section.align.is_multiple_of(4)
}

/// Whether a section is one that the linker takes apart: no site, bytes or perm facts.
pub(super) fn is_taken_apart(section: &Section) -> bool {
    use SectionKind::{CstringLiterals, FiniArray, InitArray, Literals4, Literals8, Literals16};
    matches!(
        section.kind,
        CstringLiterals | Literals4 | Literals8 | Literals16 | InitArray | FiniArray
    ) || super::unwind::describes(section)
}
