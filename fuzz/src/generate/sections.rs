//! Sections in the making: where bytes go, and the sections that are there for their own sake.

use super::Dice;
use super::world::{Draft, World};
use crate::case::*;
use crate::emit::unique;
use crate::machine::Machine;

/// Flags by their letters, as in the text form.
pub(super) fn flags(letters: &str) -> SectionFlags {
    SectionFlags {
        alloc: letters.contains('a'),
        write: letters.contains('w'),
        exec: letters.contains('x'),
        tls: letters.contains('t'),
        merge: letters.contains('M'),
        strings: letters.contains('S'),
        retain: letters.contains('R'),
        exclude: letters.contains('E'),
    }
}

impl Draft {
    pub(super) fn new(machine: &'static Machine, name: String) -> Self {
        let object =
            Object { name, sections: vec![], symbols: vec![], groups: vec![], subsections: false };
        let (mentions, names) = Default::default();
        Self { machine, object, mentions, names, archive: None }
    }

    /// The section called so, of this kind and with these flags; added if there is none outside of
    /// groups.
    pub(super) fn section(&mut self, name: &str, kind: SectionKind, letters: &str) -> usize {
        let wanted = flags(letters);
        let groups = &self.object.groups;
        let found = self.object.sections.iter().enumerate().position(|(i, section)| {
            section.name == name
                && section.kind == kind
                && section.flags == wanted
                && !groups.iter().any(|group| group.members.contains(&i))
        });
        found.unwrap_or_else(|| self.add_section(name, kind, letters))
    }

    /// A new section.
    pub(super) fn add_section(&mut self, name: &str, kind: SectionKind, letters: &str) -> usize {
        let flags = flags(letters);
        let nobits = kind == SectionKind::Nobits;
        let found = kind == SectionKind::Progbits && !flags.merge;
        let marker = if found { Marker::Head } else { Marker::None };
        self.object.sections.push(Section {
            name: name.to_owned(),
            kind,
            flags,
            align: if flags.exec { 16 } else { 1 },
            entsize: 0,
            marker,
            data: if nobits { Data::Zeros(0) } else { Data::Bytes(vec![]) },
            relocs: vec![],
            link_order: None,
        });
        let index = self.object.sections.len() - 1;
        if nobits || kind == SectionKind::Note {
            // Nothing in its bytes tells where it went: a symbol of its own does.
            let name = format!("at.{}.{index}", self.object.name);
            self.local(&name, SymbolKind::Notype, index, 0, 0);
        }
        index
    }

    /// Puts `bytes` at a multiple of `align` and gives their offset.
    pub(super) fn append(&mut self, section: usize, align: u64, bytes: &[u8]) -> u64 {
        let section = &mut self.object.sections[section];
        let code = &self.machine.code;
        let align = if section.flags.exec { align.max(code.align) } else { align };
        section.align = section.align.max(align);
        let start = section.start();
        let offset = section.size().next_multiple_of(align.max(1));
        match &mut section.data {
            Data::Zeros(len) => *len = offset - start + bytes.len() as u64,
            Data::Bytes(data) => {
                let gap = (offset - start) as usize - data.len();
                match section.flags.exec {
                    true => data.extend(code.nop.iter().cycle().take(gap)),
                    false => data.resize(data.len() + gap, 0),
                }
                data.extend_from_slice(bytes);
            }
        }
        offset
    }

    /// A local symbol in a section.
    pub(super) fn local(
        &mut self,
        name: &str,
        kind: SymbolKind,
        section: usize,
        offset: u64,
        size: u64,
    ) -> usize {
        self.object.symbols.push(Symbol {
            name: name.to_owned(),
            binding: Binding::Local,
            kind,
            visibility: Visibility::Default,
            size,
            definition: Definition::Section { section, offset },
            desc: Default::default(),
        });
        self.object.symbols.len() - 1
    }

    /// A relocation; `data` sections keep them by offset.
    pub(super) fn reloc(&mut self, section: usize, reloc: Reloc) {
        self.object.sections[section].relocs.push(reloc);
    }

    pub(super) fn is_grouped(&self, section: usize) -> bool {
        self.object.groups.iter().any(|group| group.members.contains(&section))
    }
}

impl World<'_> {
    /// Sections that nothing needs: empty, excluded, retained, link-order, over-aligned, notes.
    pub(super) fn add_sections(&mut self, dice: &mut Dice<'_>) {
        for object in 0..self.drafts.len() {
            let number = self.next();
            let config = self.config;
            let draft = &mut self.drafts[object];
            if config.empty_sections && dice.chance(500) {
                let (name, letters) =
                    *dice.pick(&[(".text", "ax"), (".data.e", "aw"), (".rodata.e", "a")]);
                draft.add_section(name, SectionKind::Progbits, letters);
            }
            if config.exclude && dice.chance(500) {
                let section = draft.add_section(".gone", SectionKind::Progbits, "E");
                draft.append(section, 1, b"excluded");
            }
            if config.retain && dice.chance(500) {
                let section = draft.add_section(".data.kept", SectionKind::Progbits, "awR");
                draft.append(section, 8, &unique(number).to_le_bytes());
            }
            if config.link_order && dice.chance(500) {
                let text = draft.section(".text.lo", SectionKind::Progbits, "ax");
                draft.append(text, 1, self.machine.code.ret);
                let section = draft.add_section(".scold.lo", SectionKind::Progbits, "a");
                draft.object.sections[section].link_order = Some(text);
                draft.append(section, 8, &unique(number).to_le_bytes());
            }
            if config.notes && dice.chance(500) {
                self.add_note(object, number);
            }
            self.add_space(dice, object, number);
        }
    }

    fn add_note(&mut self, object: usize, number: u64) {
        let draft = &mut self.drafts[object];
        let section = draft.add_section(".note.scold", SectionKind::Note, "a");
        let mut note = Vec::new();
        for word in [6_u32, 8, 1] {
            note.extend_from_slice(&word.to_le_bytes());
        }
        note.extend_from_slice(b"scold\0\0\0");
        note.extend_from_slice(&unique(number).to_le_bytes());
        draft.append(section, 4, &note);
    }

    /// Alignment and distance.
    fn add_space(&mut self, dice: &mut Dice<'_>, object: usize, number: u64) {
        let config = self.config;
        let draft = &mut self.drafts[object];
        let align = match (config.over_aligned && dice.chance(500), config.huge_aligned) {
            (_, true) => 65536,
            (true, false) => *dice.pick(&[64, 128, 256, 1024, 4096]),
            (false, false) => 0,
        };
        if align > 0 {
            let places = [(".data.big", "aw"), (".rodata.big", "a"), (".text.big", "ax")];
            let (name, letters) = *dice.pick(&places);
            let section = draft.section(name, SectionKind::Progbits, letters);
            draft.append(section, 1, &unique(number).to_le_bytes());
            draft.object.sections[section].align = align;
        }
        if config.distance && dice.chance(500) {
            let size = *dice.pick(&[0x1_0000, 0x10_0000, 0x100_0000]);
            let section = draft.add_section(".bss.gap", SectionKind::Nobits, "aw");
            draft.object.sections[section].data = Data::Zeros(size);
        }
    }
}
