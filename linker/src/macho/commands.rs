//! The header and the load commands: the finished link → the first bytes of the image. Must not
//! decide anything: it tells what was decided.

use super::link::{Def, Link, Ref};
use super::linkedit::{Linkedit, Part};
use super::options::Kind;
use super::symtab::Counts;
use crate::format::macho::{MAGIC, filetype, kind, lc, ordinal, pad};

/// Bytes of the fixed header.
const HEADER: usize = 32;

/// `MH_*` flags.
mod flag {
    pub(super) const NOUNDEFS: u32 = 1;
    pub(super) const DYLDLINK: u32 = 4;
    pub(super) const BINDATLOAD: u32 = 8;
    pub(super) const TWOLEVEL: u32 = 0x80;
    pub(super) const WEAK_DEFINES: u32 = 0x8000;
    pub(super) const BINDS_TO_WEAK: u32 = 0x1_0000;
    pub(super) const NO_REEXPORTED_DYLIBS: u32 = 0x10_0000;
    pub(super) const PIE: u32 = 0x20_0000;
    pub(super) const DEAD_STRIPPABLE: u32 = 0x40_0000;
    pub(super) const HAS_TLV_DESCRIPTORS: u32 = 0x80_0000;
    pub(super) const APP_EXTENSION_SAFE: u32 = 0x200_0000;
}

/// Bytes of header and load commands.
pub fn size(link: &Link<'_>) -> u64 {
    build(link, &Linkedit::default()).len() as u64
}

/// Header and load commands.
pub fn build(link: &Link<'_>, linkedit: &Linkedit) -> Vec<u8> {
    let options = link.options;
    let mut list = List { bytes: vec![0; HEADER], count: 0 };
    segments(link, &mut list);
    if options.kind == Kind::Dylib {
        let name =
            options.install_name.clone().unwrap_or_else(|| options.output.display().to_string());
        let versions = [1, options.current, options.compatibility];
        list.dylib(lc::ID_DYLIB, name.as_bytes(), versions);
    }
    let blob = |part| linkedit.place(part);
    if link.chained {
        list.words(lc::CHAINED_FIXUPS, &blob(Part::Chains));
        list.words(lc::EXPORTS_TRIE, &blob(Part::Exports));
    } else {
        let parts = [Part::Rebases, Part::Binds, Part::WeakBinds, Part::LazyBinds, Part::Exports];
        list.words(lc::DYLD_INFO_ONLY, &parts.map(blob).concat());
    }
    symbols(linkedit, &mut list);
    if options.kind == Kind::Execute {
        list.string(lc::LOAD_DYLINKER, &[12], b"/usr/lib/dyld");
    }
    if !options.no_uuid {
        list.words(lc::UUID, &[0; 4]);
    }
    if link.machine.always_signed || options.minos >= (10 << 16 | 14 << 8) {
        let words = [options.platform, options.minos, options.sdk, 1, 3, 1 << 16];
        list.words(lc::BUILD_VERSION, &words);
    } else {
        list.words(lc::VERSION_MIN_MACOSX, &[options.minos, options.sdk]);
    }
    list.words(lc::SOURCE_VERSION, &[0, 0]);
    if options.kind == Kind::Execute {
        let entry = entry(link).wrapping_sub(link.base);
        let stack = options.stack_size;
        list.words(
            lc::MAIN,
            &[entry as u32, (entry >> 32) as u32, stack as u32, (stack >> 32) as u32],
        );
    }
    routine(link, &mut list);
    libraries(link, &mut list);
    if !options.no_function_starts {
        list.words(lc::FUNCTION_STARTS, &blob(Part::FunctionStarts));
    }
    if !options.no_data_in_code {
        list.words(lc::DATA_IN_CODE, &blob(Part::DataInCode));
    }
    if options.is_signed() {
        list.words(lc::CODE_SIGNATURE, &blob(Part::Signature));
    }
    header(link, &mut list);
    list.bytes
}

/// Load commands one behind the other.
struct List {
    bytes: Vec<u8>,
    count: u32,
}

impl List {
    fn command(&mut self, cmd: u32, body: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend(cmd.to_le_bytes());
        self.bytes.extend([0; 4]);
        self.bytes.extend(body);
        pad(&mut self.bytes, 8);
        let size = (self.bytes.len() - start) as u32;
        self.bytes[start + 4..start + 8].copy_from_slice(&size.to_le_bytes());
        self.count += 1;
    }

    fn words(&mut self, cmd: u32, words: &[u32]) {
        self.command(cmd, &bytes(words));
    }

    /// Some words, then a string they say the place of.
    fn string(&mut self, cmd: u32, words: &[u32], text: &[u8]) {
        self.command(cmd, &[&bytes(words), text, &[0]].concat());
    }

    fn dylib(&mut self, cmd: u32, name: &[u8], [time, current, compatibility]: [u32; 3]) {
        self.string(cmd, &[24, time, current, compatibility], name);
    }
}

fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A name in its field of 16 bytes.
fn name(text: &[u8]) -> [u8; 16] {
    let mut out = [0; 16];
    out[..text.len().min(16)].copy_from_slice(&text[..text.len().min(16)]);
    out
}

