//! `-z KEYWORD`: one row per keyword. Unknown ones are a warning, as in GNU ld.

use object::elf;

use super::Severity;
use super::parse::{Parser, number, usage};
use crate::Result;

/// `-z` keywords that change the output.
#[derive(Clone, Debug)]
pub struct Z {
    /// `now`: DF_BIND_NOW, DF_1_NOW.
    pub now: bool,
    /// `relro` (the default).
    pub relro: bool,
    /// `separate-code` (the default): code shares no page with data.
    pub separate_code: bool,
    /// `nodelete`: DF_1_NODELETE.
    pub nodelete: bool,
    /// `nodlopen`: DF_1_NOOPEN.
    pub nodlopen: bool,
    /// `-Bgroup`: DF_1_GROUP.
    pub group: bool,
    /// `nodump`: DF_1_NODUMP.
    pub nodump: bool,
    /// `nodefaultlib`: DF_1_NODEFLIB.
    pub nodefaultlib: bool,
    /// `initfirst`: DF_1_INITFIRST.
    pub initfirst: bool,
    /// `interpose`: DF_1_INTERPOSE.
    pub interpose: bool,
    /// `origin`: DF_ORIGIN, DF_1_ORIGIN.
    pub origin: bool,
    /// `global`: DF_1_GLOBAL.
    pub global: bool,
    /// `copyreloc` (the default).
    pub copyreloc: bool,
    /// `combreloc` (the default): dynamic relocations are sorted.
    pub combreloc: bool,
    /// `text`: a dynamic relocation against read-only memory is an error; `notext` allows it.
    /// `None`: the default, an error.
    pub text: Option<bool>,
    /// `execstack`/`noexecstack`; `None`: the inputs' `.note.GNU-stack` say.
    pub execstack: Option<bool>,
    /// `nognustack`: no PT_GNU_STACK.
    pub nognustack: bool,
    /// `stack-size=`.
    pub stack_size: u64,
    /// `max-page-size=`; `None`: the machine's.
    pub max_page_size: Option<u64>,
    /// `common-page-size=`; `None`: the machine's.
    pub common_page_size: Option<u64>,
    /// `ibt`: mark the output for IBT.
    pub ibt: bool,
    /// `ibtplt`: PLT entries with ENDBR.
    pub ibtplt: bool,
    /// `shstk`, `gcs=always`: mark the output for shadow stacks.
    pub shstk: bool,
    /// `gcs=never`: don't, whatever the inputs say.
    pub no_shstk: bool,
    /// `pac-plt`: PLT entries check the address they jump to.
    pub pac_plt: bool,
    /// `force-bti`, `bti-report=`, `cet-report=`: what to say of inputs without landing marks.
    pub marks_report: Severity,
    /// `gcs-report=`, `cet-report=`: ... that are not made for shadow stacks.
    pub returns_report: Severity,
    /// `x86-64-v2` … `v4` as 2 … 4; 0 is none.
    pub isa_level: u8,
    /// `nostart-stop-gc` (the default): `__start_X` keeps all sections `X`.
    pub start_stop_gc: bool,
    /// `start-stop-visibility=`, as STV_*; the default is protected.
    pub start_stop_visibility: elf::SymbolVisibility,
    /// `dynamic-undefined-weak`/`nodynamic-undefined-weak`; `None`: the default.
    pub dynamic_undefined_weak: Option<bool>,
    /// `rodynamic`: `.dynamic` is read-only.
    pub rodynamic: bool,
    /// `keep-text-section-prefix`: `.text.hot` and its like stay apart.
    pub keep_text_section_prefix: bool,
    /// `nosectionheader`.
    pub no_section_header: bool,
}

impl Default for Z {
    fn default() -> Self {
        Self {
            now: false,
            relro: true,
            separate_code: true,
            nodelete: false,
            nodlopen: false,
            group: false,
            nodump: false,
            nodefaultlib: false,
            initfirst: false,
            interpose: false,
            origin: false,
            global: false,
            copyreloc: true,
            combreloc: true,
            text: None,
            execstack: None,
            nognustack: false,
            stack_size: 0,
            max_page_size: None,
            common_page_size: None,
            ibt: false,
            ibtplt: false,
            shstk: false,
            no_shstk: false,
            pac_plt: false,
            marks_report: Severity::None,
            returns_report: Severity::None,
            isa_level: 0,
            start_stop_gc: false,
            start_stop_visibility: elf::STV_PROTECTED,
            dynamic_undefined_weak: None,
            rodynamic: false,
            keep_text_section_prefix: false,
            no_section_header: false,
        }
    }
}

