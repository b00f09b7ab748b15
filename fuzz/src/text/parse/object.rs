//! The lines of an object: its sections with their contents and relocations, its symbols, its groups.
//!
//! Names that are defined further down are settled at the end, by `later`.

use super::super::later::{Later, Slot};
use super::super::words::{Words, is};
use super::super::{BINDINGS, DESCS, FLAGS, KINDS, SYMBOL_KINDS, desc, flag};
use super::{LARGEST, Parser, Result};
use crate::case::*;
use crate::machine;

impl Parser<'_> {
    pub(super) fn object(&mut self, mut words: Words) -> Result<Object> {
        let name = self.file_name(&mut words)?;
        let subsections = is(&mut words, "subsections");
        if subsections {
            words.next();
        }
        self.open(words)?;
        let (sections, symbols, groups) = (vec![], vec![], vec![]);
        let mut object = Object { name, sections, symbols, groups, subsections };
        let mut later = Later::default();
        while let Some(mut words) = self.inside()? {
            match self.word(&mut words)?.as_str() {
                "section" => {
                    let section = self.section(words, object.sections.len(), &mut later)?;
                    object.sections.push(section);
                }
                "symbol" => {
                    let symbol = self.symbol(words, object.symbols.len(), &mut later)?;
                    object.symbols.push(symbol);
                }
                "group" => {
                    let signature = self.word(&mut words)?;
                    let comdat = match self.word(&mut words)?.as_str() {
                        "comdat" => true,
                        "plain" => false,
                        other => return Err(self.error(&format!("no group kind `{other}`"))),
                    };
                    for word in words {
                        later.push(self.line, Slot::Member(object.groups.len()), word);
                    }
                    object.groups.push(Group { signature, comdat, members: vec![] });
                }
                other => return Err(self.error(&format!("no directive `{other}`"))),
            }
        }
        later.resolve(&mut object)?;
        Ok(object)
    }

    fn section(&mut self, mut words: Words, index: usize, later: &mut Later) -> Result<Section> {
        let name = self.word(&mut words)?;
        let kind = self.value(&mut words, KINDS)?;
        let mut flags = SectionFlags::default();
        for letter in self.word(&mut words)?.chars().filter(|letter| *letter != '-') {
            let slot = flag(&mut flags, letter)
                .ok_or_else(|| self.error(&format!("no flag `{letter}` among {FLAGS}")))?;
            *slot = true;
        }
        let (align, entsize, marker, link_order) = (1, 0, Marker::None, None);
        let (data, relocs) = (Data::Bytes(vec![]), vec![]);
        let mut section =
            Section { name, kind, flags, align, entsize, marker, data, relocs, link_order };
        loop {
            let mut word = self.raw(&mut words)?;
            match word.text.split_once('=') {
                Some(("align", number)) => section.align = self.parse_number(number)?,
                Some(("entsize", number)) => section.entsize = self.parse_number(number)?,
                Some(("link", other)) => {
                    word.text = other.to_owned();
                    later.push(self.line, Slot::Link(index), word);
                }
                None if word.text == "marker" => section.marker = Marker::Head,
                None if word.text == "tail-marker" => section.marker = Marker::Tail,
                None if word.text == "{" => break,
                _ => return Err(self.error(&format!("no section property `{}`", word.text))),
            }
        }
        self.end(words)?;
        while let Some(words) = self.inside()? {
            self.content(words, index, &mut section, later)?;
        }
        Ok(section)
    }

    fn content(
        &self,
        mut words: Words,
        index: usize,
        section: &mut Section,
        later: &mut Later,
    ) -> Result<()> {
        let directive = self.word(&mut words)?;
        if directive == "reloc" {
            return self.reloc(words, index, section, later);
        }
        if directive == "zeros" {
            let len = self.number(&mut words)?;
            if len > LARGEST || !section.data.is_empty() {
                return Err(self.error("zeros stand alone and are at most 1 GiB"));
            }
            section.data = Data::Zeros(len);
            return self.end(words);
        }
        let Data::Bytes(bytes) = &mut section.data else {
            return Err(self.error("zeros stand alone"));
        };
        match directive.as_str() {
            "hex" => {
                for word in words.by_ref() {
                    let byte = u8::from_str_radix(&word.text, 16).ok();
                    let byte = byte.filter(|_| word.text.len() == 2);
                    bytes.push(
                        byte.ok_or_else(|| self.error(&format!("`{}` is no hex byte", word.text)))?,
                    );
                }
            }
            "text" => bytes.extend(self.raw(&mut words)?.bytes),
            "fill" => {
                let byte = self.number(&mut words)? as u8;
                let len = self.number(&mut words)?;
                if len > LARGEST - bytes.len() as u64 {
                    return Err(self.error("a section is at most 1 GiB"));
                }
                bytes.resize(bytes.len() + len as usize, byte);
            }
            other => return Err(self.error(&format!("no directive `{other}`"))),
        }
        self.end(words)
    }

    fn reloc(
        &self,
        mut words: Words,
        index: usize,
        section: &mut Section,
        later: &mut Later,
    ) -> Result<()> {
        let offset = self.number(&mut words)?;
        let kind = self.word(&mut words)?;
        let r_type = match machine::number(&kind) {
            Some(number) => number,
            None => {
                kind.parse().map_err(|_| self.error(&format!("no relocation type `{kind}`")))?
            }
        };
        let symbol = self.raw(&mut words)?;
        later.push(self.line, Slot::Target(index, section.relocs.len()), symbol);
        let addend = match words.next() {
            None => 0,
            Some(word) => word
                .text
                .parse()
                .map_err(|_| self.error(&format!("`{}` is no addend", word.text)))?,
        };
        section.relocs.push(Reloc { offset, r_type, symbol: SymbolRef::Null, addend });
        self.end(words)
    }

    fn symbol(&self, mut words: Words, index: usize, later: &mut Later) -> Result<Symbol> {
        let name = self.word(&mut words)?;
        let binding = self.value(&mut words, BINDINGS)?;
        let kind = self.value(&mut words, SYMBOL_KINDS)?;
        let visibility = self.visibility(&mut words);
        let definition = match self.word(&mut words)?.as_str() {
            "undefined" => Definition::Undefined,
            "absolute" => Definition::Absolute(self.number(&mut words)?),
            "common" => Definition::Common { align: self.number(&mut words)? },
            "at" => {
                let mut place = self.raw(&mut words)?;
                let (section, offset) = place
                    .text
                    .rsplit_once('+')
                    .ok_or_else(|| self.error("a place is SECTION+OFFSET"))?;
                let offset = self.parse_number(offset)?;
                place.text = section.to_owned();
                later.push(self.line, Slot::Place(index), place);
                Definition::Section { section: 0, offset }
            }
            other => return Err(self.error(&format!("no definition `{other}`"))),
        };
        let size = self.size(&mut words)?;
        let mut bits = Desc::default();
        for word in words {
            let bit = desc(&mut bits, &word.text).ok_or_else(|| {
                self.error(&format!("`{}` is none of {}", word.text, DESCS.join(", ")))
            })?;
            *bit = true;
        }
        Ok(Symbol { name, binding, kind, visibility, size, definition, desc: bits })
    }
}
