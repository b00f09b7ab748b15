//! Stubs, pointers and the table that says whose they are: three places that must tell the same name.

use super::super::Flaws;
use super::Image;
use crate::model::macho::image::Section;
use crate::model::macho::machine::Way;

const GOT: u32 = 6;
const LAZY: u32 = 7;
const STUBS: u32 = 8;
const THREAD_POINTERS: u32 = 0x14;
/// INDIRECT_SYMBOL_LOCAL.
const LOCAL: u32 = 0x8000_0000;

pub(super) fn check(image: &Image<'_>, flaws: &mut Flaws) {
    for section in &image.file.sections {
        let size = match section.kind() {
            GOT | LAZY | THREAD_POINTERS => 8,
            STUBS => u64::from(section.reserved2),
            _ => continue,
        };
        let at = format!("{},{}", section.segment, section.name);
        let sized = section.kind() != STUBS || size == image.file.machine.stub_size;
        flaws.check(sized, "size of stubs", &at, size, "the machine's");
        if size == 0 || !section.size.is_multiple_of(size) {
            flaws.check(false, "section of slots", &at, section.size, "whole slots");
            continue;
        }
        for i in 0..section.size / size {
            slot(image, section, section.address + size * i, i, flaws);
        }
    }
}

/// The entry of the indirect table for a section's `i`-th slot; none if it is outside.
fn entry(image: &Image<'_>, section: &Section<'_>, i: u64) -> Option<u32> {
    let command = image.command(0xb)?;
    let index = u64::from(section.reserved1).checked_add(i)?;
    let within = index < u64::from(command.word(60));
    let at = u64::from(command.word(56)).checked_add(4 * index)?;
    crate::bytes::u32_at(image.file.bytes, at).filter(|_| within)
}

fn slot(image: &Image<'_>, section: &Section<'_>, address: u64, i: u64, flaws: &mut Flaws) {
    let at = format!("{} at {address:#x}", section.name);
    let Some(entry) = entry(image, section, i) else {
        return flaws.check(false, "slot without an indirect symbol", &at, i, "one for each");
    };
    let local = entry & LOCAL != 0;
    let symbol = image.file.symbols.get(entry as usize).filter(|_| !local);
    if !local && symbol.is_none() {
        return flaws.check(false, "indirect symbol", &at, entry.into(), "one of the table");
    }
    let pointer = match section.kind() {
        STUBS => match stub(image, address) {
            Some(pointer) => pointer,
            None => return flaws.add("stub's code", &at, "something else", "a jump by a pointer"),
        },
        _ => address,
    };
    let bound = names(image, pointer);
    match symbol {
        // `mach-o/loader.h`: the symbol that the pointer refers to; LOCAL if strip(1) took it away.
        Some(symbol) if bound.is_empty() && refers(image, pointer) == Some(symbol.value) => {}
        Some(symbol) if bound.is_empty() => {
            let found = symbol.name;
            flaws.add("indirect symbol of a slot that nothing binds", &at, found, "a local slot");
        }
        Some(symbol) if !bound.contains(&symbol.name) => {
            let wanted = bound.join(" ");
            flaws.add("indirect symbol differs from the bind", &at, symbol.name, &wanted);
        }
        None if !bound.is_empty() => {
            flaws.add("bound slot without a symbol", &at, bound.join(" "), "its symbol");
        }
        _ => {}
    }
    if section.kind() == LAZY {
        helper(image, address, flaws);
    }
}

/// The address that the slot at `address` holds.
fn refers(image: &Image<'_>, address: u64) -> Option<u64> {
    image.fixups.held(&image.file, address)
}

/// What is looked up for the slot at `address`.
fn names<'i>(image: &'i Image<'_>, address: u64) -> Vec<&'i str> {
    let Some(fixup) = image.fixups.at(address) else { return Vec::new() };
    let bind = fixup.bind.as_ref().map(|bind| bind.name.as_str());
    bind.into_iter().chain(fixup.coalesce.as_ref().map(|pair| pair.0.as_str())).collect()
}

/// The pointer that the stub at `address` jumps by.
fn stub(image: &Image<'_>, address: u64) -> Option<u64> {
    match (image.file.machine.stub)(&image.file, address)? {
        Way::Slot(pointer) => Some(pointer),
        Way::Address(_) => None,
    }
}

/// What a lazy pointer holds at first pushes the place of its own bind.
fn helper(image: &Image<'_>, address: u64, flaws: &mut Flaws) {
    let fixup = image.fixups.at(address);
    let Some(fixup) = fixup.filter(|f| f.bind.as_ref().is_some_and(|bind| bind.lazy)) else {
        return;
    };
    let Some(code) = fixup.rebase else { return };
    let pushed = (image.file.machine.lazy)(&image.file, code);
    let bound = pushed.and_then(|at| image.fixups.lazy.get(&at.into()));
    let at = format!("lazy pointer at {address:#x}");
    flaws.check(
        bound == Some(&address),
        "helper binds another pointer",
        at,
        pushed.unwrap_or(u32::MAX).into(),
        "the place of its own bind",
    );
}
