//! Garbage collection: roots → the sections something reaches; the others are marked dead.
//!
//! Works on sections only. Must not know of output sections, addresses or what the scan will need.

use rustc_hash::FxHashMap;

use crate::eh_frame::{RecordKind, split};
use crate::format::elf::*;
use crate::link::{Link, Special};
use crate::object::{Home, Object, SecId, SymId, is_c_identifier, vis};
use crate::resolve::File;
use crate::symbols::Exports;

/// What keeps what, beside relocations.
struct Marker<'l, 'a> {
    link: &'l Link<'a>,
    live: Vec<bool>,
    queue: Vec<SecId>,
    /// Definitions by expression that something reaches, not yet followed.
    symbols: Vec<SymId>,
    /// Whether each of the link's own symbols was among them.
    seen: Vec<bool>,
    /// Sections by C-identifier name, for `__start_` and `__stop_`.
    named: FxHashMap<&'a [u8], Vec<SecId>>,
    /// A section's dependents: link order, and what its unwind records refer to.
    dependents: FxHashMap<SecId, Vec<SecId>>,
    /// Number of a section's group.
    group_of: FxHashMap<SecId, usize>,
    /// Members by group, until one of them is reached.
    groups: Vec<Vec<SecId>>,
}

/// Marks what nothing reaches as dead; lists it as `file:(section)` if asked to.
pub fn collect(link: &mut Link<'_>) -> Vec<String> {
    if !link.options.gc_sections {
        return Vec::new();
    }
    let live = {
        let mut marker = Marker::new(link);
        marker.roots();
        marker.run();
        marker.live
    };
    let mut removed = Vec::new();
    for file in &mut link.res.files {
        let File::Object(object) = file else { continue };
        for index in 1..object.sections.len() {
            let section = object.sections.get(index);
            if live[object.sec(index).i()] || object.dead[index as usize] || !collectable(&section)
            {
                continue;
            }
            object.dead[index as usize] = true;
            if link.options.print_gc_sections && object.section_size(index) > 0 {
                let name = String::from_utf8_lossy(object.section_name(index)).into_owned();
                removed.push(format!("{}:({name})", object.name));
            }
        }
    }
    removed
}

/// Whether a section of this kind can be garbage at all.
fn collectable(section: &crate::object::Section) -> bool {
    match section.kind {
        SHT_NULL | SHT_SYMTAB | SHT_STRTAB | SHT_RELA | SHT_REL | SHT_GROUP | SHT_SYMTAB_SHNDX => {
            false
        }
        _ => section.flags & SHF_ALLOC != 0 || section.flags & (SHF_GROUP | SHF_LINK_ORDER) != 0,
    }
}

impl<'l, 'a> Marker<'l, 'a> {
    fn new(link: &'l Link<'a>) -> Self {
        let mut marker = Self {
            link,
            live: vec![false; link.res.section_count],
            queue: Vec::new(),
            symbols: Vec::new(),
            seen: vec![false; link.specials.len()],
            named: FxHashMap::default(),
            dependents: FxHashMap::default(),
            group_of: FxHashMap::default(),
            groups: Vec::new(),
        };
        for (_, object) in link.res.objects() {
            marker.index(object);
        }
        marker
    }

    /// Learns what of `object` depends on what.
    fn index(&mut self, object: &Object<'a>) {
        for group in &object.groups {
            let members: Vec<SecId> = group.sections().map(|s| object.sec(s)).collect();
            self.group_of.extend(members.iter().map(|&member| (member, self.groups.len())));
            self.groups.push(members);
        }
        for (index, section) in object.sections.iter().skip(1) {
            let sec = object.sec(index);
            if object.dead[index as usize] {
                continue;
            }
            if section.flags & SHF_LINK_ORDER != 0 && section.link != 0 {
                self.dependents.entry(object.sec(section.link)).or_default().push(sec);
            }
            if section.flags & SHF_ALLOC == 0 {
                continue;
            }
            let name = object.section_name(index);
            if name == b".eh_frame" {
                self.index_unwind(object, index);
            } else if is_c_identifier(name) {
                self.named.entry(name).or_default().push(sec);
            }
        }
    }

