//! `--defsym`: expressions → definitions, and their values once every address is known.
//!
//! What moves with the image and what does not is decided early, from the expression's shape, as lld
//! decides it: a sum with one address, a difference that leaves one, a rounded address are addresses.

use crate::error::{Error, ErrorKind, Errors};
use crate::layout::OutSec;
use crate::layout::symbols::definition_address;
use crate::link::{Link, Special, attr};
use crate::object::{Home, SymId, hash_name};
use crate::options::{Binary, Expression, Unary};
use crate::resolve::Def;

/// Defines every `--defsym` name.
///
/// Errors: `undefined-symbol` for a mention of a name that nothing defines.
pub(super) fn define(link: &mut Link<'_>) -> Result<(), Errors> {
    let mut errors = Vec::new();
    for (at, defsym) in link.options.defsyms.iter().enumerate() {
        let mut missing = None;
        defsym.value.symbols(&mut |name| {
            let found = find(link, name).is_some_and(|id| link.res.defs[id.i()].is_local());
            // A name may be defined in terms of what it was, but a later --defsym is not seen.
            missing = missing.or((!found).then_some(name));
        });
        if let Some(name) = missing {
            let text = format!("undefined symbol: {name}, in --defsym {}", defsym.name);
            errors.push(Error::new(ErrorKind::UndefinedSymbol, text));
            continue;
        }
        let Some(id) = find(link, &defsym.name) else { continue };
        let alias = defsym.value.as_alias().and_then(|(name, n)| Some((find(link, name)?, n)));
        let special = match (&defsym.value, alias) {
            (Expression::Number(value), _) => Special::Absolute(*value),
            (_, Some((target, _))) if target == id => {
                let text = format!("--defsym {}: the value is the symbol itself", defsym.name);
                errors.push(Error::new(ErrorKind::Usage, text));
                continue;
            }
            (_, Some((target, addend))) => alias_of(link, target, addend),
            (value, None) => Special::Computed {
                defsym: at as u32,
                is_address: is_address(link, value),
                value: 0,
            },
        };
        link.res.defs[id.i()] = Def::special(link.specials.len());
        link.specials.push(special);
    }
    Errors::collect(errors).map_or(Ok(()), Err)
}

/// `target` plus `addend`; what stands for another symbol is followed now, however long the chain.
fn alias_of(link: &Link<'_>, target: SymId, addend: i64) -> Special {
    match link.res.defs[target.i()].as_special().map(|at| &link.specials[at]) {
        Some(Special::Alias(first, more)) => Special::Alias(*first, more.wrapping_add(addend)),
        Some(Special::Absolute(value)) => Special::Absolute(value.wrapping_add_signed(addend)),
        _ => Special::Alias(target, addend),
    }
}

fn find(link: &Link<'_>, name: &str) -> Option<SymId> {
    link.res.names.find(name.as_bytes(), hash_name(name.as_bytes()))
}

/// Whether the value moves with the image.
fn is_address(link: &Link<'_>, value: &Expression) -> bool {
    let of = |value| is_address(link, value);
    match value {
        Expression::Symbol(name) => find(link, name).is_some_and(|id| moves(link, id)),
        Expression::Dot | Expression::AddressOf(_) => true,
        Expression::Binary(op, both) => match (op, of(&both.0), of(&both.1)) {
            (Binary::Add, a, b) => a != b,
            (Binary::Sub | Binary::And | Binary::Align, a, b) => a && !b,
            (Binary::Max | Binary::Min, a, b) => a || b,
            _ => false,
        },
        Expression::If(all) => of(&all.1) || of(&all.2),
        _ => false,
    }
}

fn moves(link: &Link<'_>, id: SymId) -> bool {
    match link.res.defs[id.i()].as_special().map(|at| &link.specials[at]) {
        Some(Special::Absolute(_)) => false,
        Some(Special::Computed { is_address, .. }) => *is_address,
        Some(Special::Alias(target, _)) => {
            link.res.winner(*target).is_none_or(|s| s.home != Home::Absolute)
        }
        Some(_) => true,
        None => link.res.winner(id).is_some_and(|s| s.home != Home::Absolute),
    }
}

/// Computes the values of what depends on addresses. Symbols' own addresses are known by now, but for
/// those of these definitions, which are computed in order: each sees the earlier ones only.
///
/// Errors: `usage` for a division by zero.
pub fn compute(link: &mut Link<'_>) -> Result<(), Errors> {
    for at in 0..link.specials.len() {
        let Special::Computed { defsym, .. } = link.specials[at] else { continue };
        let defsym = &link.options.defsyms[defsym as usize];
        let result = evaluate(link, &defsym.value).ok_or_else(|| {
            let text = format!("--defsym {}: division by zero", defsym.name);
            Error::new(ErrorKind::Usage, text)
        })?;
        if let Special::Computed { value, .. } = &mut link.specials[at] {
            *value = result;
        }
    }
    Ok(())
}

/// The value; `None` for a division by zero.
fn evaluate(link: &Link<'_>, value: &Expression) -> Option<u64> {
    let section = |name: &str| link.outs.iter().find(|o| o.name == name.as_bytes());
    let of = |name: &str, get: fn(&OutSec) -> u64| section(name).map_or(0, get);
    Some(match value {
        Expression::Number(n) => *n,
        Expression::Symbol(name) => find(link, name).map_or(0, |id| {
            let tls = if link.attrs[id.i()] & attr::TLS != 0 { link.tls_start() } else { 0 };
            definition_address(link, id, 0).wrapping_sub(tls)
        }),
        Expression::Dot => {
            let end = |o: &OutSec| o.addr.saturating_add(o.size);
            let loaded = link.outs.iter().filter(|o| o.is_alloc() && o.in_memory());
            loaded.map(end).max().unwrap_or(link.shape.base)
        }
        Expression::AddressOf(name) => of(name, |o| o.addr),
        Expression::SizeOf(name) => of(name, |o| o.size),
        Expression::AlignOf(name) => of(name, |o| o.align),
        Expression::Headers => link.shape.headers_size,
        Expression::Page(largest) => {
            let z = &link.options.z;
            let given = if *largest { z.max_page_size } else { z.common_page_size };
            given.unwrap_or(link.arch.page)
        }
        Expression::Defined(name) => {
            let defined = |id: SymId| link.res.defs[id.i()].is_local();
            u64::from(find(link, name).is_some_and(defined))
        }
        Expression::Unary(op, a) => Unary::apply(*op, evaluate(link, a)?),
        Expression::Binary(op, both) => {
            Binary::apply(*op, evaluate(link, &both.0)?, evaluate(link, &both.1)?)?
        }
        Expression::If(all) => match evaluate(link, &all.0)? {
            0 => evaluate(link, &all.2)?,
            _ => evaluate(link, &all.1)?,
        },
    })
}
