//! Resolution: inputs → the objects of the link, and what each name stands for. The first library or
//! archive on the command line that has a wanted name gives it, whatever it is, as with ld64. Must
//! not know of sections or addresses.

pub mod settle;

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::inputs::{Content, Input};
use super::link::{BINDER, Def, Global, Library, Link, Slots};
use super::machine::Machine;
use super::mode::Shared;
use super::object::{Atom, Home, Object, Target};
use super::options::Options;
use crate::format::macho::nlist;
use crate::format::macho::read::{File, is_macho};
use crate::input::is_bitcode;
use crate::object::{SymId, hash_name};
use crate::resolve::names::Names;
use crate::{Error, ErrorKind, Errors, Result};

/// Who can give a name.
#[derive(Clone, Copy)]
enum Offer {
    /// A library: its number, whether the definition is weak, whether it is thread-local.
    Library(u32, bool, bool),
    /// A member of the list.
    Member(u32),
}

/// A member of an archive.
struct Member<'a> {
    name: String,
    bytes: &'a [u8],
    hidden: bool,
    loaded: bool,
}

struct Resolver<'a> {
    options: &'a Options,
    shared: &'a [Shared],
    machine: &'static Machine,
    files: Vec<Object<'a>>,
    atoms: Vec<Atom>,
    names: Names<'a>,
    globals: Vec<Global>,
    libraries: Vec<Library>,
    offers: FxHashMap<&'a [u8], Offer>,
    members: Vec<Member<'a>>,
    errors: Vec<Error>,
}

/// Resolves every name of `inputs`; all objects see what is one of `shared`, and nobody else does.
///
/// Errors: those of objects, `duplicate-symbol`.
pub fn resolve<'a>(
    inputs: &'a [Input],
    options: &'a Options,
    shared: &'a [Shared],
) -> Result<Link<'a>, Errors> {
    let mut resolver = Resolver {
        options,
        shared,
        machine: options.arch(),
        files: Vec::new(),
        atoms: Vec::new(),
        names: Names::with_capacity(1 << 12),
        globals: Vec::new(),
        libraries: Vec::new(),
        offers: FxHashMap::default(),
        members: Vec::new(),
        errors: Vec::new(),
    };
    let first = resolver.offer(inputs)?;
    resolver.load(&first)?;
    let start = options.entry.as_deref().unwrap_or("_main");
    let is_program = options.kind == super::options::Kind::Execute;
    let wanted = options.wanted.iter().chain(&options.init).map(String::as_str);
    let wanted = wanted.chain(options.exported_names());
    for name in wanted.chain(is_program.then_some(start)) {
        let id = resolver.intern(name.as_bytes());
        resolver.globals[id.i()].strong_ref = true;
    }
    if !options.is_chained() {
        let id = resolver.intern(BINDER);
        resolver.globals[id.i()].strong_ref = true;
    }
    resolver.extract()?;
    Errors::collect(std::mem::take(&mut resolver.errors)).map_or(Ok(()), Err)?;
    let mut link = resolver.into_link();
    settle::settle(&mut link);
    Ok(link)
}

impl<'a> Resolver<'a> {
    fn intern(&mut self, name: &'a [u8]) -> SymId {
        let id = self.names.intern(name, hash_name(name));
        if id.i() == self.globals.len() {
            self.globals.push(Global::default());
        }
        id
    }

