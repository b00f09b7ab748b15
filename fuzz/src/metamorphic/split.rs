//! A section split in two: a case in, the case with the halves of one section as two sections out, and
//! how Facts about the second half read as Facts about the whole.

use scold_diff::model::{Family, Meaning, Place, Value, section_label};
use scold_diff::{Facts, Key};

use super::{Variant, without};
use crate::Case;
use crate::case::{Data, Definition, Input, Marker, Object, Opt, Section, SectionKind};
use crate::case::{SymbolKind, SymbolRef};

/// A marker's length.
const MARKER: u64 = 16;

/// Where the second half of a section went.
pub struct Moved {
    /// The section, as Facts call it.
    whole: String,
    /// Its second half.
    half: String,
    /// Where it was cut, from the start.
    at: u64,
}

/// The case with one section cut where a symbol starts, for the first section that can be.
pub(super) fn split(case: &Case) -> Option<Variant> {
    // What is not referred to may go: the halves live and die alone.
    (!case.options.contains(&Opt::GcSections)).then_some(())?;
    let mut variant = case.clone();
    for (file, object) in named(&mut variant) {
        for section in 0..object.sections.len() {
            let Some(at) = cut(object, section) else { continue };
            let name = object.sections[section].name.clone();
            let same = |s: &&Section| s.name == name;
            let before = object.sections[..section].iter().filter(same).count();
            let all = object.sections.iter().filter(same).count();
            let whole = section_label(&file, &name, before);
            let half = section_label(&file, &name, all);
            halve(object, section, at);
            return Some(Variant { case: variant, moved: Some(Moved { whole, half, at }) });
        }
    }
    None
}

/// Every object with its name in Facts.
fn named(case: &mut Case) -> Vec<(String, &mut Object)> {
    let mut list = Vec::new();
    for input in &mut case.inputs {
        let archives: Vec<_> = match input {
            Input::Object(object) => {
                list.push((object.name.clone(), object));
                continue;
            }
            Input::Archive(archive) => vec![archive],
            Input::Group(archives) => archives.iter_mut().collect(),
            Input::Library(_) => continue,
        };
        for archive in archives {
            let name = &archive.name;
            list.extend(archive.members.iter_mut().map(|m| (format!("{name}({})", m.name), m)));
        }
    }
    list
}

/// Where section `index` can be cut: at the start of a symbol, not inside of what a relocation or a
/// relaxation changes.
fn cut(object: &Object, index: usize) -> Option<u64> {
    let section = &object.sections[index];
    let flags = section.flags;
    let plain = section.kind == SectionKind::Progbits
        && section.marker == Marker::Head
        && flags.alloc
        && !(flags.merge || flags.strings || flags.exclude || flags.retain)
        && section.link_order.is_none()
        && matches!(section.data, Data::Bytes(_))
        // Names that C could spell bring `__start_` and `__stop_` along.
        && section.name.starts_with('.')
        && !section.name.starts_with(".note");
    let tied = object.groups.iter().any(|group| group.members.contains(&index))
        || object.sections.iter().any(|s| s.link_order == Some(index))
        || relocs(object).any(|symbol| symbol == SymbolRef::Section(index))
        || object.sections.iter().any(|s| s.kind == SectionKind::EhFrame);
    (plain && !tied).then_some(())?;
    let start = |symbol: &crate::case::Symbol| match symbol.definition {
        Definition::Section { section, offset } if section == index => Some((symbol.kind, offset)),
        _ => None,
    };
    let starts: Vec<_> = object.symbols.iter().filter_map(start).collect();
    // Values outside of the section belong to neither half.
    starts.iter().all(|(_, at)| (MARKER..=section.size()).contains(at)).then_some(())?;
    let free = |at: u64, kind: SymbolKind| {
        let function = kind == SymbolKind::Func && at.is_multiple_of(16);
        section.relocs.iter().all(|reloc| {
            // The longest instruction that is rewritten has six bytes before the field.
            let before = if flags.exec && !function { 6 } else { 0 };
            reloc.offset + 12 <= at || reloc.offset >= at + before
        })
    };
    let inside = |at: u64| at > MARKER && at < section.size();
    starts.into_iter().find(|(kind, at)| inside(*at) && free(*at, *kind)).map(|(_, at)| at)
}