    /// A function keeps what its unwind record and the record's CIE refer to.
    fn index_unwind(&mut self, object: &Object<'a>, index: u32) {
        // What can't be split is reported when it is planned.
        let Ok(records) = split(object.section_data(index)) else { return };
        let relocs = object.relocs(index);
        let offsets: Vec<u64> = relocs.iter().map(|r| r.offset).collect();
        let targets = |range: std::ops::Range<usize>, but: Option<u64>| -> Vec<SecId> {
            range
                .filter_map(|i| relocs.get(i))
                .filter(|r| Some(r.offset) != but)
                .filter_map(|r| self.section_of(object, r.sym))
                .collect()
        };
        let mut cies: FxHashMap<u32, Vec<SecId>> = FxHashMap::default();
        let mut edges = Vec::new();
        for record in records {
            let range = record.relocations(&offsets);
            match record.kind {
                RecordKind::Cie => drop(cies.insert(record.offset, targets(range, None))),
                RecordKind::Fde { cie } => {
                    let begin = u64::from(record.pc_begin());
                    let first =
                        range.clone().filter_map(|i| relocs.get(i)).find(|r| r.offset == begin);
                    let Some(function) = first.and_then(|r| self.section_of(object, r.sym)) else {
                        continue;
                    };
                    let mut list = targets(range, Some(begin));
                    list.extend(cies.get(&cie).into_iter().flatten());
                    edges.push((function, list));
                }
                RecordKind::Terminator => {}
            }
        }
        for (function, mut list) in edges {
            self.dependents.entry(function).or_default().append(&mut list);
        }
    }

    /// The section the symbol at `index` of `object` is in.
    fn section_of(&self, object: &Object<'_>, index: u32) -> Option<SecId> {
        if index >= object.first_global {
            return self.section_of_global(object.id(index));
        }
        match object.symbols.get(index).home {
            Home::Section(s) => Some(object.sec(s)),
            _ => None,
        }
    }

    fn section_of_global(&self, id: SymId) -> Option<SecId> {
        let def = self.link.res.defs[id.i()];
        let object = self.link.res.object(def.file()).filter(|_| def.is_local())?;
        match object.symbols.get(def.sym()).home {
            Home::Section(s) => Some(object.sec(s)),
            _ => None,
        }
    }

    fn mark(&mut self, sec: SecId) {
        if !std::mem::replace(&mut self.live[sec.i()], true) {
            self.queue.push(sec);
        }
    }

    fn mark_symbol(&mut self, id: SymId) {
        if let Some(sec) = self.section_of_global(id) {
            self.mark(sec);
            return;
        }
        let Some(at) = self.link.res.defs[id.i()].as_special() else { return };
        match &self.link.specials[at] {
            Special::Start(_) | Special::Stop(_) if self.link.options.z.start_stop_gc => {}
            Special::Start(name) | Special::Stop(name) => {
                for sec in self.named.remove(&name[..]).unwrap_or_default() {
                    self.mark(sec);
                }
            }
            // Once each: they may refer to one another, as deep as there are definitions.
            Special::Computed { .. } | Special::Alias(..)
                if !std::mem::replace(&mut self.seen[at], true) =>
            {
                self.symbols.push(id);
            }
            _ => {}
        }
    }

    /// Marks what the definitions that were reached are made of.
    fn follow_definitions(&mut self) {
        while let Some(id) = self.symbols.pop() {
            let Some(at) = self.link.res.defs[id.i()].as_special() else { continue };
            match &self.link.specials[at] {
                Special::Computed { defsym, .. } => {
                    let defsym = &self.link.options.defsyms[*defsym as usize];
                    let mut names = Vec::new();
                    defsym.value.symbols(&mut |name| names.push(name));
                    for name in names {
                        if let Some(id) = self.link.res.find(name.as_bytes()) {
                            self.mark_symbol(id);
                        }
                    }
                }
                Special::Alias(target, _) => self.mark_symbol(*target),
                _ => {}
            }
        }
    }

    fn roots(&mut self) {
        let options = self.link.options;
        let entry = options.entry.as_deref().unwrap_or("_start");
        let names = [entry, options.init.as_str(), options.fini.as_str()];
        let asked = options.undefined.iter().chain(&options.require_defined).map(String::as_str);
        let mut defined = Vec::new();
        if options.kind == crate::options::OutputKind::Relocatable {
            // What the object will define as another symbol.
            options.defsyms.iter().for_each(|d| d.value.symbols(&mut |name| defined.push(name)));
        }
        let asked = asked.chain(defined);
        for name in names.into_iter().chain(asked) {
            if let Some(id) = self.link.res.find(name.as_bytes()) {
                self.mark_symbol(id);
            }
        }
        let exports = Exports::new(options);
        for at in 0..self.link.res.names.len() {
            let id = SymId(at as u32);
            let visible = matches!(self.link.res.visibility[at], vis::DEFAULT | vis::PROTECTED);
            let kept = options.gc_keep_exported && visible;
            if self.link.res.defs[at].is_local() && (kept || exports.contain(self.link, id)) {
                self.mark_symbol(id);
            }
        }
        let objects: Vec<&Object<'a>> = self.link.res.objects().map(|o| o.1).collect();
        for object in objects {
            for (index, section) in object.sections.iter().skip(1) {
                if !object.dead[index as usize] && is_root(object, index, &section) {
                    self.mark(object.sec(index));
                }
            }
        }
    }