    /// Notes what libraries and archives have. Gives what is linked in any case, in order.
    fn offer(&mut self, inputs: &'a [Input]) -> Result<Vec<u32>> {
        let mut first = Vec::new();
        for input in inputs {
            match &input.content {
                Content::Object => {
                    first.push(self.members.len() as u32);
                    let name = input.name.clone();
                    let bytes = input.bytes();
                    self.members.push(Member { name, bytes, hidden: false, loaded: false });
                }
                Content::Archive => self.offer_archive(input, &mut first)?,
                Content::Ignored(_) => {}
                Content::Library(library) => {
                    let number = self.libraries.len() as u32;
                    for export in &library.exports {
                        let offer = Offer::Library(number, export.weak, export.thread_local);
                        self.offers.entry(&export.name).or_insert(offer);
                    }
                    self.libraries.push(Library {
                        install_name: library.install_name.clone(),
                        missing: library.missing.clone(),
                        current: library.current,
                        compatibility: library.compatibility,
                        take: input.take,
                        auto: input.auto,
                        used: false,
                        strongly: false,
                        is_loader: library.install_name.is_empty(),
                        ordinal: 0,
                    });
                }
            }
        }
        self.offer_indirect(inputs);
        Ok(first)
    }

    /// In a flat namespace what libraries load has names for all, after those that are named.
    fn offer_indirect(&mut self, inputs: &'a [Input]) {
        let libraries = inputs.iter().filter_map(|input| match &input.content {
            Content::Library(library) => Some(library),
            _ => None,
        });
        for (number, library) in (0..).zip(libraries) {
            for export in &library.indirect {
                let offer = Offer::Library(number, export.weak, export.thread_local);
                self.offers.entry(&export.name).or_insert(offer);
            }
        }
    }

