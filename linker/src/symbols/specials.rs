//! The definitions that the linker adds: section bounds, the tables' own names, `--defsym`.
//!
//! A name is only defined if something mentions it and no object defines it.

use rayon::prelude::*;

use crate::error::Errors;
use crate::link::{Link, Special};
use crate::object::{SymId, is_c_identifier, vis};
use crate::resolve::{Def, mention};

/// Defines what the linker defines, where something refers to it and nothing else does.
///
/// Errors: `undefined-symbol` for a `--defsym` of a name that nothing defines.
pub fn define_specials(link: &mut Link<'_>) -> Result<(), Errors> {
    let of_mode = crate::mode::markers(link.options);
    for (name, special) in fixed(link.arch.explicit_addends).into_iter().chain(of_mode) {
        if let Some(id) = link.res.find(name.as_bytes()) {
            define(link, id, special);
        }
    }
    if let Some(index) = link.arch.index {
        let name = index.name.as_bytes().to_vec();
        let [start, stop] = index.bounds.map(|bound| link.res.find(bound.as_bytes()));
        for (id, special) in [(start, Special::Start(name.clone())), (stop, Special::Stop(name))] {
            id.map(|id| define(link, id, special));
        }
    }
    section_bounds(link);
    super::defsym::define(link)
}

/// The names that are there whatever the inputs are.
fn fixed(explicit: bool) -> Vec<(&'static str, Special)> {
    let irelative = match explicit {
        true => ["__rela_iplt_start", "__rela_iplt_end"],
        false => ["__rel_iplt_start", "__rel_iplt_end"],
    };
    let start = |name: &[u8]| Special::Start(name.to_vec());
    let stop = |name: &[u8]| Special::Stop(name.to_vec());
    vec![
        ("_GLOBAL_OFFSET_TABLE_", Special::GotBase),
        ("_DYNAMIC", start(b".dynamic")),
        ("__ehdr_start", Special::Header),
        ("__executable_start", Special::Header),
        ("__dso_handle", Special::Header),
        ("_end", Special::End),
        ("end", Special::End),
        ("_etext", Special::CodeEnd),
        ("etext", Special::CodeEnd),
        ("_edata", Special::DataEnd),
        ("edata", Special::DataEnd),
        ("__bss_start", Special::BssStart),
        ("__init_array_start", start(b".init_array")),
        ("__init_array_end", stop(b".init_array")),
        ("__fini_array_start", start(b".fini_array")),
        ("__fini_array_end", stop(b".fini_array")),
        ("__preinit_array_start", start(b".preinit_array")),
        ("__preinit_array_end", stop(b".preinit_array")),
        (irelative[0], Special::IrelativeStart),
        (irelative[1], Special::IrelativeEnd),
        ("__GNU_EH_FRAME_HDR", start(b".eh_frame_hdr")),
        ("_TLS_MODULE_BASE_", Special::TlsModuleBase),
    ]
}

/// `__start_X` and `__stop_X` of sections whose names are C identifiers.
fn section_bounds(link: &mut Link<'_>) {
    let sections = c_identifier_sections(link);
    if sections.is_empty() {
        return;
    }
    for at in 0..link.res.names.len() {
        let id = SymId(at as u32);
        if link.res.defs[at].is_local() {
            continue;
        }
        let name = link.res.names.get(id);
        let special = match (name.strip_prefix(b"__start_"), name.strip_prefix(b"__stop_")) {
            (Some(s), _) if sections.contains(s) => Special::Start(s.to_vec()),
            (_, Some(s)) if sections.contains(s) => Special::Stop(s.to_vec()),
            _ => continue,
        };
        if define(link, id, special) {
            let least = link.options.z.start_stop_visibility.0;
            let now = &mut link.res.visibility[at];
            *now = if *now == vis::DEFAULT { least } else { *now };
        }
    }
}

/// Defines `id` unless an object does or nothing in an object mentions it.
fn define(link: &mut Link<'_>, id: SymId, special: Special) -> bool {
    let mentioned = link.res.mentions[id.i()] & (mention::STRONG | mention::WEAK) != 0;
    if link.res.defs[id.i()].is_local() || !mentioned {
        return false;
    }
    // Static executables only: elsewhere the loader applies them, and startup code must not.
    let irelative = matches!(special, Special::IrelativeStart | Special::IrelativeEnd);
    if irelative && (link.is_dynamic() || link.is_pic()) {
        return false;
    }
    if special == Special::Start(b".dynamic".to_vec()) && !link.is_dynamic() {
        return false;
    }
    let name = link.res.names.get(id);
    let of_section = name.starts_with(b"__start_") || name.starts_with(b"__stop_");
    // What a `--defsym` says instead is as visible as any definition.
    let replaced = || link.options.defsyms.iter().any(|defsym| defsym.name.as_bytes() == name);
    if link.res.visibility[id.i()] == vis::DEFAULT && !of_section && !replaced() {
        link.res.visibility[id.i()] = vis::HIDDEN;
    }
    link.res.defs[id.i()] = Def::special(link.specials.len());
    link.specials.push(special);
    true
}

/// Names of allocated sections that are C identifiers.
fn c_identifier_sections<'a>(link: &Link<'a>) -> rustc_hash::FxHashSet<&'a [u8]> {
    let objects: Vec<_> = link.res.objects().map(|o| o.1).collect();
    let lists = objects.par_iter().map(|object| {
        let mut found = rustc_hash::FxHashSet::default();
        for (index, section) in object.sections.iter().skip(1) {
            if section.flags & crate::format::elf::SHF_ALLOC == 0 || object.named_after(index, b".")
            {
                continue;
            }
            let name = object.section_name(index);
            if is_c_identifier(name) {
                found.insert(name);
            }
        }
        found
    });
    lists.collect::<Vec<_>>().into_iter().flatten().collect()
}
