//! Binding: which names the module exports under which version, which of its own definitions others
//! may preempt, and what it imports.
//!
//! Spec: gABI chapter 5 (shared object dependencies, visibility); GNU ld's manual for version scripts,
//! dynamic lists and -Bsymbolic. It must not know sections' contents nor relocations.

use scold_diff::Key;
use scold_diff::model::{ErrorClass, Family};

use super::resolve::{Link, Winner};
use crate::case::{Binding, SymbolKind, VersionNode, VersionScript, Visibility};

/// How a name of the link appears to the loader.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Bound {
    /// Defined here and in the dynamic symbol table.
    pub(crate) exported: bool,
    /// The export's version, and whether it is the default one.
    pub(crate) version: Option<(Box<str>, bool)>,
    /// References to it are answered at run time.
    pub(crate) dynamic: bool,
}

/// Whether the output has a dynamic symbol table.
pub(crate) fn has_dynamic_table(link: &Link<'_>) -> bool {
    link.world.on.pic || !link.world.libraries.is_empty()
}

/// Binds every name.
pub(crate) fn bind(link: &mut Link<'_>, script: Option<&VersionScript>) -> Vec<Bound> {
    let dynamic_table = has_dynamic_table(link);
    if !dynamic_table && link.world.on.export_dynamic {
        // Whether there is a table, and what is in it; with --gc-sections, what that keeps alive.
        let reason = "--export-dynamic in a static executable";
        if link.world.on.gc {
            link.findings.everything(reason, true);
        }
        let table = [Family::Export, Family::Lookup, Family::Import, Family::Dynamic];
        link.findings.families(&table, reason, true);
    }
    let on = &link.world.on;
    if on.symbolic_functions && on.dynamic_list.is_some() {
        // bfd: -Bsymbolic-functions adds all data to the list.
        // Whatever names a symbol defined here may be bound or not; what is exported is the same.
        use Family::{Dynamic, Error, Fini, Import, Init, Tls, Unwind};
        let bound = [Dynamic, Error, Fini, Import, Init, Tls, Unwind];
        let reason = "-Bsymbolic-functions with a dynamic list";
        link.findings.families(&bound, reason, true);
        // A distance to what is not bound is none.
        link.findings.may(ErrorClass::RelocDynamic);
        let own = link.syms.iter().filter(|sym| !matches!(sym.winner, Winner::Undefined));
        let own = own.map(|sym| (sym.name.as_ref().into(), (reason, true)));
        link.findings.unclear.extend(own);
    }
    (0..link.syms.len())
        .map(|id| match link.syms[id].winner {
            Winner::Object { .. } | Winner::Common { .. } | Winner::Number(_) => {
                bind_definition(link, script, id, dynamic_table)
            }
            Winner::Alias(_) if link.syms[id].wanted.is_none() => {
                bind_definition(link, script, id, dynamic_table)
            }
            Winner::Library { .. } => Bound { dynamic: true, ..Bound::default() },
            Winner::Undefined => bind_undefined(link, id, dynamic_table),
            Winner::Alias(_) | Winner::Linker => Bound::default(),
        })
        .collect()
}

fn bind_definition(
    link: &mut Link<'_>,
    script: Option<&VersionScript>,
    id: usize,
    dynamic_table: bool,
) -> Bound {
    let sym = &link.syms[id];
    let on = &link.world.on;
    let visible = matches!(sym.visibility, Visibility::Default | Visibility::Protected);
    let listed = on
        .dynamic_list
        .as_ref()
        .is_some_and(|list| list.iter().any(|pattern| matches(pattern, &sym.name)));
    let wanted = on.library || on.export_dynamic || listed || sym.in_libraries;
    if !on.library && sym.binding == Binding::Unique && !wanted {
        // gold exports unique symbols of executables, too.
        let key = Key::new(Family::Export, &*sym.name);
        let lookup = Key::new(Family::Lookup, &*sym.name);
        link.findings.policy(key, "STB_GNU_UNIQUE of an executable");
        link.findings.policy(lookup, "STB_GNU_UNIQUE of an executable");
    }
    if !dynamic_table || !visible || !wanted {
        return Bound::default();
    }
    if !on.library && !on.export_dynamic && !listed && link.is_hidden_version_only(id) {
        // Only objects that ask for that version could mean it.
        let name = sym.name.clone();
        link.findings.name(&name, "a name that libraries only have in a hidden version", true);
    }
    let Some(version) = version_of(link, script, id) else { return Bound::default() };
    let sym = &link.syms[id];
    let on = &link.world.on;
    let function = matches!(sym.kind, SymbolKind::Func | SymbolKind::Ifunc);
    // GNU ld's manual: references to what a dynamic list names are not bound, the others are.
    let symbolic = match on.dynamic_list {
        Some(_) => !listed,
        None => on.symbolic || on.symbolic_functions && function,
    };
    let dynamic = on.library && sym.visibility == Visibility::Default && !symbolic;
    if on.library && symbolic && sym.binding == Binding::Unique {
        // bfd never binds unique symbols symbolically.
        let name = sym.name.clone();
        link.findings.name(&name, "-Bsymbolic and STB_GNU_UNIQUE", true);
    }
    leave_to_policy(link, id);
    Bound { exported: true, version, dynamic }
}

