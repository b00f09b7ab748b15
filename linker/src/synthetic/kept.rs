//! `--emit-relocs`: the inputs' relocations, said again of the output.
//!
//! Each output section gets a `.rela` section with one entry per input relocation. Where code was
//! rewritten the entry says what the new code holds, as GNU ld does for GOT loads; what has no field
//! any more is R_*_NONE. Must not change a byte of any other section.

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use crate::arch::{Relax, Rewrite, What};
use crate::format::elf::{SHF_ALLOC, SHF_INFO_LINK};
use crate::layout::assign::add_made;
use crate::layout::{Made, Member, OutSec};
use crate::link::{Link, attr};
use crate::object::walk::Walk;
use crate::object::{Home, Object, Reloc, SymId, kind};
use crate::scan::{Act, Spot, decide};
use crate::synthetic::symtab;

/// Adds the sections that will hold the relocations; `sh_info` is the place of what they are for.
pub fn add(link: &mut Link<'_>) {
    if !link.options.emit_relocs {
        return;
    }
    for at in 0..link.outs.len() {
        let out = &link.outs[at];
        let count = match out.made {
            None => out.members.iter().map(|m| relocs(link, m)).sum(),
            Some(Made::EhFrame) => {
                link.plan.eh.kept.iter().map(|k| u64::from(k.relocs.1)).sum::<u64>()
            }
            Some(_) => 0,
        };
        if count == 0 {
            continue;
        }
        let form = link.arch.relocs();
        let name = format!("{}{}", form.prefix(), String::from_utf8_lossy(&out.name));
        let new = add_made(link, Made::Kept, &name, form.section_kind(), SHF_INFO_LINK);
        let new = &mut link.outs[new];
        let entry = form.size() as u64;
        (new.size, new.entsize, new.info) = (count * entry, entry, at as u32);
    }
}

fn relocs(link: &Link<'_>, member: &Member) -> u64 {
    link.object(member.file).relocs(member.index).len() as u64
}

/// The symbol table's number of every symbol, 0 for what is not in it.
fn numbers(link: &Link<'_>) -> Vec<u32> {
    let plan = &link.plan.symtab;
    let mut list = vec![0; link.res.symbol_count];
    let (mut local, mut global) = (1 + plan.sections, plan.locals);
    for &(file, ..) in &plan.files {
        let object = link.object(file);
        for index in 1..object.first_global {
            if symtab::keeps_local(link, object, &object.symbols.get(index)) {
                list[object.id(index).i()] = local;
                local += 1;
            }
        }
        for (at, &id) in object.globals.iter().enumerate() {
            if symtab::keeps_global(link, file, id, object.first_global + at as u32) {
                let next = if symtab::is_hidden(link, id) { &mut local } else { &mut global };
                list[id.i()] = *next;
                *next += 1;
            }
        }
    }
    for &id in &plan.hidden {
        list[id.i()] = local;
        local += 1;
    }
    for &id in &plan.others {
        list[id.i()] = global;
        global += 1;
    }
    list
}

/// Writes every section of relocations; each comes with the number of the section it is for.
pub fn write(link: &Link<'_>, list: Vec<(u32, &mut [u8])>) {
    if list.is_empty() {
        return;
    }
    let numbers = numbers(link);
    let sections: FxHashMap<u32, u32> =
        symtab::with_symbol(link).zip(1..).map(|(out, at)| (out.shndx, at)).collect();
    list.into_par_iter().for_each(|(info, buf)| {
        let out = &link.outs[info as usize - 1];
        let mut writer = Writer { link, numbers: &numbers, sections: &sections, buf, at: 0 };
        if out.made == Some(Made::EhFrame) {
            writer.unwind(out);
            return;
        }
        for member in &out.members {
            writer.member(out, member);
        }
    });
}

struct Writer<'l, 'a, 'b> {
    link: &'l Link<'a>,
    numbers: &'l [u32],
    /// The number of each section's symbol.
    sections: &'l FxHashMap<u32, u32>,
    buf: &'b mut [u8],
    at: usize,
}

