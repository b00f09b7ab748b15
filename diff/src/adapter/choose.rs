//! Names in, adapters of this machine out.

use std::path::Path;
use std::sync::Arc;

use super::{ADAPTERS, Adapter as _, Installed, REFERENCE, Reference, Shared, lld, release};

/// The adapters that `names` ask for: `all` (the reference and the newest of each linker here),
/// `every` (all versions too), or names such as `gold`, `lld-19`; `extra` are `NAME=PATH`.
///
/// Errors: a name that is not known, or not on this machine, and what would bring it.
pub fn select(names: &[String], extra: &[String]) -> Result<Vec<Shared>, String> {
    let mut list: Vec<Shared> = Vec::new();
    for given in extra {
        let (name, path) =
            given.split_once('=').ok_or_else(|| format!("`{given}` is not NAME=PATH"))?;
        list.push(Arc::new(Installed::at(name, Path::new(path))?));
    }
    for name in names {
        if list.iter().any(|adapter| adapter.name() == name) {
            continue;
        }
        match name.as_str() {
            "all" | "every" => {
                list.push(Arc::new(Reference::default()));
                for linker in ADAPTERS {
                    let count = if name == "all" { 1 } else { usize::MAX };
                    let found = linker.installed().into_iter().take(count);
                    list.extend(found.map(|installed| Arc::new(installed) as Shared));
                }
            }
            REFERENCE => list.push(Arc::new(Reference::default())),
            name => list.push(Arc::new(named(name)?)),
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    list.retain(|adapter| seen.insert(adapter.name().to_owned()));
    Ok(list)
}

/// What the Rust toolchain brings, by our name for it, and the name of its program.
const TOOLCHAIN: &[(&str, &str)] = &[("rust-lld", "ld.lld"), ("rust-ld64", "ld64.lld")];

/// The installed linker called `name`.
fn named(name: &str) -> Result<Installed, String> {
    if let Some((_, port)) = TOOLCHAIN.iter().find(|(own, _)| *own == name) {
        let path = lld::toolchain(port).ok_or("the Rust toolchain here brings no rust-lld")?;
        return Installed::at(name, &path);
    }
    let family = name.split('-').next().unwrap_or(name);
    let linker = ADAPTERS.iter().find(|linker| linker.name == family).ok_or_else(|| {
        let known: Vec<&str> = ADAPTERS.iter().map(|linker| linker.name).collect();
        format!("no linker `{name}`; known: reference, {}", known.join(", "))
    })?;
    let mut found = linker.installed();
    let at = found.iter().position(|installed| {
        // `mold-2` picks by version where versions don't live beside each other.
        let wanted = release(&format!("{}.", name.strip_prefix(family).unwrap_or_default()));
        installed.name() == name || (!wanted.is_empty() && installed.release().starts_with(&wanted))
    });
    at.map(|at| found.swap_remove(at))
        .map(|found| found.named(name))
        .ok_or_else(|| format!("no {name} on this machine; {} brings it", linker.package))
}