    fn offer_archive(&mut self, input: &'a Input, first: &mut Vec<u32>) -> Result<()> {
        let archive = input.archive()?;
        let start = self.members.len() as u32;
        let mut by_header = FxHashMap::default();
        for member in input.members(&archive) {
            by_header.insert(member.header, self.members.len() as u32);
            self.members.push(Member {
                name: format!("{}({})", input.name, String::from_utf8_lossy(member.name)),
                bytes: member.bytes,
                hidden: input.take.hidden,
                loaded: false,
            });
        }
        let all = start..self.members.len() as u32;
        if input.take.force || self.options.all_load {
            let is_code = |bytes: &[u8]| is_macho(bytes) || is_bitcode(bytes);
            first.extend(all.filter(|&member| is_code(self.members[member as usize].bytes)));
            return Ok(());
        }
        if self.options.objc_load {
            first.extend(all.clone().filter(|&m| has_objc(self.members[m as usize].bytes)));
        }
        match archive.index()? {
            Some(index) => {
                for entry in index {
                    if let Some(&member) = by_header.get(&entry.header) {
                        self.offers.entry(entry.name).or_insert(Offer::Member(member));
                    }
                }
            }
            None => {
                for member in all {
                    let bytes = self.members[member as usize].bytes;
                    for name in definitions(bytes).unwrap_or_default() {
                        self.offers.entry(name).or_insert(Offer::Member(member));
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads `members` and adds them to the link, in order.
    fn load(&mut self, members: &[u32]) -> Result<(), Errors> {
        let machine = self.machine;
        let wanted: Vec<u32> =
            members.iter().copied().filter(|&m| !self.members[m as usize].loaded).collect();
        let read: Vec<_> = wanted
            .par_iter()
            .map(|&member| {
                let member = &self.members[member as usize];
                Object::parse(&member.name, member.bytes, machine)
            })
            .collect();
        let mut errors = Vec::new();
        for (member, result) in wanted.into_iter().zip(read) {
            let member = &mut self.members[member as usize];
            if std::mem::replace(&mut member.loaded, true) {
                continue;
            }
            match result {
                Ok((mut object, atoms)) => {
                    object.hidden = member.hidden;
                    self.add(object, atoms);
                }
                Err(error) => errors.push(error),
            }
        }
        Errors::collect(errors).map_or(Ok(()), Err)
    }

    fn add(&mut self, mut object: Object<'a>, atoms: Vec<Atom>) {
        let file = self.files.len() as u32;
        object.first_atom = self.atoms.len() as u32;
        self.atoms.extend(atoms.into_iter().map(|atom| Atom { file, ..atom }));
        for index in 0..object.symbols.len() {
            let symbol = &mut object.symbols[index];
            if !self.shared.is_empty() && symbol.kind & nlist::STAB == 0 {
                let is_global = symbol.is_global();
                let shares = self.shared.iter().any(|it| it.is(symbol.name, is_global));
                symbol.kind |= if shares { nlist::EXT | nlist::PEXT } else { 0 };
            }
            let symbol = *symbol;
            if !symbol.is_global() {
                continue;
            }
            let id = self.intern(symbol.name);
            object.symbols[index].id = id;
            self.mention(&object, file, index as u32, id);
        }
        self.files.push(object);
    }

    /// Decides between what a name stood for and what the object says.
    fn mention(&mut self, object: &Object<'a>, file: u32, index: u32, id: SymId) {
        let symbol = object.symbols[index as usize];
        let global = &mut self.globals[id.i()];
        let private = symbol.is_private() || object.hidden;
        let weak = symbol.desc & nlist::WEAK_DEF != 0;
        let fresh = global.def == Def::None && global.common.is_none();
        match symbol.home {
            Home::Undefined | Home::Nowhere => {
                match symbol.desc & nlist::WEAK_REF != 0 {
                    true => global.weak_ref = true,
                    false => global.strong_ref = true,
                }
                return;
            }
            Home::Common(size, align) => {
                if global.def == Def::None {
                    let old = global.common.unwrap_or((0, 0));
                    global.private = private && (fresh || global.private);
                    global.common = Some((old.0.max(size), old.1.max(align)));
                }
                return;
            }
            _ => {}
        }
        let can_hide = weak && symbol.desc & nlist::WEAK_REF != 0;
        if fresh || global.common.is_some() || (global.weak && !weak) {
            *global = Global {
                def: Def::Object(file, index),
                common: None,
                weak,
                can_hide,
                private,
                thread_local: thread_local(object, symbol.section),
                ..*global
            };
        } else if global.weak && weak {
            // The first copy stays; it is as visible as the most visible one.
            global.private &= private;
            global.can_hide &= can_hide;
        } else if !weak && let Def::Object(other, _) = global.def {
            let text = format!("duplicate symbol: {}", String::from_utf8_lossy(symbol.name));
            let first = self.files.get(other as usize).map_or(&object.name, |file| &file.name);
            let both = format!("{text}; also in {first}");
            let error = Error::new(ErrorKind::DuplicateSymbol, both);
            self.errors.push(error.in_file(&object.name));
        }
    }

    /// Finds every wanted name in libraries and archives, until nothing new is wanted.
    fn extract(&mut self) -> Result<(), Errors> {
        let mut at = 0;
        let mut again = true;
        while at < self.globals.len() || again {
            if at == self.globals.len() {
                // A name may have become wanted, or a common, after its turn.
                (at, again) = (0, false);
                continue;
            }
            let id = SymId(at as u32);
            at += 1;
            let global = &self.globals[id.i()];
            if global.def != Def::None {
                continue;
            }
            let wanted = global.strong_ref || global.weak_ref || global.common.is_some();
            let name = self.names.get(id);
            let Some(&offer) = self.offers.get(name).filter(|_| wanted) else { continue };
            match offer {
                Offer::Member(member) if !self.members[member as usize].loaded => {
                    // ld64 prefers a real definition in an archive to a common; lld doesn't.
                    let bytes = self.members[member as usize].bytes;
                    if self.globals[id.i()].common.is_none() || really_defines(bytes, name) {
                        self.load(&[member])?;
                        again = true;
                    }
                }
                Offer::Library(number, weak, thread_local) => {
                    let global = &mut self.globals[id.i()];
                    if global.common.is_none() {
                        global.def = Def::Library(number);
                        (global.weak, global.thread_local) = (weak, thread_local);
                    }
                }
                Offer::Member(_) => {}
            }
        }
        Ok(())
    }

    fn into_link(mut self) -> Link<'a> {
        for (at, global) in (0..).zip(&mut self.globals) {
            let own = !global.weak && matches!(global.def, Def::Object(..));
            let offer = self.offers.get(self.names.get(SymId(at)));
            global.overrides_weak = own && matches!(offer, Some(Offer::Library(_, true, _)));
        }
        let mut warnings = Vec::new();
        let asked = self.options.chained.is_some() || !self.machine.classic_if_unaligned;
        let odd = self.files.iter().find(|file| has_odd_pointer(file, self.machine));
        let falls_back = odd.is_some() && !asked;
        if let Some(file) = odd.filter(|_| falls_back && self.options.is_chained()) {
            warnings.push(format!("{}: unaligned pointers: fixups are not chained", file.name));
        }
        // ld64 says it of each; once for an object is enough.
        for (file, (section, offset)) in self.files.iter().filter_map(|f| Some((f, f.embeds?))) {
            let text = "an addend in an instruction; ARM64_RELOC_ADDEND is for them";
            warnings.push(format!("{}: {text}", file.site(section, offset)));
        }
        Link {
            options: self.options,
            machine: self.machine,
            files: self.files,
            atoms: self.atoms,
            names: self.names,
            globals: self.globals,
            libraries: self.libraries,
            bounds: Vec::new(),
            chained: self.options.is_chained() && !falls_back,
            outs: Vec::new(),
            segments: Vec::new(),
            got: Slots::default(),
            stubs: Slots::default(),
            lazy: Slots::default(),
            tlv: Slots::default(),
            info: None,
            inits: Vec::new(),
            unwind: super::unwind::Plan::default(),
            base: 0,
            warnings,
            binder: None,
        }
    }
}

/// Whether an object has a pointer that chained fixups may not hold, as packed structures do: one at no multiple
/// of four, or one that could reach over the end of a page wherever its section comes to be.
fn has_odd_pointer(object: &Object<'_>, machine: &Machine) -> bool {
    let mut kept = object.sections.iter().filter(|section| !section.atoms.is_empty());
    kept.any(|section| {
        section.relocs.iter().any(|reloc| {
            let plain = reloc.kind == machine.unsigned && reloc.size == 8;
            let aligned = section.header.align >= 3 && reloc.offset % 8 == 0;
            plain && reloc.minus == Target::None && !aligned
        })
    })
}

/// Whether a symbol of section `ordinal`, from 1, is a thread-local variable's descriptor.
fn thread_local(object: &Object<'_>, ordinal: u8) -> bool {
    let section = usize::from(ordinal).checked_sub(1).and_then(|at| object.sections.get(at));
    section.is_some_and(|s| s.header.kind() == crate::format::macho::kind::TLV_VARS)
}

/// The names an object defines, commons not counted.
fn definitions(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let symbols = is_macho(bytes).then(|| File::parse(bytes).ok()?.symbols().ok()).flatten()?;
    let defines = |symbol: &crate::format::macho::read::Nlist<'_>| {
        symbol.kind & nlist::EXT != 0
            && symbol.kind & nlist::STAB == 0
            && symbol.kind & nlist::TYPE != nlist::UNDF
    };
    Some(symbols.into_iter().filter(defines).map(|symbol| symbol.name).collect())
}

fn really_defines(bytes: &[u8], name: &[u8]) -> bool {
    definitions(bytes).is_some_and(|list| list.contains(&name))
}

/// Whether an object has classes or categories, which no name asks for.
fn has_objc(bytes: &[u8]) -> bool {
    let sections = is_macho(bytes).then(|| File::parse(bytes).ok()?.sections().ok()).flatten();
    let lists = [&b"__objc_catlist"[..], b"__objc_classlist"];
    let objc = sections.unwrap_or_default().iter().any(|section| lists.contains(&section.name));
    objc || definitions(bytes).unwrap_or_default().iter().any(|n| n.starts_with(b"_OBJC_CLASS_$_"))
}