    fn run(&mut self) {
        loop {
            self.follow_definitions();
            let Some(sec) = self.queue.pop() else { break };
            let Some(object) = self.link.res.owner(sec.0, |o| o.sec_base) else { continue };
            let index = sec.0 - object.sec_base;
            // Taken, not read: each list is walked once, however many sections lead to it.
            let group = self.group_of.get(&sec).map(|&at| std::mem::take(&mut self.groups[at]));
            let dependents = self.dependents.remove(&sec);
            for other in group.into_iter().chain(dependents).flatten() {
                self.mark(other);
            }
            // What is not loaded keeps nothing alive.
            let flags = object.sections.get(index).flags;
            if flags & SHF_ALLOC == 0 || object.section_name(index) == b".eh_frame" {
                continue;
            }
            for reloc in object.relocs(index).iter() {
                if reloc.sym >= object.first_global {
                    self.mark_symbol(object.id(reloc.sym));
                } else if let Some(target) = self.section_of(object, reloc.sym) {
                    self.mark(target);
                }
            }
        }
    }
}

/// Sections that stay whoever refers to them.
fn is_root(object: &Object<'_>, index: u32, section: &crate::object::Section) -> bool {
    if section.flags & SHF_GNU_RETAIN != 0 {
        return true;
    }
    if section.flags & SHF_ALLOC == 0 || section.flags & SHF_LINK_ORDER != 0 {
        return false;
    }
    match section.kind {
        SHT_INIT_ARRAY | SHT_FINI_ARRAY | SHT_PREINIT_ARRAY => true,
        // A note in a group belongs to what the group defines.
        SHT_NOTE => section.flags & SHF_GROUP == 0,
        _ => {
            let name = object.section_name(index);
            let kept: &[&[u8]] = &[b".init", b".fini", b".ctors", b".dtors", b".jcr", b".eh_frame"];
            kept.contains(&name)
                || [&b".init_array"[..], b".fini_array", b".preinit_array", b".ctors.", b".dtors."]
                    .iter()
                    .any(|p| name.starts_with(p))
        }
    }
}

#[cfg(test)]
mod tests {
    use object::{Object as _, SectionKind, SymbolKind, elf};

    use crate::link_args;
    use crate::robustness::sample::{new, reloc, symbol};

    #[test]
    fn definitions_of_definitions_keep_what_they_are_made_of() {
        let mut o = new();
        let data = |o: &mut object::write::Object<'_>, name: &str| {
            let section = o.add_section(vec![], name.as_bytes().to_vec(), SectionKind::Data);
            o.append_section_data(section, &[7; 8], 8);
            section
        };
        let (kept, gone, user) =
            (data(&mut o, "kept"), data(&mut o, "gone"), data(&mut o, ".data"));
        let foo = symbol(&mut o, "foo", SymbolKind::Data, Some((kept, 0, 8)));
        let bar = symbol(&mut o, "bar", SymbolKind::Data, Some((gone, 0, 8)));
        symbol(&mut o, "root", SymbolKind::Data, Some((user, 0, 8)));
        for id in [foo, bar] {
            o.symbol_mut(id).scope = object::SymbolScope::Linkage;
        }
        let c = symbol(&mut o, "c", SymbolKind::Data, None);
        reloc(&mut o, user, 0, c, 0, elf::R_X86_64_64);
        let files: crate::MemoryFiles = [("a.o", o.write().unwrap())].into_iter().collect();
        for chain in ["a=foo+4 b=a&0xffffff c=b+1", "a=foo b=a c=b"] {
            let defsyms = chain.split(' ').map(|d| format!("--defsym={d}"));
            let args = "-static --gc-sections -e root a.o".split(' ').map(String::from);
            let args: Vec<String> = args.chain(defsyms).collect();
            let Ok((image, _)) = link_args(&args, &files) else { panic!("{chain}") };
            let file = object::File::parse(&*image).unwrap();
            let has = |name: &str| file.section_by_name(name).is_some();
            assert!(has("kept") && !has("gone"), "{chain}");
        }
    }
}