fn segments(link: &Link<'_>, list: &mut List) {
    for segment in &link.segments {
        let outs = &link.outs[segment.outs.clone()];
        let mut body = name(&segment.name).to_vec();
        for word in [segment.addr, segment.size, segment.offset, segment.file_size] {
            body.extend(word.to_le_bytes());
        }
        let protection = segment.protection;
        body.extend(bytes(&[protection, protection, outs.len() as u32, segment.flags]));
        for out in outs {
            body.extend(name(&out.name));
            body.extend(name(&out.segment));
            body.extend(out.addr.to_le_bytes());
            body.extend(out.size.to_le_bytes());
            let offset = if out.is_zerofill() { 0 } else { out.offset as u32 };
            let [first, second] = out.reserved;
            body.extend(bytes(&[offset, out.align.into(), 0, 0, out.flags, first, second, 0]));
        }
        list.command(lc::SEGMENT, &body);
    }
}

fn symbols(linkedit: &Linkedit, list: &mut List) {
    let Counts { locals, exported, undefined } = linkedit.counts;
    let [at, _] = linkedit.place(Part::Symbols)[..] else { return };
    let [strings, strings_size] = linkedit.place(Part::Strings)[..] else { return };
    list.words(lc::SYMTAB, &[at, locals + exported + undefined, strings, strings_size]);
    let [indirect, indirect_size] = linkedit.place(Part::Indirect)[..] else { return };
    let mut words = [0; 18];
    words[..6].copy_from_slice(&[0, locals, locals, exported, locals + exported, undefined]);
    words[12..14].copy_from_slice(&[indirect, indirect_size / 4]);
    list.words(lc::DYSYMTAB, &words);
}

/// What `-init` names: dyld calls it before all that sections list.
fn routine(link: &Link<'_>, list: &mut List) {
    let Some(what) = link.init() else { return };
    let addr = super::write::function(link, what);
    let mut words = [0; 16];
    (words[0], words[1]) = (addr as u32, (addr >> 32) as u32);
    list.words(lc::ROUTINES, &words);
}

fn libraries(link: &Link<'_>, list: &mut List) {
    let paths = &link.options.rpaths;
    let mut last = 0;
    for library in link.libraries.iter().filter(|library| library.ordinal > 0) {
        if library.ordinal <= last {
            continue;
        }
        last = library.ordinal;
        let take = library.take;
        // A library all of whose names may be missing may be missing itself.
        let cmd = if take.reexport {
            lc::REEXPORT_DYLIB
        } else if take.weak || (library.used && !library.strongly) {
            lc::LOAD_WEAK_DYLIB
        } else if take.upward {
            lc::LOAD_UPWARD_DYLIB
        } else {
            lc::LOAD_DYLIB
        };
        list.dylib(cmd, &library.install_name, [2, library.current, library.compatibility]);
    }
    for (i, path) in paths.iter().enumerate() {
        // A loader may refuse a path that is there twice.
        if !paths[..i].contains(path) {
            list.string(lc::RPATH, &[12], path.as_bytes());
        }
    }
}

/// Where the program starts.
fn entry(link: &Link<'_>) -> u64 {
    let name = link.options.entry.as_deref().unwrap_or("_main").as_bytes();
    let id = link.names.find(name, crate::object::hash_name(name));
    id.map_or(0, |id| super::write::branch_target(link, Ref::Name(id)))
}

fn header(link: &Link<'_>, list: &mut List) {
    let options = link.options;
    let mut flags = flag::DYLDLINK;
    let mut set = |bit, when| flags |= if when { bit } else { 0 };
    set(flag::NOUNDEFS | flag::TWOLEVEL, !options.flat);
    let weak = |library: bool| {
        link.globals.iter().any(|global| {
            let theirs = matches!(global.def, Def::Library(_));
            theirs == library && global.ordinal.is_some() && global.weak
        })
    };
    let defines = link.globals.iter().any(|g| g.exported && (g.weak || g.overrides_weak));
    set(flag::WEAK_DEFINES, defines);
    let weakly = link.globals.iter().any(|g| g.ordinal == Some(ordinal::WEAK));
    set(flag::BINDS_TO_WEAK, weakly || weak(true));
    let reexports = link.libraries.iter().any(|library| library.take.reexport);
    set(flag::NO_REEXPORTED_DYLIBS, options.kind == Kind::Dylib && !reexports);
    set(flag::PIE, options.kind == Kind::Execute && options.slides());
    set(flag::HAS_TLV_DESCRIPTORS, link.outs.iter().any(|out| out.kind() == kind::TLV_VARS));
    set(flag::BINDATLOAD, options.bind_at_load && !link.chained);
    set(flag::DEAD_STRIPPABLE, options.dead_strippable && options.kind == Kind::Dylib);
    set(flag::APP_EXTENSION_SAFE, options.application_extension);
    let filetype = match options.kind {
        Kind::Execute => filetype::EXECUTE,
        Kind::Dylib => filetype::DYLIB,
        Kind::Bundle => filetype::BUNDLE,
    };
    let size = (list.bytes.len() - HEADER) as u32;
    let machine = link.machine;
    let words = [MAGIC, machine.cpu, machine.subtype, filetype, list.count, size, flags, 0];
    list.bytes[..HEADER].copy_from_slice(&bytes(&words));
}