impl Writer<'_, '_, '_> {
    fn put(&mut self, place: u64, kind: u32, (sym, addend): (u32, i64)) {
        let form = self.link.arch.relocs();
        if let Some(slot) = self.buf.get_mut(self.at..self.at + form.size()) {
            form.write(slot, &Reloc { offset: place, kind, sym, addend });
        }
        self.at += form.size();
    }

    /// The symbol and addend that mean in the output what `reloc` means in `object`; `None` if its
    /// target is gone.
    fn target(&self, object: &Object<'_>, reloc: &Reloc, id: SymId) -> Option<(u32, i64)> {
        let link = self.link;
        if link.attrs[id.i()] & attr::DISCARDED != 0 {
            return None;
        }
        let symbol = object.symbols.get(reloc.sym);
        let number = self.numbers[id.i()];
        let section = match symbol.home {
            Home::Section(s) if number == 0 && reloc.sym < object.first_global => s,
            // What the table lacks is absolute, or a weak reference to nothing.
            _ if number == 0 => {
                return Some((0, (link.addrs[id.i()] as i64).wrapping_add(reloc.addend)));
            }
            _ => return Some((number, reloc.addend)),
        };
        // Of a section symbol in merged contents the addend selects the piece.
        let value = symbol.value;
        let whole = symbol.kind == kind::SECTION;
        let offset = if whole { value.wrapping_add(reloc.addend as u64) } else { value };
        let sec = object.sec(section);
        let start = || link.section_address(sec, 0).map(|a| a.wrapping_add(offset));
        let address = link.section_address(sec, offset).or_else(start)?;
        let address = if whole { address } else { address.wrapping_add(reloc.addend as u64) };
        let home = crate::link::section_of(link, sec)?;
        let base = link.outs[home as usize].addr;
        Some((*self.sections.get(&(home + 1))?, address.wrapping_sub(base) as i64))
    }

    fn unwind(&mut self, out: &OutSec) {
        let link = self.link;
        for kept in &link.plan.eh.kept {
            let member = &link.plan.eh_inputs[kept.input as usize];
            let object = link.object(member.file);
            let relocs = object.relocs(member.index);
            for reloc in kept.relocations().filter_map(|at| relocs.get(at)) {
                let within = reloc.offset.wrapping_sub(kept.record.offset.into());
                let place = out.addr.wrapping_add(kept.offset).wrapping_add(within);
                match self.target(object, &reloc, object.id(reloc.sym)) {
                    Some(target) => self.put(place, reloc.kind, target),
                    None => self.put(place, 0, (0, 0)),
                }
            }
        }
    }

    fn member(&mut self, out: &OutSec, member: &Member) {
        let link = self.link;
        let object = link.object(member.file);
        let base = out.addr.wrapping_add(link.sec_off[member.sec.i()]);
        let flags = object.sections.get(member.index).flags;
        let code = object.section_data(member.index);
        let ld = flags & SHF_ALLOC != 0 && link.plan.ld_relaxed[member.file.i()];
        let mut walk = Walk::new(object, member.index, link.arch.word());
        while let Some((reloc, to)) = walk.step() {
            let place = base.wrapping_add(to);
            let id = object.id(reloc.sym);
            let target = self.target(object, &reloc, id);
            let (Some(row), Some(target)) = (link.arch.row(reloc.kind), target) else {
                self.put(place, 0, (0, 0));
                continue;
            };
            let spot = Spot { code, flags, ld_relaxed: ld, next: walk.next() };
            let decision = decide(link, row, id, link.attrs[id.i()], &reloc, &spot);
            let loaded = flags & SHF_ALLOC != 0;
            let what = match decision.act {
                Act::Relax(rewrite) => Some(rewrite),
                _ if row.what == What::DtpOff && ld && loaded => {
                    Some(Rewrite { what: Relax::LdToLe, form: 0 })
                }
                _ => None,
            };
            // The thread pointer itself is no symbol's offset.
            let target = if ld && link.is_module_base(id) { (0, 0) } else { target };
            self.one(place, &reloc, what, target);
            walk.skip(decision.takes_next);
            if decision.takes_next {
                self.put(place, 0, (0, 0));
            }
        }
    }

    fn one(&mut self, place: u64, reloc: &Reloc, what: Option<Rewrite>, (sym, addend): (u32, i64)) {
        // A weak reference to nothing is at offset 0 of no block: no relocation says so.
        let what =
            if sym == 0 && what.is_some() { return self.put(place, 0, (0, 0)) } else { what };
        let Some(what) = what else { return self.put(place, reloc.kind, (sym, addend)) };
        match (self.link.arch.relaxed)(reloc.kind, what) {
            Some((delta, kind, change)) => {
                let place = place.wrapping_add_signed(delta);
                self.put(place, kind, (sym, addend.wrapping_add(change)));
            }
            None => self.put(place, 0, (0, 0)),
        }
    }
}
