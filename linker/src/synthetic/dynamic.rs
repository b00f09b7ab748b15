//! `.dynstr`, versions and `.dynamic`: what the loader is told, planned before addresses.

use rustc_hash::FxHashMap;

use super::hash::sysv_hash;
use super::plan::{Plan, Tag, base_name};
use super::properties;
use super::versions::{Definition, Need, NeedVersion};
use crate::error::{Error, ErrorKind, Errors};
use crate::format::elf::*;
use crate::layout::Made;
use crate::link::{Link, attr};
use crate::object::{FileId, SymId};
use crate::options::{OutputKind, Symbolic};
use crate::resolve::mention;

/// A growing string table.
struct Strings {
    bytes: Vec<u8>,
    known: FxHashMap<Vec<u8>, u32>,
}

impl Strings {
    fn push(&mut self, name: &[u8]) -> u32 {
        let at = self.bytes.len() as u32;
        self.bytes.extend_from_slice(name);
        self.bytes.push(0);
        at
    }

    fn add(&mut self, name: &[u8]) -> u32 {
        if name.is_empty() {
            return 0;
        }
        if let Some(&at) = self.known.get(name) {
            return at;
        }
        let at = self.push(name);
        self.known.insert(name.to_vec(), at);
        at
    }
}

/// Plans everything that refers to `.dynstr`.
///
/// Errors: `undefined-version` if there are more versions than numbers for them.
pub fn plan(link: &mut Link<'_>) -> Result<(), Errors> {
    let mut plan = std::mem::take(&mut link.plan);
    let mut strings = Strings { bytes: vec![0], known: FxHashMap::default() };
    let mut tags = Vec::new();
    for (_, library) in link.res.libraries().filter(|l| l.1.used) {
        tags.push((DT_NEEDED, Tag::Value(strings.add(library.soname).into())));
    }
    let string =
        |strings: &mut Strings, text: &str| Tag::Value(strings.add(text.as_bytes()).into());
    for (tag, list) in [(0x7fff_fffd, &link.options.auxiliary), (0x7fff_ffff, &link.options.filter)]
    {
        for name in list {
            tags.push((tag, string(&mut strings, name)));
        }
    }
    for (tag, list) in [(0x6fff_fefc, &link.options.audit), (0x6fff_fefb, &link.options.depaudit)] {
        if !list.is_empty() {
            tags.push((tag, string(&mut strings, &list.join(":"))));
        }
    }
    if let (Some(soname), OutputKind::Shared) = (&link.options.soname, link.options.kind) {
        tags.push((DT_SONAME, string(&mut strings, soname)));
    }
    if !link.options.rpath.is_empty() {
        let tag = if link.options.new_dtags { DT_RUNPATH } else { DT_RPATH };
        tags.push((tag, string(&mut strings, &link.options.rpath.join(":"))));
    }
    plan.dynsym_names =
        plan.dynsyms.iter().map(|&id| strings.push(base_name(link.res.names.get(id)))).collect();
    plan_definitions(link, &mut plan, &mut strings);
    let versions = plan_needs(link, &mut plan, &mut strings);
    plan.dynstr = strings.bytes;
    link.plan = plan;
    plan_tags(link, tags);
    match versions {
        0..0x8000 => Ok(()),
        _ => {
            let text = format!("{versions} versions are more than symbols can have");
            Err(Error::new(ErrorKind::UndefinedVersion, text).into())
        }
    }
}

/// What this module defines: the base entry, the script's nodes, versions that only symbols name.
fn plan_definitions(link: &Link<'_>, plan: &mut Plan, strings: &mut Strings) {
    let nodes = link.options.version_script.as_ref().map_or(&[][..], |s| &s.nodes);
    let named = nodes.iter().any(|n| n.name.is_some());
    if named || !plan.extra_versions.is_empty() {
        let base = link.options.soname.clone().or_else(|| {
            let file = link.options.output.file_name()?;
            Some(file.to_string_lossy().into_owned())
        });
        let base = base.unwrap_or_default();
        let hash = sysv_hash(base.as_bytes());
        let name = strings.add(base.as_bytes());
        plan.verdefs.push(Definition { name, hash, flags: 1, index: 1, parents: Vec::new() });
        for (at, node) in nodes.iter().enumerate() {
            let text = node.name.as_deref().unwrap_or("");
            let parents = node.parents.iter().filter_map(|&p| nodes.get(p)?.name.as_deref());
            let parents = parents.map(|p| strings.add(p.as_bytes())).collect();
            let name = strings.add(text.as_bytes());
            let hash = sysv_hash(text.as_bytes());
            plan.verdefs.push(Definition { name, hash, flags: 0, index: at as u16 + 2, parents });
        }
    }
    for (at, text) in plan.extra_versions.iter().enumerate() {
        let (name, hash) = (strings.add(text), sysv_hash(text));
        let index = (nodes.len() + at) as u16 + 2;
        plan.verdefs.push(Definition { name, hash, flags: 0, index, parents: Vec::new() });
    }
}

