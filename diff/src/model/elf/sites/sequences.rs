//! TLS sequences: which variable they reach, kept, relaxed or rewritten.
//!
//! Spec: ELF TLS. The instructions are the machine's to decode.

use super::super::judge::{Found, Reference, Use};
use super::super::machine::{Form, Row, TlsAccess};
use super::super::object::{EXEC, Reloc};
use super::Pass;
use crate::loader::Kind;
use crate::model::Meaning;

impl Pass<'_, '_, '_> {
    /// The call of a kept TLS sequence has no site of its own, but must go where it should; that of a
    /// rewritten one is gone.
    pub(super) fn ends_tls_sequence(&mut self, reloc: Reloc, row: Row, to: Reference<'_>) -> bool {
        // A sequence may have several relocations before its call.
        if matches!(row.form, Form::TlsGd | Form::TlsLd) {
            return false;
        }
        let Some((index, from, kept)) = self.tls_call.take() else { return false };
        if reloc.offset <= from || reloc.offset > from + self.judge.module.machine.tls_call {
            return false;
        }
        if index >= self.sites.len() || !kept {
            return true;
        }
        let called = match row.code {
            true => self.reached(self.decoded(reloc, row), row, reloc.addend as u64, to),
            false => self.plain(reloc, row, to),
        };
        let good = match &called {
            Meaning::Dynamic(name) => name.starts_with("__tls_get_addr"),
            Meaning::Place(_) => !to.defs.is_empty(),
            _ => false,
        };
        if !good {
            self.sites[index].1 = Meaning::Bad(format!("a TLS sequence that calls `{called}`"));
        }
        true
    }

    /// TLSGD, TLSLD.
    pub(super) fn dynamic_tls(
        &mut self,
        access: Result<TlsAccess, String>,
        reloc: Reloc,
        row: Row,
        to: Reference<'_>,
    ) -> Meaning {
        if row.form == Form::TlsGd {
            return self.tls_access(access, reloc, to);
        }
        match access {
            Err(text) => Meaning::Bad(text),
            Ok(TlsAccess::Pair(points)) => {
                self.local_dynamic = None;
                self.block = true;
                let slot = points.wrapping_sub(self.rest(reloc));
                match self.pair(slot, true) {
                    Ok(Found::Tls(address)) => self.block_at(address, "a local dynamic pair"),
                    Ok(_) => Meaning::TlsModule,
                    Err(text) => Meaning::Bad(text),
                }
            }
            Ok(TlsAccess::Thread(offset)) => {
                self.local_dynamic = Some(offset);
                match self.judge.module.executable {
                    true => Meaning::TlsModule,
                    false => Meaning::Bad("local exec in a library".into()),
                }
            }
            Ok(_) => Meaning::Bad("a module's TLS block through one slot".into()),
        }
    }

    /// The addend, counted from the place itself.
    fn rest(&self, reloc: Reloc) -> u64 {
        (reloc.addend as u64).wrapping_add(self.judge.module.machine.instruction_bias)
    }

    /// TLSDESC of `_TLS_MODULE_BASE_`.
    pub(super) fn module_base(
        &mut self,
        access: Result<TlsAccess, String>,
        reloc: Reloc,
    ) -> Meaning {
        let rest = self.rest(reloc);
        let template = self.judge.module.image.tls.map_or(0, |tls| tls.address);
        match access {
            Ok(TlsAccess::Descriptor(points)) => {
                self.local_dynamic = None;
                self.block = true;
                match self.descriptor_slot(points.wrapping_sub(rest)) {
                    Found::Tls(address) => self.block_at(address, "a descriptor"),
                    // gold names the descriptor's symbol, which is a local one.
                    Found::TlsSymbol(index, addend) => match self.judge.module.symbol(index) {
                        Some(base) if base.binding == 0 && !base.undefined() => {
                            let address = template.wrapping_add(base.value).wrapping_add(addend);
                            self.block_at(address, "a descriptor")
                        }
                        _ => Meaning::Bad("a descriptor of something else".into()),
                    },
                    _ => Meaning::Bad("a descriptor of something else".into()),
                }
            }
            Ok(TlsAccess::Thread(offset)) if self.judge.module.executable => {
                self.local_dynamic = Some(offset);
                Meaning::TlsModule
            }
            Ok(_) => Meaning::Bad("a module's TLS block through one slot".into()),
            Err(text) => Meaning::Bad(text),
        }
    }

    /// The module's block, from which a local dynamic sequence counts: its start, or in an executable
    /// any place of it (wild: the thread pointer's), as long as what follows counts from there.
    fn block_at(&mut self, address: u64, what: &str) -> Meaning {
        match self.judge.module.image.tls {
            Some(tls) if address != tls.address && self.judge.module.executable => {
                self.local_dynamic =
                    Some(address.wrapping_add((self.judge.module.machine.tp_bias)(&tls)));
                Meaning::TlsModule
            }
            Some(tls) if address != tls.address => Meaning::Bad(format!("{what} with an offset")),
            _ => Meaning::TlsModule,
        }
    }

    /// TLSDESC_CALL: kept or gone like the `lea` before it.
    pub(super) fn descriptor_call(&mut self, reloc: Reloc, row: Row) {
        let found = (self.judge.module.machine.call_kept)(self.site(reloc, row));
        let Some((index, symbol, kept)) = self.descriptor else { return };
        if symbol != reloc.symbol || found == Ok(kept) {
            return;
        }
        if let Some((_, meaning)) = self.sites.get_mut(index) {
            let text = found.err().unwrap_or_else(|| "a descriptor without its call".into());
            *meaning = Meaning::Bad(text);
        }
    }

    /// The variable that a TLS sequence reaches. Immediates and kept displacements have A + 4 in them.
    pub(super) fn tls_access(
        &self,
        access: Result<TlsAccess, String>,
        reloc: Reloc,
        to: Reference<'_>,
    ) -> Meaning {
        let rest = self.rest(reloc);
        let (found, addend) = match access {
            Err(text) => (Found::Bad(text), 0),
            Ok(TlsAccess::Pair(points)) => {
                (self.pair(points.wrapping_sub(rest), false).unwrap_or_else(Found::Bad), 0)
            }
            Ok(TlsAccess::Descriptor(points)) => {
                (self.descriptor_slot(points.wrapping_sub(rest)), 0)
            }
            Ok(TlsAccess::ThreadSlot(points)) => (self.thread_slot(points.wrapping_sub(rest)), 0),
            Ok(TlsAccess::Thread(offset)) => (self.thread(offset), rest),
        };
        self.judge.settle(found, addend, to, Use::Address)
    }

    /// A number of bytes from the thread pointer.
    pub(super) fn thread(&self, offset: u64) -> Found {
        match self.judge.module.image.tls {
            _ if !self.judge.module.executable => Found::Bad("local exec in a library".into()),
            None => Found::Bad("TLS in a module without PT_TLS".into()),
            Some(tls) => Found::Tls(offset.wrapping_sub((self.judge.module.machine.tp_bias)(&tls))),
        }
    }

    /// A GOT slot with an offset from the thread pointer.
    pub(super) fn thread_slot(&self, slot: u64) -> Found {
        let slot = self.judge.module.image.class.wrap(slot);
        match self.judge.module.reloc_at(slot) {
            Some(reloc) if reloc.kind == Kind::TpOff => self.judge.slot(slot),
            Some(_) => Found::Bad("a thread offset slot with another relocation".into()),
            None => match self.judge.slot(slot) {
                Found::Number(offset) => self.thread(offset),
                found => found,
            },
        }
    }

    pub(super) fn descriptor_slot(&self, slot: u64) -> Found {
        let slot = self.judge.module.image.class.wrap(slot);
        match self.judge.module.reloc_at(slot) {
            Some(reloc) if reloc.kind == Kind::TlsDesc => self.judge.slot(slot),
            _ => Found::Bad("no descriptor where one is used".into()),
        }
    }

    /// A pair of GOT slots: module id and offset; for local dynamic the offset must be 0.
    pub(super) fn pair(&self, slot: u64, block: bool) -> Result<Found, String> {
        let judge = self.judge;
        let slot = judge.module.image.class.wrap(slot);
        let template = judge.module.image.tls.map_or(0, |tls| tls.address);
        let second = slot.wrapping_add(judge.module.image.class.word());
        let own = |module: u32| {
            module == 0
                || judge.module.symbol(module).is_some_and(|s| judge.module.binds_locally(s))
        };
        let module = match judge.module.reloc_at(slot) {
            Some(reloc) if reloc.kind == Kind::DtpMod => reloc.symbol,
            Some(_) => return Err("a module id slot with another relocation".into()),
            // The executable's module id is 1.
            None if judge.module.executable && judge.slot(slot) == Found::Number(1) => 0,
            None => return Err("a module id slot without a relocation".into()),
        };
        if judge.module.relocs_in(slot, second).count() > 1 {
            return Err("a slot that several dynamic relocations write".into());
        }
        let found = match judge.module.reloc_at(second) {
            Some(reloc) if reloc.kind == Kind::DtpOff => judge.slot(second),
            Some(_) => return Err("a TLS offset slot with another relocation".into()),
            None => match judge.slot(second) {
                Found::Number(offset) => Found::Tls(template.wrapping_add(offset)),
                Found::Bad(text) => return Err(text),
                _ => return Err("a TLS offset slot with another relocation".into()),
            },
        };
        match found {
            Found::TlsSymbol(..) if block => Err("a local dynamic pair of a symbol".into()),
            Found::TlsSymbol(symbol, _) if symbol != module && !(own(symbol) && own(module)) => {
                Err("module id and offset of different symbols".into())
            }
            Found::Tls(_) if !own(module) => {
                Err("another module's id with an offset of this one".into())
            }
            found => Ok(found),
        }
    }

    pub(super) fn module_id(&self, symbol: u32) -> Meaning {
        let module = self.judge.module;
        match module.symbol(symbol).filter(|s| symbol != 0 && !module.binds_locally(s)) {
            Some(symbol) => {
                Meaning::Tls(Box::new(Meaning::Dynamic(module.symbols.asked(symbol).into())))
            }
            None => Meaning::TlsModule,
        }
    }

    /// An offset in the module's TLS block; from the thread pointer if the sequence before was rewritten.
    pub(super) fn module_offset(&self, offset: u64, addend: u64, to: Reference<'_>) -> Meaning {
        let found = match self.local_dynamic {
            Some(base) => self.thread(base.wrapping_add(offset)),
            // In programs' code linkers rewrite the offset without looking for its sequence.
            None if !self.block
                && self.section.has(EXEC)
                && self.judge.module.executable
                && (offset.wrapping_sub(addend) as i64) < 0 =>
            {
                self.thread(offset)
            }
            None => {
                let template = self.judge.module.image.tls.map_or(0, |tls| tls.address);
                Found::Tls(template.wrapping_add(offset))
            }
        };
        self.judge.settle(found, addend, to, Use::Address)
    }
}
