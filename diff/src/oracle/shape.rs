//! Shapes: differences in, what kind of difference out, without names and numbers.
//!
//! Two findings of one shape by one linker are one bug until somebody shows otherwise. It must not
//! know which oracle asks.

use std::collections::HashMap;

use object::elf::RelocationType;
use object::{Object as _, ObjectSection as _, RelocationFlags};

use crate::model::elf::machine;
use crate::model::{Meaning, archive, section_labels};
use crate::{Family, Format, Key, Request, Target, Value};

/// The relocation types at the sites of a request's inputs.
#[derive(Clone, Debug)]
pub struct Relocations {
    types: HashMap<Box<str>, u32>,
    target: Target,
}

impl Relocations {
    /// Reads the objects and archives of `request`; what can't be read has none.
    pub fn of(request: &Request) -> Self {
        let mut map = HashMap::new();
        if request.target.format == Format::Macho {
            let all = crate::model::macho::relocations(request);
            map = all.into_iter().map(|(place, r_type)| (place.into(), r_type.into())).collect();
        }
        if request.target.format == Format::Elf {
            for (name, bytes) in archive::contents(request) {
                read(&name, bytes, &mut map);
            }
        }
        Self { types: map, target: request.target }
    }

    /// The type of the relocation that a `site` key speaks of.
    pub fn at(&self, key: &Key) -> Option<String> {
        let r_type = (key.family == Family::Site).then(|| self.types.get(&key.rest)).flatten()?;
        Some(relocation_name(self.target, *r_type))
    }

    /// Whether any relocation has one of these types.
    pub fn have(&self, names: &[String]) -> bool {
        self.types.values().any(|r_type| names.contains(&relocation_name(self.target, *r_type)))
    }
}

fn read(file: &str, bytes: &[u8], map: &mut HashMap<Box<str>, u32>) {
    let Ok(elf) = object::File::parse(bytes) else { return };
    for (label, section) in labelled(file, &elf) {
        for (offset, relocation) in section.relocations() {
            if let RelocationFlags::Elf { r_type } = relocation.flags() {
                map.insert(format!("{label}+{offset:#x}").into(), r_type.0);
            }
        }
    }
}

/// The sections of an ELF object, each with what facts call it.
pub(super) fn labelled<'a>(
    file: &str,
    elf: &'a object::File<'a>,
) -> Vec<(String, object::Section<'a, 'a>)> {
    let names: Vec<&str> = elf.sections().map(|s| s.name().unwrap_or_default()).collect();
    section_labels(file, names).into_iter().zip(elf.sections()).collect()
}

/// The name that a psABI, or a header of Mach-O's, has for a relocation type of `request`'s machine, or its number.
pub fn relocation_name(target: Target, r_type: u32) -> String {
    if target.format == Format::Macho {
        return crate::model::macho::relocation_name(target.arch, r_type as u8);
    }
    let number = target.arch.machine();
    let names = object::elf::machine_names(object::elf::Machine(number));
    let machine = machine::of(number);
    let Some(name) = names.r.name(RelocationType(r_type)) else {
        // The crate lacks some: R_ARM_THM_ALU_ABS_G0_NC.
        let own = machine.and_then(|machine| machine.name(r_type));
        return own.map_or_else(|| format!("r{r_type}"), str::to_owned);
    };
    let renamed = machine.map_or(&[][..], |machine| machine.renamed);
    let today = renamed.iter().find(|(old, _)| *old == name);
    today.map_or(name, |(_, today)| today).to_owned()
}

