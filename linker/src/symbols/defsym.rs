//! `--defsym`: expressions → definitions, and their values once every address is known.
//!
//! What moves with the image and what does not is decided early, from the expression's shape, as lld
//! decides it: a sum with one address, a difference that leaves one, a rounded address are addresses.

use rustc_hash::FxHashMap;

use super::order::Order;
use crate::error::{Error, ErrorKind, Errors};
use crate::layout::OutSec;
use crate::layout::symbols::definition_address;
use crate::link::{Link, Special, attr};
use crate::object::{Home, SymId, hash_name};
use crate::options::{Binary, Expression, Unary};
use crate::resolve::Def;

/// Defines every `--defsym` name.
///
/// Errors: `undefined-symbol` for a mention of a name that nothing defines, `usage` for circles.
pub(super) fn define(link: &mut Link<'_>) -> Result<(), Errors> {
    let options = link.options;
    let order = Order::new(options)?;
    let mut errors = Vec::new();
    let mut specials = vec![Special::Absolute(0); options.defsyms.len()];
    for &at in &order.all {
        let defsym = &options.defsyms[at];
        let mut missing = None;
        defsym.value.symbols(&mut |name| {
            let found = order.seen(at, name).is_some()
                || find(link, name).is_some_and(|id| link.res.defs[id.i()].is_local());
            missing = missing.or((!found).then_some(name));
        });
        match missing {
            Some(name) => {
                let text = format!("undefined symbol: {name}, in --defsym {}", defsym.name);
                errors.push(Error::new(ErrorKind::UndefinedSymbol, text));
            }
            None => specials[at] = Early { link, order: &order, specials: &specials }.special(at),
        }
    }
    for (defsym, special) in options.defsyms.iter().zip(specials) {
        let Some(id) = find(link, &defsym.name) else { continue };
        link.res.defs[id.i()] = Def::special(link.specials.len());
        link.specials.push(special);
    }
    Errors::collect(errors).map_or(Ok(()), Err)
}

/// What is known before addresses: the definitions so far, by their place on the command line.
struct Early<'e, 'a> {
    link: &'e Link<'a>,
    order: &'e Order<'e>,
    specials: &'e [Special],
}

impl Early<'_, '_> {
    /// What definition `at` is.
    fn special(&self, at: usize) -> Special {
        let value = &self.link.options.defsyms[at].value;
        let computed = || Special::Computed {
            defsym: at as u32,
            is_address: self.is_address(at, value),
            value: 0,
        };
        match (value, value.as_alias()) {
            (Expression::Number(value), _) => Special::Absolute(*value),
            (_, Some((name, addend))) => match self.order.seen(at, name) {
                None => {
                    find(self.link, name).map_or_else(computed, |id| Special::Alias(id, addend))
                }
                // What stands for another symbol is followed now, however long the chain.
                Some(other) => match &self.specials[other] {
                    Special::Alias(first, more) => {
                        Special::Alias(*first, more.wrapping_add(addend))
                    }
                    Special::Absolute(value) => {
                        Special::Absolute(value.wrapping_add_signed(addend))
                    }
                    _ => computed(),
                },
            },
            _ => computed(),
        }
    }

