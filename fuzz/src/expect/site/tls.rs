//! What TLS relocations compute, and when they must or may be refused.
//!
//! Spec: ELF TLS; the psABIs, through the rows of [`crate::machine`]. It must not know how a target is told:
//! that is `meaning`.

use scold_diff::Key;
use scold_diff::model::{ErrorClass, Meaning};

use super::super::resolve::Winner;
use super::{At, HIGHEST, Sites, Thing, open_key};
use crate::case::{Data, Definition, Reloc, SymbolKind, SymbolRef};
use crate::machine::Form;

impl Sites<'_, '_> {
    /// `_TLS_MODULE_BASE_`: the start of the module's TLS block, for descriptors.
    pub(super) fn module_base(&mut self, at: &At<'_>, key: &Key) -> Option<Meaning> {
        if at.row.form != Form::TlsDescriptor {
            self.findings.may(ErrorClass::TlsMismatch);
            self.findings.may(ErrorClass::RelocUnsupported);
            self.findings.open.push(open_key(key, "the module's TLS block without a descriptor"));
        }
        Some(Meaning::TlsModule)
    }

    /// Sequences and symbols that some don't take.
    pub(super) fn unusual_tls(&mut self, at: &At<'_>) {
        if self.is_rare_sequence(at) {
            // Only bfd and gold know these.
            self.findings.may(ErrorClass::RelocUnsupported);
            self.findings.may(ErrorClass::BadInput);
            self.findings.may(ErrorClass::Other);
        }
        if matches!(at.reloc.symbol, SymbolRef::Section(_)) {
            // lld and bfd look at the symbol's type, and a section symbol has none.
            self.findings.may(ErrorClass::RelocDynamic);
            self.findings.may(ErrorClass::TlsMismatch);
        }
    }

    pub(super) fn tls(
        &mut self,
        at: &At<'_>,
        key: &Key,
        thing: Thing,
        tls: bool,
    ) -> Option<Meaning> {
        let on = &self.link.world.on;
        // gABI ch. 4, STT_TLS: TLS relocations "can only reference symbols with type STT_TLS", defined or not.
        let unknown =
            matches!(thing, Thing::Dynamic(id) if self.link.syms[id].winner == Winner::Undefined);
        let says_so = matches!(at.reloc.symbol, SymbolRef::Named(symbol)
            if self.link.symbol(at.file, symbol).kind == SymbolKind::Tls);
        if !(tls || unknown && says_so) {
            self.findings.may(ErrorClass::TlsMismatch);
            self.findings.may(ErrorClass::RelocUnsupported);
            self.findings.everything("a TLS relocation of something else", false);
            return None;
        }
        self.unusual_tls(at);
        match at.row.form {
            Form::TpOffset
                if at.row.field.width < self.machine.word
                    && (on.library || matches!(thing, Thing::Dynamic(_))) =>
            {
                self.findings.error(ErrorClass::RelocDynamic);
                self.findings.error(ErrorClass::RelocUnsupported);
                return None;
            }
            Form::TpOffset if on.library => {
                // A word that the loader could fill, but that no compiler writes.
                self.findings.may(ErrorClass::RelocDynamic);
                self.findings.may(ErrorClass::RelocUnsupported);
                self.static_tls = true;
                self.word(at.section.flags.write);
            }
            Form::TpOffset if matches!(thing, Thing::Dynamic(_)) => {
                self.findings.may(ErrorClass::RelocDynamic);
                self.findings.may(ErrorClass::RelocUnsupported);
            }
            Form::DtpOffset if matches!(thing, Thing::Dynamic(_)) => {
                self.findings.may(ErrorClass::RelocDynamic);
                self.findings.may(ErrorClass::RelocUnsupported);
                self.findings.open.push(open_key(key, "an offset in another module's TLS block"));
            }
            _ => {}
        }
        self.tls_fits(at, key, thing)?;
        if self.link.world.on.library && at.row.form == Form::TlsInitial {
            self.static_tls = true;
        }
        if let Thing::Null(_) = thing {
            self.findings.open.push(open_key(key, "a weak undefined TLS symbol"));
        }
        let inner = self.address(at, key, thing)?;
        Some(Meaning::Tls(Box::new(inner)))
    }

    /// Whether a TLS sequence is one that some linkers don't know.
    fn is_rare_sequence(&self, at: &At<'_>) -> bool {
        match (&at.section.data, at.reloc.offset.checked_sub(at.section.start())) {
            (Data::Bytes(data), Some(offset)) => {
                (self.machine.rare_sequence)(at.reloc.r_type, data, offset)
            }
            _ => false,
        }
    }

    /// Whether the offset of a TLS variable, or its slot, is in reach.
    fn tls_fits(&mut self, at: &At<'_>, key: &Key, thing: Thing) -> Option<()> {
        let addend = i128::from(at.reloc.addend);
        if at.row.form == Form::DtpOffset && self.machine.tcb.is_some() && self.is_alone(at) {
            let reason = "an offset without the sequence that it belongs to";
            self.findings.open.push(open_key(key, reason));
        }
        if matches!(at.row.form, Form::TpOffset | Form::DtpOffset) {
            self.aligned(at, thing)?;
        }
        let most = self.tls_size();
        match (at.row.form, self.machine.tcb) {
            (Form::TpOffset, None) => self.bounded(at, addend - HIGHEST, addend - 1)?,
            (Form::TpOffset, Some(tcb)) => {
                let least = addend + i128::from(tcb);
                self.bounded(at, least, least + most)?;
            }
            (Form::DtpOffset, Some(tcb)) => {
                self.bounded(at, addend, addend + most + i128::from(tcb))?;
            }
            // Linkers make it an offset from the thread pointer in programs' code.
            (Form::DtpOffset, None) if !self.link.world.on.library && at.section.flags.exec => {
                self.bounded(at, addend - HIGHEST, addend + HIGHEST)?;
            }
            _ => self.bounded(at, addend, addend + HIGHEST)?,
        }
        Some(())
    }

    /// Whether an offset in the module's block is in code that doesn't make the block's address.
    fn is_alone(&self, at: &At<'_>) -> bool {
        let module = |reloc: &Reloc| {
            let row = self.machine.row(reloc.r_type);
            row.is_some_and(|row| row.form == Form::TlsModule)
        };
        at.section.flags.exec && !at.section.relocs.iter().any(module)
    }

    /// The most that the module's TLS block takes, alignment included.
    fn tls_size(&self) -> i128 {
        let mut size = 0;
        for file in self.link.loaded() {
            let sections = &self.link.world.files[file].object.sections;
            for section in sections.iter().filter(|section| section.flags.tls) {
                // Alignment counts at the block's start, too.
                size += i128::from(section.size()) + 2 * i128::from(section.align);
            }
            let symbols = &self.link.world.files[file].object.symbols;
            for symbol in symbols.iter().filter(|symbol| symbol.kind == SymbolKind::Tls) {
                if let Definition::Common { align } = symbol.definition {
                    size += i128::from(symbol.size) + 2 * i128::from(align);
                }
            }
        }
        size
    }
}