/// A keyword, its meaning for people (empty: not listed), and what it does with its value.
type Row = (&'static str, &'static str, fn(&mut Parser<'_>, &str) -> Result<()>);

/// Listed keywords with their meanings.
pub(super) fn help() -> impl Iterator<Item = (&'static str, &'static str)> {
    ROWS.iter().filter(|row| !row.1.is_empty()).map(|row| (row.0, row.1))
}

/// Applies `word`, which is `KEYWORD` or `KEYWORD=VALUE`.
pub(super) fn apply(p: &mut Parser<'_>, word: &str) -> Result<()> {
    let (key, value) = match word.find('=') {
        Some(at) => (&word[..=at], &word[at + 1..]),
        None => (word, ""),
    };
    match ROWS.iter().find(|row| row.0 == key) {
        Some(row) => {
            p.keyword = row.0;
            row.2(p, value)
        }
        None => {
            p.options.warnings.push(format!("-z {word} ignored: unknown keyword"));
            Ok(())
        }
    }
}

/// A power of two for a page size.
fn page(key: &str, value: &str) -> Result<Option<u64>> {
    match number(value) {
        Some(n) if n.is_power_of_two() && n <= 1 << 40 => Ok(Some(n)),
        _ => Err(usage(format!("-z {key}={value}: not a power of two"))),
    }
}

/// Accepted, but said so: the keyword promises something.
fn no_effect(p: &mut Parser<'_>, value: &str) -> Result<()> {
    let text = format!("-z {}{value} has no effect here", p.keyword);
    p.options.warnings.push(text);
    Ok(())
}

/// A report of what inputs lack; there is none here.
fn report(p: &mut Parser<'_>, value: &str) -> Result<()> {
    match value {
        "none" => Ok(()),
        "warning" => no_effect(p, value),
        "error" => Err(usage(format!("-z {}{value} is not supported", p.keyword))),
        _ => Err(usage(format!("-z {}{value}: none, warning or error", p.keyword))),
    }
}

fn severity(key: &str, value: &str) -> Result<Severity> {
    match value {
        "none" => Ok(Severity::None),
        "warning" => Ok(Severity::Warning),
        "error" => Ok(Severity::Error),
        _ => Err(usage(format!("-z {key}{value}: none, warning or error"))),
    }
}

fn ignore(_: &mut Parser<'_>, _: &str) -> Result<()> {
    Ok(())
}

/// `set!(field = value)`: a row's action that sets one field of `Z`.
macro_rules! set {
    ($($field:ident).+ = $value:expr) => {
        |p, _| {
            p.options.$($field).+ = $value;
            Ok(())
        }
    };
}

static ROWS: &[Row] = &[
    ("now", "Resolve every symbol at load time", set!(z.now = true)),
    ("lazy", "Resolve functions when first called (default)", set!(z.now = false)),
    ("relro", "Make what only relocation writes read-only (default)", set!(z.relro = true)),
    ("norelro", "Leave it writable", set!(z.relro = false)),
    ("defs", "Undefined symbols are errors, in libraries too", set!(defs = Some(true))),
    ("undefs", "Undefined symbols are for the loader", set!(defs = Some(false))),
    ("separate-code", "Code shares no page with data (default)", set!(z.separate_code = true)),
    ("noseparate-code", "Code may share pages with data", set!(z.separate_code = false)),
    ("separate-loadable-segments", "", set!(z.separate_code = true)),
    ("nodelete", "dlclose never unloads the library", set!(z.nodelete = true)),
    ("nodlopen", "dlopen refuses the library", set!(z.nodlopen = true)),
    ("nodump", "dldump refuses the library", set!(z.nodump = true)),
    ("nodefaultlib", "The loader skips the default directories", set!(z.nodefaultlib = true)),
    ("initfirst", "Initialise before all others", set!(z.initfirst = true)),
    ("interpose", "Look up here before all libraries", set!(z.interpose = true)),
    ("origin", "$ORIGIN is used", set!(z.origin = true)),
    ("global", "Symbols are for libraries loaded later", set!(z.global = true)),
    ("copyreloc", "Copy a library's data into the executable (default)", set!(z.copyreloc = true)),
    ("nocopyreloc", "Never copy a library's data", set!(z.copyreloc = false)),
    ("combreloc", "Sort dynamic relocations (default)", set!(z.combreloc = true)),
    ("nocombreloc", "Leave them in order", set!(z.combreloc = false)),
    ("text", "Relocations in read-only memory are errors (default)", set!(z.text = Some(true))),
    ("notext", "Allow relocations in read-only memory", set!(z.text = Some(false))),
    ("textoff", "", set!(z.text = Some(false))),
    ("textwarn", "", set!(z.text = Some(false))),
    ("execstack", "The stack is executable", set!(z.execstack = Some(true))),
    ("noexecstack", "The stack is not executable", set!(z.execstack = Some(false))),
    ("nognustack", "No PT_GNU_STACK", set!(z.nognustack = true)),
    ("muldefs", "The first of several definitions wins", set!(allow_multiple_definition = true)),
    ("pack-relative-relocs", "Relative relocations as RELR", set!(pack_relr = true)),
    ("nopack-relative-relocs", "Not so (default)", set!(pack_relr = false)),
    ("ibt", "Mark the output for IBT", set!(z.ibt = true)),
    ("ibtplt", "PLT entries with ENDBR", set!(z.ibtplt = true)),
    ("shstk", "Mark the output for shadow stacks", set!(z.shstk = true)),
    ("force-bti", "Mark the output for BTI, PLT entries too", |p, _| {
        let z = &mut p.options.z;
        z.ibt = true;
        if z.marks_report == Severity::None {
            z.marks_report = Severity::Warning;
        }
        Ok(())
    }),
    ("pac-plt", "PLT entries check the address they jump to", set!(z.pac_plt = true)),
    ("gcs=", "Guarded control stacks: implicit, always or never", |p, v| {
        let z = &mut p.options.z;
        (z.shstk, z.no_shstk) = match v {
            "implicit" => (false, false),
            "always" => (true, false),
            "never" => (false, true),
            _ => return Err(usage(format!("-z gcs={v}: implicit, always or never"))),
        };
        Ok(())
    }),
    ("bti-report=", "Inputs without landing marks: none, warning or error", |p, v| {
        p.options.z.marks_report = severity(p.keyword, v)?;
        Ok(())
    }),
    ("gcs-report=", "Inputs not made for guarded control stacks", |p, v| {
        p.options.z.returns_report = severity(p.keyword, v)?;
        Ok(())
    }),
    ("gcs-report-dynamic=", "", report),
    ("cet-report=", "Inputs without landing marks or not made for shadow stacks", |p, v| {
        let severity = severity(p.keyword, v)?;
        (p.options.z.marks_report, p.options.z.returns_report) = (severity, severity);
        Ok(())
    }),
    ("x86-64-baseline", "", set!(z.isa_level = 1)),
    ("x86-64-v2", "Mark the output as needing x86-64-v2", set!(z.isa_level = 2)),
    ("x86-64-v3", "... x86-64-v3", set!(z.isa_level = 3)),
    ("x86-64-v4", "... x86-64-v4", set!(z.isa_level = 4)),
    ("start-stop-gc", "__start_X keeps nothing alive", set!(z.start_stop_gc = true)),
    ("nostart-stop-gc", "__start_X keeps sections X (default)", set!(z.start_stop_gc = false)),
    ("start-stop-visibility=", "Visibility of __start_X", start_stop_visibility),
    ("dynamic-undefined-weak", "", set!(z.dynamic_undefined_weak = Some(true))),
    ("nodynamic-undefined-weak", "", set!(z.dynamic_undefined_weak = Some(false))),
    ("rodynamic", "The dynamic section is read-only", set!(z.rodynamic = true)),
    ("keep-text-section-prefix", "Keep .text.hot apart", set!(z.keep_text_section_prefix = true)),
    ("nokeep-text-section-prefix", "", set!(z.keep_text_section_prefix = false)),
    ("nosectionheader", "No section headers", set!(z.no_section_header = true)),
    ("sectionheader", "", set!(z.no_section_header = false)),
    ("max-page-size=", "The largest page the loader may use", |p, v| {
        p.options.z.max_page_size = page("max-page-size", v)?;
        Ok(())
    }),
    ("common-page-size=", "The page size to lay out for", |p, v| {
        p.options.z.common_page_size = page("common-page-size", v)?;
        Ok(())
    }),
    ("stack-size=", "The size in PT_GNU_STACK", |p, v| {
        p.options.z.stack_size =
            number(v).ok_or_else(|| usage(format!("-z stack-size={v}: not a number")))?;
        Ok(())
    }),
    // Known to GNU ld or lld and without effect on what is made here.
    ("common", "", ignore),
    ("nocommon", "", ignore),
    ("extern-protected-data", "", ignore),
    ("noextern-protected-data", "", ignore),
    ("nomark-plt", "", ignore),
    ("nounique-symbol", "", ignore),
    ("noindirect-extern-access", "", ignore),
    ("nomemory-seal", "", ignore),
    ("lam-u48-report=", "", report),
    ("lam-u57-report=", "", report),
    ("lam-report=", "", report),
    ("isa-level-report=", "", report),
    // These would change what GNU ld or lld make.
    ("bndplt", "", no_effect),
    ("lam-u48", "", no_effect),
    ("lam-u57", "", no_effect),
    ("report-relative-reloc", "", no_effect),
    ("mark-plt", "", no_effect),
    ("unique-symbol", "", no_effect),
    ("indirect-extern-access", "", no_effect),
    ("memory-seal", "", no_effect),
    ("dead-reloc-in-nonalloc=", "", no_effect),
    ("call-nop=", "", no_effect),
    ("rela", "", ignore),
    ("rel", "", |_, _| {
        Err(usage("-z rel: dynamic relocations have the form that the psABI says".into()))
    }),
];

fn start_stop_visibility(p: &mut Parser<'_>, value: &str) -> Result<()> {
    p.options.z.start_stop_visibility = match value {
        "default" => elf::STV_DEFAULT,
        "internal" => elf::STV_INTERNAL,
        "hidden" => elf::STV_HIDDEN,
        "protected" => elf::STV_PROTECTED,
        _ => return Err(usage(format!("-z start-stop-visibility={value}: no such visibility"))),
    };
    Ok(())
}