/// What it needs of its libraries, and the version index of each dynamic symbol; how many versions
/// there are in all. Those past 15 bits have no number.
fn plan_needs(link: &Link<'_>, plan: &mut Plan, strings: &mut Strings) -> usize {
    let mut next = plan.verdefs.len().max(1) + 1;
    let mut needs: Vec<(FileId, Need)> = Vec::new();
    let mut need_of: FxHashMap<FileId, usize> = FxHashMap::default();
    let mut known: FxHashMap<(FileId, u16), (u16, usize, usize)> = FxHashMap::default();
    let mut versym = Vec::with_capacity(plan.dynsyms.len());
    for &id in &plan.dynsyms {
        let Some((file, version, text)) = needed_version(link, id) else {
            let own =
                if link.attrs[id.i()] & attr::IMPORT != 0 { 1 } else { link.version_of[id.i()] };
            versym.push(own.max(1));
            continue;
        };
        let weak = link.res.mentions[id.i()] & mention::STRONG == 0;
        let (index, need, at) = *known.entry((file, version)).or_insert_with(|| {
            let need = *need_of.entry(file).or_insert_with(|| {
                let soname = link.res.shared(file).map_or(&[][..], |l| l.soname);
                needs.push((file, Need { file: strings.add(soname), versions: Vec::new() }));
                needs.len() - 1
            });
            let list = &mut needs[need].1.versions;
            list.push(NeedVersion {
                name: strings.add(text),
                hash: sysv_hash(text),
                index: next as u16,
                weak: true,
            });
            next += 1;
            ((next - 1) as u16, need, list.len() - 1)
        });
        needs[need].1.versions[at].weak &= weak;
        versym.push(index);
    }
    // glibc refuses packed relocations unless this version is asked for.
    let packs = !plan.packed.is_empty() || !plan.packed_got.is_empty();
    for (file, need) in needs.iter_mut().filter(|_| packs) {
        let text: &[u8] = b"GLIBC_ABI_DT_RELR";
        if link.res.shared(*file).is_some_and(|l| l.versions.contains(&text)) {
            let (name, hash) = (strings.add(text), sysv_hash(text));
            need.versions.push(NeedVersion { name, hash, index: next as u16, weak: false });
            next += 1;
        }
    }
    needs.sort_by_key(|n| n.0);
    plan.verneeds = needs.into_iter().map(|n| n.1).collect();
    plan.versym = versym;
    next
}

/// The library and version a dynamic symbol is bound to, if it has one.
fn needed_version<'l>(link: &'l Link<'_>, id: SymId) -> Option<(FileId, u16, &'l [u8])> {
    let def = link.res.defs[id.i()];
    if link.attrs[id.i()] & attr::IMPORT == 0 || !def.is_shared() {
        return None;
    }
    let library = link.res.shared(def.file())?;
    let at = library.defined.binary_search_by_key(&def.sym(), |s| s.index).ok()?;
    let version = library.defined[at].version;
    let text = library.versions.get(usize::from(version))?;
    (version > 1 && !text.is_empty()).then_some((def.file(), version, *text))
}

fn plan_tags(link: &mut Link<'_>, mut tags: Vec<(u64, Tag)>) {
    let plan = &link.plan;
    let options = link.options;
    for (tag, name) in [(DT_INIT, &options.init), (DT_FINI, &options.fini)] {
        if let Some(id) = link.res.find(name.as_bytes())
            && link.res.defs[id.i()].is_local()
        {
            tags.push((tag, Tag::Symbol(id)));
        }
    }
    for (tag, size, name) in [
        (DT_PREINIT_ARRAY, DT_PREINIT_ARRAYSZ, ".preinit_array"),
        (DT_INIT_ARRAY, DT_INIT_ARRAYSZ, ".init_array"),
        (DT_FINI_ARRAY, DT_FINI_ARRAYSZ, ".fini_array"),
    ] {
        if link.outs.iter().any(|o| o.name == name.as_bytes() && o.size > 0) {
            tags.extend([(tag, Tag::NamedAddress(name)), (size, Tag::NamedSize(name))]);
        }
    }
    table_tags(link, &mut tags);
    version_tags(plan, &mut tags);
    let (flags, flags_1) = flags(link);
    if flags & DF_SYMBOLIC != 0 {
        tags.push((DT_SYMBOLIC, Tag::Value(0)));
    }
    if flags != 0 {
        tags.push((DT_FLAGS, Tag::Value(flags)));
    }
    if flags_1 != 0 {
        tags.push((DT_FLAGS_1, Tag::Value(flags_1)));
    }
    tags.push((DT_NULL, Tag::Value(0)));
    link.plan.tags = tags;
}