fn relocs(object: &Object) -> impl Iterator<Item = SymbolRef> + '_ {
    object.sections.iter().flat_map(|section| section.relocs.iter().map(|reloc| reloc.symbol))
}

/// Moves what follows `at` into a section of its own, at the end of the object's list.
fn halve(object: &mut Object, index: usize, at: u64) {
    let new = object.sections.len();
    let section = &mut object.sections[index];
    let mut half = section.clone();
    if let (Data::Bytes(first), Data::Bytes(second)) = (&mut section.data, &mut half.data) {
        *second = first.split_off((at - MARKER) as usize);
    }
    section.relocs.retain(|reloc| reloc.offset < at);
    half.relocs.retain(|reloc| reloc.offset >= at);
    for reloc in &mut half.relocs {
        reloc.offset = reloc.offset - at + MARKER;
    }
    object.sections.push(half);
    for symbol in &mut object.symbols {
        if let Definition::Section { section, offset } = &mut symbol.definition
            && *section == index
            && *offset >= at
        {
            (*section, *offset) = (new, *offset - at + MARKER);
        }
    }
}

impl Moved {
    /// What can be compared of the whole section: the digest of its bytes can't.
    pub(super) fn comparable(&self, facts: &Facts) -> Facts {
        let gone = |rest: &str| rest == self.whole || rest == self.half;
        without(facts, |family, rest| family == Family::Bytes && gone(rest))
    }

    /// Facts of the variant as Facts of the case.
    pub(super) fn back(&self, facts: &Facts) -> Facts {
        let facts = self.comparable(facts);
        let whole = facts.get(&Key::new(Family::Perm, &*self.whole)).cloned();
        let mut out = Facts::default();
        for (key, value) in facts.iter() {
            // The halves have the same permissions, or the difference is told.
            if key.family == Family::Perm
                && *key.rest == *self.half
                && Some(value) == whole.as_ref()
            {
                continue;
            }
            out.add(key.family, self.text(&key.rest), self.value(value));
        }
        out
    }

    fn place(&self, place: &Place) -> Place {
        if *place.section == *self.half {
            let offset = place.offset.wrapping_sub(MARKER as i64).wrapping_add(self.at as i64);
            Place { section: self.whole.as_str().into(), offset }
        } else {
            place.clone()
        }
    }

    /// A key or text with a place in it: `SECTION+0xOFF`, `lsda=SECTION+0xOFF`.
    fn text(&self, text: &str) -> String {
        let start = format!("{}+0x", self.half);
        let Some(found) = text.find(&start) else { return text.into() };
        let digits = &text[found + start.len()..];
        let end = digits.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(digits.len());
        let Ok(offset) = i64::from_str_radix(&digits[..end], 16) else { return text.into() };
        let place = self.place(&Place { section: self.half.as_str().into(), offset });
        format!("{}{place}{}", &text[..found], &digits[end..])
    }

    fn value(&self, value: &Value) -> Value {
        match value {
            Value::Export { kind, binding, protected, size, meaning } => Value::Export {
                kind: *kind,
                binding: *binding,
                protected: *protected,
                size: *size,
                meaning: self.meaning(meaning),
            },
            Value::Ref(meaning) => Value::Ref(self.meaning(meaning)),
            Value::Found(Some(meaning)) => Value::Found(Some(self.meaning(meaning))),
            Value::Text(text) => Value::Text(self.text(text).into()),
            other => other.clone(),
        }
    }

    fn meaning(&self, meaning: &Meaning) -> Meaning {
        match meaning {
            Meaning::Place(place) => Meaning::Place(self.place(place)),
            Meaning::Ifunc(place) => Meaning::Ifunc(self.place(place)),
            Meaning::Tls(inner) => Meaning::Tls(Box::new(self.meaning(inner))),
            other => other.clone(),
        }
    }
}
