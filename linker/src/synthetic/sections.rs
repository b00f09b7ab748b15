//! Which sections the linker makes, and how large they are: the plan → output sections.

use super::dynamic::has_versions;
use super::{eh_frame_hdr, notes, versions};
use crate::format::elf::*;
use crate::layout::assign::add_made;
use crate::layout::{Made, OutSec};
use crate::link::Link;
use crate::options::Strip;
use crate::synthetic::copies;

const R: u64 = SHF_ALLOC;
const RX: u64 = SHF_ALLOC | SHF_EXECINSTR;
const RW: u64 = SHF_ALLOC | SHF_WRITE;

/// Name, type and flags of what the linker makes.
fn row(made: Made) -> (&'static str, u32, u64) {
    match made {
        Made::Interp => (".interp", SHT_PROGBITS, R),
        Made::Property => (".note.gnu.property", SHT_NOTE, R),
        Made::BuildId => (".note.gnu.build-id", SHT_NOTE, R),
        Made::Package => (".note.package", SHT_NOTE, R),
        Made::GnuHash => (".gnu.hash", SHT_GNU_HASH, R),
        Made::Hash => (".hash", SHT_HASH, R),
        Made::Dynsym => (".dynsym", SHT_DYNSYM, R),
        Made::Dynstr => (".dynstr", SHT_STRTAB, R),
        Made::Versym => (".gnu.version", SHT_GNU_VERSYM, R),
        Made::Verdef => (".gnu.version_d", SHT_GNU_VERDEF, R),
        Made::Verneed => (".gnu.version_r", SHT_GNU_VERNEED, R),
        Made::RelaDyn => (".rela.dyn", SHT_RELA, R),
        Made::Relr => (".relr.dyn", SHT_RELR, R),
        Made::RelaPlt => (".rela.plt", SHT_RELA, R),
        Made::EhFrameHdr => (".eh_frame_hdr", SHT_PROGBITS, R),
        Made::EhFrame => (".eh_frame", SHT_PROGBITS, R),
        // As the machine has it.
        Made::Index => ("", SHT_PROGBITS, R),
        Made::Attributes => ("", SHT_PROGBITS, 0),
        Made::Plt => (".plt", SHT_PROGBITS, RX),
        Made::Dynamic => (".dynamic", SHT_DYNAMIC, RW),
        Made::Got => (".got", SHT_PROGBITS, RW),
        Made::GotPlt => (".got.plt", SHT_PROGBITS, RW),
        Made::CopyRelro => (".bss.rel.ro", SHT_NOBITS, RW),
        Made::Copy => (".copyrel", SHT_NOBITS, RW),
        Made::Symtab => (".symtab", SHT_SYMTAB, 0),
        Made::SymtabShndx => (".symtab_shndx", SHT_SYMTAB_SHNDX, 0),
        Made::Strtab => (".strtab", SHT_STRTAB, 0),
        Made::Shstrtab => (".shstrtab", SHT_STRTAB, 0),
        Made::Kept => (".rela", SHT_RELA, SHF_INFO_LINK),
    }
}

fn add(link: &mut Link<'_>, made: Made, size: u64, align: u64, entsize: u64) {
    if size == 0 {
        return;
    }
    let (name, mut kind, mut flags) = row(made);
    let mut name = std::borrow::Cow::Borrowed(name);
    if kind == SHT_RELA {
        let form = link.arch.relocs();
        kind = form.section_kind();
        name = name.replacen(".rela", form.prefix(), 1).into();
    }
    if let Some(index) = link.arch.index.filter(|_| made == Made::Index) {
        name = index.name.into();
        (kind, flags) = (index.kind, R | SHF_LINK_ORDER);
    }
    if let Some(attributes) = link.arch.attributes.filter(|_| made == Made::Attributes) {
        name = attributes.name.into();
        kind = attributes.kind;
    }
    if made == Made::Dynamic && link.options.z.rodynamic {
        flags = R;
    }
    let at = add_made(link, made, &name, kind, flags);
    let out = &mut link.outs[at];
    out.size = size;
    out.align = align;
    out.entsize = entsize;
}