/// What kind of difference `found` instead of `wanted` is.
pub fn shape(
    relocation: Option<&str>,
    key: &Key,
    found: Option<&Value>,
    wanted: Option<&Value>,
) -> String {
    let relocation = relocation.map(|r| format!(" {}", form(r))).unwrap_or_default();
    let subject = match (key.family, found) {
        // Which flag it is, and what a loader would stumble over, tells bugs apart.
        (Family::Dynamic, Some(Value::Text(text))) if &*key.rest == "broken" => {
            format!("dynamic.broken {}", words(text))
        }
        (Family::Dynamic, _) => key.to_string(),
        _ => format!("{}{relocation}", key.family.name()),
    };
    let change = match (found, wanted) {
        (Some(found), Some(wanted)) => change(found, wanted),
        // Links with and without an error differ in this one key.
        (Some(Value::Error(class)), None) => format!("refused {}", class.code()),
        (None, Some(Value::Error(class))) => format!("accepted {}", class.code()),
        (None, _) => "missing".into(),
        (_, None) => "extra".into(),
    };
    format!("{subject} {change}")
}

/// Relocation types that differ only in the instruction around them count as one.
fn form(relocation: &str) -> &str {
    crate::model::elf::machine::alike(relocation).unwrap_or(relocation)
}

fn change(found: &Value, wanted: &Value) -> String {
    match (found, wanted) {
        (Value::Ref(found), Value::Ref(wanted)) => meanings(found, wanted),
        (Value::Found(Some(found)), Value::Found(Some(wanted))) => meanings(found, wanted),
        (
            Value::Export { kind, binding, protected, size, meaning },
            Value::Export { kind: k, binding: b, protected: p, size: s, meaning: m },
        ) => {
            let mut list = Vec::new();
            if meaning != m {
                list.push(meanings(meaning, m));
            }
            if kind != k {
                list.push(format!("{kind:?} for {k:?}"));
            }
            if binding != b {
                list.push(format!("{binding:?} for {b:?}"));
            }
            if protected != p {
                list.push("protected".into());
            }
            if size != s {
                list.push("size".into());
            }
            list.join(", ")
        }
        (Value::Import { weak }, Value::Import { .. }) => {
            if *weak {
                "weak for strong".into()
            } else {
                "strong for weak".into()
            }
        }
        (Value::Error(found), Value::Error(wanted)) => {
            format!("{} for {}", found.code(), wanted.code())
        }
        (Value::Found(found), Value::Found(_)) => {
            (if found.is_some() { "found" } else { "not found" }).into()
        }
        (Value::Text(found), Value::Text(wanted)) => {
            format!("{} for {}", words(found), words(wanted))
        }
        _ => "other value".into(),
    }
}

fn meanings(found: &Meaning, wanted: &Meaning) -> String {
    match (found, wanted) {
        (Meaning::Place(found), Meaning::Place(wanted)) if found.section == wanted.section => {
            "other offset".into()
        }
        (Meaning::Tls(found), Meaning::Tls(wanted)) => format!("tls {}", meanings(found, wanted)),
        (found, wanted) if kind(found) == kind(wanted) => format!("other {}", kind(found)),
        (found, wanted) => format!("{} for {}", kind(found), kind(wanted)),
    }
}

fn kind(meaning: &Meaning) -> String {
    match meaning {
        Meaning::Place(_) => "place".into(),
        Meaning::Dynamic(_) => "dynamic".into(),
        Meaning::Absolute(0) => "null".into(),
        Meaning::Absolute(_) => "absolute".into(),
        Meaning::Tls(inner) => format!("tls {}", kind(inner)),
        Meaning::TlsModule => "tls-module".into(),
        Meaning::Ifunc(_) => "ifunc".into(),
        Meaning::GotBase => "got-base".into(),
        Meaning::Size(_) => "size".into(),
        Meaning::Merged(_) => "merged".into(),
        Meaning::Linker(_) => "linker".into(),
        Meaning::Discarded => "discarded".into(),
        Meaning::Lost => "lost".into(),
        Meaning::Bad(text) => format!("bad({})", words(text)),
    }
}

/// `text` without what varies from case to case: numbers, paths, quoted and dotted names.
pub(crate) fn words(text: &str) -> String {
    let plain = |word: &&str| {
        if word.contains('`') {
            return false;
        }
        let word = word.trim_matches(|c: char| ".,;:()'`\"".contains(c));
        !word.is_empty() && word.chars().all(|c| c.is_ascii_alphabetic() || c == '-' || c == '\'')
    };
    let mut list: Vec<&str> = text.split_whitespace().filter(plain).collect();
    list.truncate(10);
    list.join(" ")
}

