//! The text form of a case: what people read, edit, diff and commit, and what `Debug` prints.
//!
//! ```text
//! case amd64-elf shared
//! option hash-style gnu
//! object a.o {
//!   section .text progbits ax align=16 marker {
//!     hex e8 00 00 00 00 c3
//!     reloc 0x11 R_X86_64_PLT32 f -4
//!   }
//!   symbol probe global func at .text+0x10 size 6
//!   symbol f global notype undefined
//! }
//! ```
//!
//! One line for each symbol and relocation; sections and symbols are named where a name is unique in
//! its object, else `#INDEX`; a section symbol is `[.text]`, symbol 0 is `-`. `;` starts a comment. After a line
//! `beside` stands another whole case: a module that runs together with the first.
//! Mach-O has more words: `subsections` behind an object's name, `tail-marker`, what n_desc has of a symbol
//! at the end of its line. Printing and parsing again gives the same case. Neither must know what the case means.

mod later;
mod parse;
mod print;

#[cfg(test)]
mod tests;
mod words;

use crate::Case;
use crate::case::{Binding, Desc, HashStyle, Opt, SectionFlags, SectionKind, SymbolKind};
use crate::case::{Validity, Visibility};

pub use parse::parse;

/// What is wrong with a text, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Error {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub text: String,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.text)
    }
}

impl std::error::Error for Error {}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&print::print(self))
    }
}

/// The text form of `case`.
pub fn print(case: &Case) -> String {
    print::print(case)
}

/// Words of the text form, each beside what it stands for; printing and parsing read the same rows.
type Words<T> = &'static [(&'static str, T)];

const VALIDITIES: Words<Validity> = &[
    ("defined", Validity::Defined),
    ("implementation-defined", Validity::ImplementationDefined),
    ("invalid", Validity::Invalid),
];

const KINDS: Words<SectionKind> = &[
    ("progbits", SectionKind::Progbits),
    ("nobits", SectionKind::Nobits),
    ("init_array", SectionKind::InitArray),
    ("fini_array", SectionKind::FiniArray),
    ("preinit_array", SectionKind::PreinitArray),
    ("note", SectionKind::Note),
    ("eh_frame", SectionKind::EhFrame),
    ("cstring_literals", SectionKind::CstringLiterals),
    ("4byte_literals", SectionKind::Literals4),
    ("8byte_literals", SectionKind::Literals8),
    ("16byte_literals", SectionKind::Literals16),
    ("thread_local_regular", SectionKind::ThreadLocalRegular),
    ("thread_local_zerofill", SectionKind::ThreadLocalZerofill),
    ("thread_local_variables", SectionKind::ThreadLocalVariables),
];

const BINDINGS: Words<Binding> = &[
    ("local", Binding::Local),
    ("global", Binding::Global),
    ("weak", Binding::Weak),
    ("unique", Binding::Unique),
];

const SYMBOL_KINDS: Words<SymbolKind> = &[
    ("notype", SymbolKind::Notype),
    ("object", SymbolKind::Object),
    ("func", SymbolKind::Func),
    ("tls", SymbolKind::Tls),
    ("ifunc", SymbolKind::Ifunc),
];

const VISIBILITIES: Words<Visibility> = &[
    ("default", Visibility::Default),
    ("internal", Visibility::Internal),
    ("hidden", Visibility::Hidden),
    ("protected", Visibility::Protected),
];

const HASH_STYLES: Words<HashStyle> =
    &[("sysv", HashStyle::Sysv), ("gnu", HashStyle::Gnu), ("both", HashStyle::Both)];

/// Options without an argument.
const PLAIN_OPTIONS: &[(&str, Opt)] = &[
    ("Bsymbolic", Opt::Bsymbolic),
    ("Bsymbolic-functions", Opt::BsymbolicFunctions),
    ("export-dynamic", Opt::ExportDynamic),
    ("gc-sections", Opt::GcSections),
    ("no-relax", Opt::NoRelax),
    ("now", Opt::Now),
    ("nodelete", Opt::Nodelete),
    ("pack-relative-relocs", Opt::PackRelativeRelocs),
    ("O2", Opt::O2),
    ("defs", Opt::Defs),
    ("as-needed", Opt::AsNeeded),
    ("target1-rel", Opt::Target1Relative(true)),
    ("target1-abs", Opt::Target1Relative(false)),
    ("android", Opt::Android),
    ("fixup-chains", Opt::FixupChains(true)),
    ("no-fixup-chains", Opt::FixupChains(false)),
    ("dynamic-lookup", Opt::DynamicLookup),
];

/// Letters of section flags, in the order they are printed.
const FLAGS: &str = "awxtMSRE";

fn flag(flags: &mut SectionFlags, letter: char) -> Option<&mut bool> {
    Some(match letter {
        'a' => &mut flags.alloc,
        'w' => &mut flags.write,
        'x' => &mut flags.exec,
        't' => &mut flags.tls,
        'M' => &mut flags.merge,
        'S' => &mut flags.strings,
        'R' => &mut flags.retain,
        'E' => &mut flags.exclude,
        _ => return None,
    })
}

/// Words of what only Mach-O says of a symbol, in the order they are printed.
const DESCS: &[&str] = &["alt-entry", "can-be-hidden", "no-dead-strip"];

fn desc<'a>(desc: &'a mut Desc, word: &str) -> Option<&'a mut bool> {
    Some(match word {
        "alt-entry" => &mut desc.alt_entry,
        "can-be-hidden" => &mut desc.can_be_hidden,
        "no-dead-strip" => &mut desc.no_dead_strip,
        _ => return None,
    })
}

fn word<T: Copy + PartialEq>(words: Words<T>, value: T) -> &'static str {
    words.iter().find(|(_, known)| *known == value).map_or("?", |(word, _)| word)
}

fn value<T: Copy>(words: Words<T>, word: &str) -> Option<T> {
    words.iter().find(|(known, _)| *known == word).map(|(_, value)| *value)
}

/// Whether a name can stand without quotes.
fn is_plain(name: &str) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || "_.$*".contains(c);
    name.starts_with(first)
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.$@-:*?,".contains(c))
}