/// What linkers bind in their own ways.
fn leave_to_policy(link: &mut Link<'_>, id: usize) {
    let sym = &link.syms[id];
    let functions = link.world.on.symbolic_functions && !link.world.on.symbolic;
    let unclear = matches!(sym.kind, SymbolKind::Notype | SymbolKind::Ifunc);
    if functions && (unclear || matches!(sym.winner, Winner::Alias(_))) {
        // bfd binds everything but data, lld only STT_FUNC; an alias has no type with lld.
        let name = sym.name.clone();
        link.findings.name(&name, "-Bsymbolic-functions and what may be a function", true);
    }
    if let Winner::Alias(_) = sym.winner
        && link.syms[link.follow(id)].visibility != Visibility::Default
    {
        // bfd gives the new name the visibility of the old one.
        let name = sym.name.clone();
        link.findings.name(&name, "--defsym of a name that is not visible", true);
    }
}

/// The version a definition is exported with, if any; `None` if the script makes it local.
fn version_of(
    link: &mut Link<'_>,
    script: Option<&VersionScript>,
    id: usize,
) -> Option<Option<(Box<str>, bool)>> {
    let sym = &link.syms[id];
    let version = match (sym.version, script) {
        (Some((version, default)), _) => {
            let nodes = script.map_or(&[][..], |script| &script.nodes);
            let own = nodes.iter().find(|node| node.name == version);
            let bound = Some((Box::from(version), default));
            let name = sym.name.clone();
            match own.map(|node| assign(std::slice::from_ref(node), &name)) {
                None => {
                    link.findings.may(ErrorClass::UndefinedVersion);
                    link.findings.name(&name, "a version that no script defines", true);
                }
                // bfd and lld have it so, gold, mold and wild export it.
                Some(Assigned::Local) if !default => {
                    link.findings.name(&name, "NAME@V and what V itself makes local", true);
                    return None;
                }
                Some(Assigned::Disputed) if !default => {
                    link.findings.name(&name, "global and local globs that both match", false);
                }
                Some(_) => {}
            }
            bound
        }
        (None, Some(script)) => match assign(&script.nodes, &sym.name) {
            Assigned::Local => return None,
            Assigned::Global(version) => version.map(|version| (Box::from(version), true)),
            Assigned::Disputed => {
                let name = sym.name.clone();
                link.findings.name(&name, "global and local globs that both match", false);
                None
            }
        },
        (None, None) => None,
    };
    Some(version)
}

fn bind_undefined(link: &mut Link<'_>, id: usize, dynamic_table: bool) -> Bound {
    let sym = &link.syms[id];
    let on = &link.world.on;
    let importable = dynamic_table && sym.visibility == Visibility::Default;
    // In executables a weak reference that nothing answers may stay null or be looked up.
    Bound { dynamic: importable && on.library, ..Bound::default() }
}

enum Assigned<'c> {
    Global(Option<&'c str>),
    Local,
    Disputed,
}

/// The version that a script gives a name.
///
/// Exact names beat globs, later globs beat earlier ones, `*` comes last. Linkers disagree on a global
/// glob against a local glob.
fn assign<'c>(nodes: &'c [VersionNode], name: &str) -> Assigned<'c> {
    let version = |node: &'c VersionNode| (!node.name.is_empty()).then_some(&*node.name);
    let has = |list: &[String], test: &dyn Fn(&str) -> bool| list.iter().any(|p| test(p));
    let tests: [&dyn Fn(&str) -> bool; 3] = [
        &|pattern| !is_glob(pattern) && pattern == name,
        &|pattern| is_glob(pattern) && pattern != "*" && matches(pattern, name),
        &|pattern| pattern == "*",
    ];
    for test in tests {
        let global: Vec<_> = nodes.iter().filter(|n| has(&n.global, test)).collect();
        let local = nodes.iter().any(|n| has(&n.local, test));
        match (global.last(), local) {
            (Some(_), true) => return Assigned::Disputed,
            (Some(node), false) => return Assigned::Global(version(node)),
            (None, true) => return Assigned::Local,
            (None, false) => {}
        }
    }
    Assigned::Global(None)
}

fn is_glob(pattern: &str) -> bool {
    pattern.contains(['*', '?', '['])
}

/// Whether a glob of a version script matches: `*`, `?` and `[…]`.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    fn go(p: &[u8], n: &[u8]) -> bool {
        match p.first() {
            None => n.is_empty(),
            Some(b'*') => (0..=n.len()).any(|i| go(&p[1..], &n[i..])),
            Some(b'?') => !n.is_empty() && go(&p[1..], &n[1..]),
            Some(b'[') => {
                let Some(end) = p.iter().skip(1).position(|&c| c == b']').map(|i| i + 1) else {
                    return n.first() == Some(&b'[') && go(&p[1..], &n[1..]);
                };
                let Some((&first, rest)) = n.split_first() else { return false };
                let (set, negated) = match &p[1..end] {
                    [b'!' | b'^', set @ ..] => (set, true),
                    set => (set, false),
                };
                (in_set(set, first) != negated) && go(&p[end + 1..], rest)
            }
            Some(c) => n.first() == Some(c) && go(&p[1..], &n[1..]),
        }
    }
    go(pattern.as_bytes(), name.as_bytes())
}

fn in_set(mut set: &[u8], c: u8) -> bool {
    while let [first, rest @ ..] = set {
        if let [b'-', last, rest @ ..] = rest {
            if (*first..=*last).contains(&c) {
                return true;
            }
            set = rest;
        } else {
            if *first == c {
                return true;
            }
            set = rest;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        assert!(matches("*", "") && matches("f*", "foo") && matches("f?o", "foo"));
        assert!(matches("[a-f]oo", "foo") && !matches("[!f]oo", "foo") && !matches("f", "foo"));
        assert!(!matches("?", "") && matches("*o*", "foo") && !matches("[", "a"));
    }
}