    /// Whether the value moves with the image.
    fn is_address(&self, at: usize, value: &Expression) -> bool {
        let of = |value| self.is_address(at, value);
        match value {
            Expression::Symbol(name) => match self.order.seen(at, name) {
                Some(other) => moves(self.link, &self.specials[other]),
                None => find(self.link, name).is_some_and(|id| is_placed(self.link, id)),
            },
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
}

fn find(link: &Link<'_>, name: &str) -> Option<SymId> {
    link.res.names.find(name.as_bytes(), hash_name(name.as_bytes()))
}

/// Whether the value of `special` moves with the image.
pub(super) fn moves(link: &Link<'_>, special: &Special) -> bool {
    match special {
        Special::Absolute(_) => false,
        Special::Computed { is_address, .. } => *is_address,
        Special::Alias(target, _) => is_placed(link, *target),
        _ => true,
    }
}

/// Whether `id`, which no `--defsym` defines, has an address that moves with the image.
fn is_placed(link: &Link<'_>, id: SymId) -> bool {
    let is_special = link.res.defs[id.i()].as_special().is_some();
    is_special || link.res.winner(id).is_some_and(|s| s.home != Home::Absolute)
}

/// Computes the values of what depends on addresses. Symbols' own addresses are known by now, but for
/// those of these definitions, which are computed in order.
///
/// Errors: `usage` for a division by zero.
pub fn compute(link: &mut Link<'_>) -> Result<(), Errors> {
    if link.options.defsyms.is_empty() {
        return Ok(());
    }
    let order = Order::new(link.options)?;
    let first = link.specials.len() - link.options.defsyms.len();
    let mut late = Late { values: vec![0; link.options.defsyms.len()], ..Late::new(link, &order) };
    for &at in &order.all {
        let defsym = &link.options.defsyms[at];
        late.values[at] = match &link.specials[first + at] {
            Special::Absolute(value) => *value,
            Special::Alias(target, addend) => late.address(*target).wrapping_add_signed(*addend),
            _ => late.evaluate(at, &defsym.value).ok_or_else(|| {
                let text = format!("--defsym {}: division by zero", defsym.name);
                Error::new(ErrorKind::Usage, text)
            })?,
        };
    }
    let values = late.values;
    for (special, result) in link.specials[first..].iter_mut().zip(values) {
        if let Special::Computed { value, .. } = special {
            *value = result;
        }
    }
    Ok(())
}

/// What is known once sections have addresses, gathered once for all definitions.
struct Late<'l, 'a> {
    link: &'l Link<'a>,
    order: &'l Order<'l>,
    /// The first output section of each name.
    sections: FxHashMap<&'l [u8], &'l OutSec>,
    /// The end of the image.
    end: u64,
    /// Of the definitions computed so far.
    values: Vec<u64>,
}

impl<'l, 'a> Late<'l, 'a> {
    fn new(link: &'l Link<'a>, order: &'l Order<'l>) -> Self {
        let mut sections = FxHashMap::default();
        for out in &link.outs {
            sections.entry(&out.name[..]).or_insert(out);
        }
        let loaded = link.outs.iter().filter(|o| o.is_alloc() && o.in_memory());
        let end = loaded.map(|o| o.addr.saturating_add(o.size)).max();
        Self { link, order, sections, end: end.unwrap_or(link.shape.base), values: Vec::new() }
    }

    fn address(&self, id: SymId) -> u64 {
        let is_tls = self.link.attrs[id.i()] & attr::TLS != 0;
        let tls = if is_tls { self.link.tls_start() } else { 0 };
        definition_address(self.link, id).wrapping_sub(tls)
    }

    /// The value of `value` in definition `at`; `None` for a division by zero.
    fn evaluate(&self, at: usize, value: &Expression) -> Option<u64> {
        let link = self.link;
        let of = |name: &str, get: fn(&OutSec) -> u64| {
            self.sections.get(name.as_bytes()).map_or(0, |out| get(out))
        };
        let inner = |value| self.evaluate(at, value);
        Some(match value {
            Expression::Number(n) => *n,
            Expression::Symbol(name) => match self.order.seen(at, name) {
                Some(other) => self.values[other],
                None => find(link, name).map_or(0, |id| self.address(id)),
            },
            Expression::Dot => self.end,
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
            Expression::Unary(op, a) => Unary::apply(*op, inner(a)?),
            Expression::Binary(op, both) => Binary::apply(*op, inner(&both.0)?, inner(&both.1)?)?,
            Expression::If(all) => match inner(&all.0)? {
                0 => inner(&all.2)?,
                _ => inner(&all.1)?,
            },
        })
    }
}