/// The tables of symbols and relocations.
fn table_tags(link: &Link<'_>, tags: &mut Vec<(u64, Tag)>) {
    let (plan, options) = (&link.plan, link.options);
    let word = link.arch.word();
    let [table, size, entry, count] = link.arch.relocs().tags();
    if plan.sysv_hash.is_some() {
        tags.push((DT_HASH, Tag::Address(Made::Hash)));
    }
    if plan.gnu_hash.is_some() {
        tags.push((DT_GNU_HASH, Tag::Address(Made::GnuHash)));
    }
    tags.extend([
        (DT_STRTAB, Tag::Address(Made::Dynstr)),
        (DT_SYMTAB, Tag::Address(Made::Dynsym)),
        (DT_STRSZ, Tag::Size(Made::Dynstr)),
        (DT_SYMENT, Tag::Value(link.arch.class.symbol() as u64)),
    ]);
    // The loader writes it.
    if options.kind.is_executable() && !options.z.rodynamic {
        tags.push((DT_DEBUG, Tag::Value(0)));
    }
    let jumps = plan.plt.len() + plan.iplt.len();
    if jumps > 0 {
        tags.push((DT_PLTGOT, Tag::Address(Made::GotPlt)));
    }
    if link.jump_relocs() > 0 {
        tags.extend([
            (DT_PLTRELSZ, Tag::Size(Made::RelaPlt)),
            (DT_PLTREL, Tag::Value(table)),
            (DT_JMPREL, Tag::Address(Made::RelaPlt)),
        ]);
        tags.extend(link.plt_entries().tags.iter().map(|&tag| (tag, Tag::Value(0))));
        if let Some((_, tag)) = link.arch.variant
            && plan.plt.iter().any(|&id| properties::is_variant(link, id))
        {
            tags.push((tag, Tag::Value(0)));
        }
    }
    if plan.rela_count > 0 {
        tags.extend([
            (table, Tag::Address(Made::RelaDyn)),
            (size, Tag::Size(Made::RelaDyn)),
            (entry, Tag::Value(link.arch.relocs().size() as u64)),
        ]);
        if plan.relative_count > 0 && options.z.combreloc {
            tags.push((count, Tag::RelativeCount));
        }
    }
    if !plan.packed.is_empty() || !plan.packed_got.is_empty() {
        tags.extend([
            (DT_RELR, Tag::Address(Made::Relr)),
            (DT_RELRSZ, Tag::Size(Made::Relr)),
            (DT_RELRENT, Tag::Value(word)),
        ]);
    }
    if plan.text {
        tags.push((DT_TEXTREL, Tag::Value(0)));
    }
}

fn version_tags(plan: &Plan, tags: &mut Vec<(u64, Tag)>) {
    if has_versions(plan) {
        tags.push((DT_VERSYM, Tag::Address(Made::Versym)));
    }
    if !plan.verdefs.is_empty() {
        tags.push((DT_VERDEF, Tag::Address(Made::Verdef)));
        tags.push((DT_VERDEFNUM, Tag::Value(plan.verdefs.len() as u64)));
    }
    if !plan.verneeds.is_empty() {
        tags.push((DT_VERNEED, Tag::Address(Made::Verneed)));
        tags.push((DT_VERNEEDNUM, Tag::Value(plan.verneeds.len() as u64)));
    }
}

/// Whether `.gnu.version` is there.
pub fn has_versions(plan: &Plan) -> bool {
    !plan.verdefs.is_empty() || !plan.verneeds.is_empty()
}

fn flags(link: &Link<'_>) -> (u64, u64) {
    let z = &link.options.z;
    // A loader would find what a dynamic list names in the library itself.
    let symbolic = link.options.symbolic == Symbolic::All && link.options.dynamic_list.is_none();
    let rows = [
        (z.origin, DF_ORIGIN, DF_1_ORIGIN),
        (link.is_shared() && symbolic, DF_SYMBOLIC, 0),
        (link.plan.text, DF_TEXTREL, 0),
        (z.now, DF_BIND_NOW, DF_1_NOW),
        (link.is_shared() && link.plan.static_tls, DF_STATIC_TLS, 0),
        (z.global, 0, DF_1_GLOBAL),
        (z.nodelete, 0, DF_1_NODELETE),
        (z.group, 0, DF_1_GROUP),
        (z.nodump, 0, DF_1_NODUMP),
        (z.initfirst, 0, DF_1_INITFIRST),
        (z.nodlopen, 0, DF_1_NOOPEN),
        (z.interpose, 0, DF_1_INTERPOSE),
        (z.nodefaultlib, 0, DF_1_NODEFLIB),
        (link.options.kind == OutputKind::Pie, 0, DF_1_PIE),
    ];
    rows.iter().filter(|r| r.0).fold((0, 0), |(f, g), r| (f | r.1, g | r.2))
}