/// What a crash says, with the function and the source file that it names: they tell bugs apart.
pub(crate) fn crash(text: &str) -> String {
    let told = |word: &str| {
        let word = word.trim_matches(|c: char| ".,;:()'`\"".contains(c));
        let name = word.rsplit('/').next().unwrap_or_default();
        let (file, line) = name.split_once(':').unwrap_or((name, ""));
        let source = [".c", ".cc", ".cpp", ".h", ".rs"].iter().any(|end| file.ends_with(end));
        let function = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if source && !line.is_empty() {
            Some(file.to_owned())
        } else if word.contains('_') && word.chars().all(function) {
            Some(word.to_owned())
        } else {
            Some(words(word)).filter(|word| !word.is_empty())
        }
    };
    let list: Vec<String> = text.split_whitespace().filter_map(told).take(12).collect();
    list.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ErrorClass, Place};

    fn place(section: &str, offset: i64) -> Value {
        Value::Ref(Meaning::Place(Place { section: section.into(), offset }))
    }

    #[test]
    fn relocations_have_the_names_of_today() {
        let name = |r_type| relocation_name(Target::ARM_ELF, r_type);
        assert_eq!(
            [name(10), name(26), name(28)],
            ["R_ARM_THM_CALL", "R_ARM_GOT_BREL", "R_ARM_CALL"]
        );
        assert_eq!(relocation_name(Target::AMD64_ELF, 2), "R_X86_64_PC32");
        assert_eq!(name(200), "r200");
    }

    #[test]
    fn shapes_have_no_names_and_no_numbers() {
        let key = Key::new(Family::Site, "a.o:.text+0x12");
        let other = Key::new(Family::Site, "b.o:.data+0x7");
        let one = shape(Some("R_X86_64_PC32"), &key, Some(&place("x", 1)), Some(&place("y", 1)));
        assert_eq!(
            one,
            shape(Some("R_X86_64_PC32"), &other, Some(&place("z", 4)), Some(&place("q", 9)))
        );
        assert_eq!(one, "site R_X86_64_PC32 other place");
        let offset = shape(Some("R_X86_64_PC32"), &key, Some(&place("x", 1)), Some(&place("x", 2)));
        assert_eq!(offset, "site R_X86_64_PC32 other offset");
        let null = Value::Ref(Meaning::Absolute(0));
        assert_eq!(shape(None, &key, Some(&null), Some(&place("x", 0))), "site null for place");
        assert_eq!(shape(None, &key, None, Some(&null)), "site missing");
        let error = Key::new(Family::Error, "");
        let overflow = Value::Error(ErrorClass::RelocOverflow);
        assert_eq!(shape(None, &error, None, Some(&overflow)), "error accepted reloc-overflow");
        assert_eq!(
            words("a PLT entry of `thing`, not its address"),
            "a PLT entry of not its address"
        );
        let got = |name| shape(Some(name), &key, Some(&place("x", 1)), Some(&null));
        assert_eq!(got("R_X86_64_REX_GOTPCRELX"), got("R_X86_64_GOTPCREL"));
        assert_eq!(words("opcode 0x8b at .text+0x10 is not a mov"), "opcode at is not a mov");
        assert_eq!(
            crash("ld.gold: internal error in set_offset, at ../../gold/output.cc:4734"),
            "internal error in set_offset at output.cc"
        );
    }

    /// Known bugs and divergences name types as the psABI does.
    #[test]
    fn a_type_that_the_judge_knows_has_its_name() {
        for target in [Target::AMD64_ELF, Target::ARM_ELF, Target::ARM64_ELF] {
            let machine = machine::of(target.arch.machine()).unwrap();
            for r_type in 0..2048 {
                if let Some(name) = machine.name(r_type) {
                    assert_eq!(relocation_name(target, r_type), name);
                }
            }
        }
    }
}
