//! What a mode adds → clang's text of the same object, and in comments what it changes elsewhere.

use std::fmt::Write as _;

use super::made::{Atom, CODE, MOD_INIT, Scope, ZEROFILL, atoms, machine};
use super::{APPEND, FLAGS, LAST, OBJECT, ORDER, Plan, mangled, objects};
use crate::{Arch, Mode, Request};

/// The text.
pub(super) fn print(plan: &Plan, request: &Request) -> String {
    let mut out = String::new();
    for atom in atoms(plan, request.target.arch) {
        let _ = writeln!(out, "\t.section {},{}", atom.segment, section(&atom));
        let _ = writeln!(out, "\t.p2align {}", atom.align);
        let name = &atom.name.text;
        if atom.name.scope != Scope::Local {
            let _ = writeln!(out, "\t.globl \"{name}\"");
        }
        if atom.name.scope == Scope::Private {
            let _ = writeln!(out, "\t.private_extern \"{name}\"");
        }
        let _ = writeln!(out, "\"{name}\":");
        content(&mut out, &atom, request.target.arch);
    }
    out.push_str("\t.subsections_via_symbols\n");
    if request.mode == Mode::Plugin {
        let order = if plan.heads.is_empty() { "by size" } else { "heads, by size, tails" };
        let _ = writeln!(out, "# flags: {} -order_file {ORDER} ({order})", FLAGS.join(" "));
    }
    if plan.pulls {
        let _ = writeln!(out, "\t.reference \"{}\"", mangled(APPEND));
    }
    if plan.common.is_some() {
        let _ = writeln!(out, "# {} is no common block elsewhere", mangled(LAST));
    } else if let Some(data) = &plan.list {
        let _ = writeln!(out, "# the word {} holds the address of {data}", mangled(LAST));
    }
    for (_, name) in &plan.shared {
        let _ = writeln!(out, "# {name} is private external, wherever it is");
    }
    for (name, bound) in &plan.bounds {
        let names: Vec<_> = objects(request).map(|file| &*file.name).collect();
        let _ = writeln!(out, "# {name} is {bound} in {}", names.join(", "));
    }
    let _ = writeln!(out, "# {OBJECT} comes first");
    out
}

fn section(atom: &Atom) -> String {
    match atom.flags {
        CODE => format!("{},regular,pure_instructions", atom.section),
        MOD_INIT => format!("{},mod_init_funcs", atom.section),
        ZEROFILL => format!("{},zerofill", atom.section),
        _ => atom.section.to_owned(),
    }
}

fn content(out: &mut String, atom: &Atom, arch: Arch) {
    let field = |at: usize| atom.fields.get(at).map_or("", |field| field.2.as_str());
    let _ = match atom.fields.len() {
        0 if atom.flags == ZEROFILL => writeln!(out, "\t.space {}", atom.bytes.len()),
        0 => writeln!(out, "\t.quad 0"),
        1 => {
            let _ = writeln!(out, "\t.quad \"{}\"", field(0));
            match atom.bytes.len() - 8 {
                0 => Ok(()),
                rest => writeln!(out, "\t.space {rest}"),
            }
        }
        all => {
            let [data, call] = [0, all - 1].map(|at| format!("\"{}\"", field(at)));
            for line in machine(arch).lines {
                let _ = writeln!(out, "\t{}", line.replace("DATA", &data).replace("CALL", &call));
            }
            Ok(())
        }
    };
}