/// Adds what the loader reads. No loaded section is added below.
pub fn add_loaded(link: &mut Link<'_>) {
    let (word, class) = (link.arch.word(), link.arch.class);
    let (symbol, tag) = (class.symbol() as u64, class.dynamic() as u64);
    let record = link.arch.relocs().size() as u64;
    let plan = &link.plan;
    let jumps = (plan.plt.len() + plan.iplt.len()) as u64;
    let lazy = !plan.plt.is_empty();
    let plt = jumps * link.plt_entry_size() + link.desc_call_size();
    let dynamic = plan.dynamic;
    let table = |on: bool, size: u64| if on { size } else { 0 };
    let dynsyms = plan.dynsyms.len() as u64 + 1;
    let sizes = [
        (Made::GnuHash, plan.gnu_hash.as_ref().map_or(0, |h| h.size() as u64), word, 0),
        (Made::Hash, plan.sysv_hash.as_ref().map_or(0, |h| h.size() as u64), word, 4),
        (Made::Dynsym, table(dynamic, dynsyms * symbol), word, symbol),
        (Made::Dynstr, table(dynamic, plan.dynstr.len() as u64), 1, 0),
        (Made::Versym, table(has_versions(plan), dynsyms * 2), 2, 2),
        (Made::Verdef, versions::verdef_size(&plan.verdefs) as u64, word, 0),
        (Made::Verneed, versions::verneed_size(&plan.verneeds) as u64, word, 0),
        (Made::RelaDyn, plan.rela_count * record, word, record),
        (
            Made::Relr,
            table(!plan.packed.is_empty() || !plan.packed_got.is_empty(), word),
            word,
            word,
        ),
        (Made::RelaPlt, link.jump_relocs() as u64 * record, word, record),
        (Made::EhFrame, plan.eh.size, word, 0),
        (Made::Index, plan.index.len() as u64 * super::index::ENTRY, 4, 0),
        (Made::Plt, plt + table(lazy, link.arch.plt.header), 16, 16),
        (Made::Dynamic, table(dynamic, plan.tags.len() as u64 * tag), word, tag),
        (Made::Got, u64::from(plan.got_words) * word, word, word),
    ];
    let fdes = plan.eh.fdes;
    let wants_got_plt = jumps > 0 || plan.got_based;
    let properties = notes::size(&plan.properties, word as usize) as u64;
    for (made, size, align, entsize) in sizes {
        add(link, made, size, align, entsize);
    }
    if wants_got_plt {
        add(link, Made::GotPlt, (link.arch.plt.reserved + jumps) * word, word, word);
    }
    if link.options.eh_frame_hdr && fdes > 0 {
        add(link, Made::EhFrameHdr, eh_frame_hdr::size(fdes) as u64, 4, 0);
    }
    add(link, Made::Property, properties, word, 0);
    let note = super::build_id::size(&link.options.build_id) as u64;
    add(link, Made::BuildId, note, 4, 0);
    let note = super::package::size(link.options.package_metadata.as_deref()) as u64;
    add(link, Made::Package, note, 4, 0);
    for made in [Made::Copy, Made::CopyRelro] {
        let size = copies::size(link, made);
        add(link, made, size, 64, 0);
    }
    add_interp(link, dynamic);
}

fn add_interp(link: &mut Link<'_>, dynamic: bool) {
    let options = link.options;
    let interp = dynamic && !options.no_dynamic_linker && !options.is_static;
    if interp && options.kind.is_executable() {
        let text = link.options.dynamic_linker.as_deref().unwrap_or(link.arch.interp);
        let size = text.len() as u64 + 1;
        add(link, Made::Interp, size, 1, 0);
    }
}

/// Adds the tables for debuggers and tools.
pub fn add_tables(link: &mut Link<'_>) {
    super::kept::add(link);
    add(link, Made::Attributes, link.plan.attributes.len() as u64, 1, 0);
    if link.options.strip != Strip::All {
        let (count, strings) = (link.plan.symtab.count, link.plan.symtab.strings);
        let (symbol, word) = (link.arch.class.symbol() as u64, link.arch.word());
        add(link, Made::Symtab, u64::from(count) * symbol, word, symbol);
        // Numbers start at 1, and nothing that a symbol is in comes after these.
        if link.outs.len() >= usize::from(SHN_LORESERVE) {
            add(link, Made::SymtabShndx, u64::from(count) * 4, 4, 4);
        }
        add(link, Made::Strtab, strings, 1, 0);
    }
    if link.options.z.no_section_header {
        return;
    }
    let names: u64 = link.outs.iter().map(|o| o.name.len() as u64 + 1).sum();
    let own = row(Made::Shstrtab).0.len() as u64 + 1;
    add(link, Made::Shstrtab, 1 + names + own, 1, 0);
}

/// Fills in `sh_link` and `sh_info`, once sections are numbered.
pub fn connect(link: &mut Link<'_>) {
    let number = |made: Made| link.out_of(made).map_or(0, |o| o.shndx);
    let dynsym = number(Made::Dynsym);
    let dynstr = number(Made::Dynstr);
    let symtab = number(Made::Symtab);
    let strtab = number(Made::Strtab);
    let got_plt = number(Made::GotPlt);
    let code = link.outs.iter().rev().find(|o| o.flags & SHF_EXECINSTR != 0 && o.made.is_none());
    let code = code.map_or(0, |o| o.shndx);
    let locals = link.plan.symtab.locals;
    let (verdefs, verneeds) = (link.plan.verdefs.len() as u32, link.plan.verneeds.len() as u32);
    let set = |out: &mut OutSec| {
        let (to, info) = match out.made {
            Some(Made::GnuHash | Made::Hash | Made::Versym | Made::RelaDyn) => (dynsym, 0),
            Some(Made::RelaPlt) => (dynsym, got_plt),
            Some(Made::Index) => (code, 0),
            Some(Made::Dynsym) => (dynstr, 1),
            Some(Made::Dynamic) => (dynstr, 0),
            Some(Made::Verdef) => (dynstr, verdefs),
            Some(Made::Verneed) => (dynstr, verneeds),
            Some(Made::Symtab) => (strtab, locals),
            Some(Made::SymtabShndx) => (symtab, 0),
            Some(Made::Kept) => (symtab, out.info + 1),
            _ => return,
        };
        out.link = to;
        out.info = info;
        if out.made == Some(Made::RelaPlt) {
            out.flags |= SHF_INFO_LINK;
        }
    };
    link.outs.iter_mut().for_each(set);
}
