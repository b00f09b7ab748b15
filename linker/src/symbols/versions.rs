//! Versions that symbols' names say, and those that scripts give to what is not there.

use rustc_hash::FxHashMap;

use crate::error::{Error, ErrorKind, Errors};
use crate::link::{Link, attr};
use crate::object::SymId;
use crate::resolve::{Def, mention};

/// `--no-undefined-version`: what a version script names exactly must be defined.
fn undefined_in_script(link: &Link<'_>, errors: &mut Vec<Error>) {
    let script = link.options.version_script.iter().flat_map(|script| &script.nodes);
    for (node, pattern) in script.flat_map(|n| n.globals.iter().map(move |p| (n, p))) {
        let found = link.res.find(pattern.text.as_bytes());
        if !pattern.is_glob()
            && !pattern.is_cxx
            && found.is_none_or(|id| !link.res.defs[id.i()].is_local())
        {
            let version = node.name.as_deref().unwrap_or("global");
            let text = format!(
                "the version script gives {version} to {}, which nothing defines",
                pattern.text
            );
            errors.push(Error::new(ErrorKind::UndefinedVersion, text));
        }
    }
}

/// References to versions that nothing has.
fn unanswered(link: &Link<'_>, errors: &mut Vec<Error>) {
    for at in 0..link.res.names.len() {
        // A reference to a version that nothing has: bfd, gold and lld refuse it in libraries
        // too; in programs it is an undefined symbol like any other.
        let name = link.res.names.get(SymId(at as u32));
        let asked = link.is_shared() && link.res.mentions[at] & mention::STRONG != 0;
        if asked
            && link.res.defs[at] == Def::NONE
            && memchr::memchr(b'@', name).is_some_and(|n| n > 0)
        {
            let text = "no definition has the version of";
            errors.push(crate::resolve::symbol_error(ErrorKind::UndefinedVersion, text, name));
        }
    }
}

/// Gives symbols the versions that their names say.
///
/// Errors: `undefined-version`.
pub(super) fn check(link: &mut Link<'_>) -> Result<(), Errors> {
    let mut errors = Vec::new();
    let mut extra: Vec<Vec<u8>> = Vec::new();
    let mut extra_at: FxHashMap<&[u8], usize> = FxHashMap::default();
    let script = link.options.version_script.as_ref().map_or(&[][..], |s| &s.nodes);
    let nodes = script.len();
    let named = script.iter().map(|n| n.name.as_ref().map_or(&[][..], |n| n.as_bytes()));
    let node_at: FxHashMap<&[u8], usize> = named.zip(0..).collect();
    unanswered(link, &mut errors);
    if link.options.no_undefined_version {
        undefined_in_script(link, &mut errors);
    }
    let mut named: Vec<_> = link.res.versions.iter().map(|(&id, &v)| (id, v)).collect();
    named.sort_unstable_by_key(|n| n.0);
    for (id, (version, default)) in named {
        if !link.res.defs[id.i()].is_local() || link.attrs[id.i()] & attr::EXPORT == 0 {
            continue;
        }
        match node_at.get(version).filter(|_| !version.is_empty()) {
            Some(&node) => {
                let hidden = if default { 0 } else { crate::format::elf::VERSYM_HIDDEN };
                link.version_of[id.i()] = (node as u16).wrapping_add(2) | hidden;
            }
            None if version.is_empty() => {}
            // An executable defines what its symbols say, without a script.
            None if !link.is_shared() => {
                let known = *extra_at.entry(version).or_insert_with(|| {
                    extra.push(version.to_vec());
                    extra.len() - 1
                });
                let hidden = if default { 0 } else { crate::format::elf::VERSYM_HIDDEN };
                link.version_of[id.i()] = (nodes + known + 2) as u16 | hidden;
            }
            None => {
                let name = String::from_utf8_lossy(link.res.names.get(id));
                let version = String::from_utf8_lossy(version);
                let text = format!("version {version} is in no script: {name}");
                let file = link.res.object(link.res.defs[id.i()].file());
                let error = Error::new(ErrorKind::UndefinedVersion, text);
                errors.push(error.in_file(file.map_or("", |o| &o.name)));
            }
        }
    }
    // A version's number has 15 bits, and 0, 1 and the base entry have theirs.
    if nodes + extra.len() > usize::from(u16::MAX >> 1) - 2 {
        let text = format!("{} versions are more than symbols can have", nodes + extra.len());
        errors.push(Error::new(ErrorKind::UndefinedVersion, text));
    }
    link.plan.extra_versions = extra;
    Errors::collect(errors).map_or(Ok(()), Err)
}
