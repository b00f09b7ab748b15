//! Where branches end up, and in which state: behind thunks, with the state put where a symbol's is.
//!
//! It must not know instructions: thunks and states are the machine's.

use super::super::inputs::Def;
use super::super::machine::Way;
use super::{Found, Judge, MOST_HOPS, Reference};

impl Judge<'_, '_> {
    /// `value` without `addend`: S, with the state of its symbol where the field has none, or where it went
    /// into an odd sum.
    pub(super) fn less(&self, value: u64, addend: u64, to: Reference<'_>) -> u64 {
        let value = self.module.image.class.wrap(value.wrapping_sub(addend));
        let state = self.module.machine.state;
        if state == 0 || !(to.stateless || addend & state != 0) {
            return value;
        }
        let entered = |def: &Def| {
            def.is_code() && self.places.address(self.inputs, def.spot) == Some(value | state)
        };
        if to.defs.iter().any(entered) { value | state } else { value }
    }

    /// Where a branch arrives: at a function in a state, at what is none in that of the caller.
    pub(in crate::model::elf) fn entered(
        &self,
        target: u64,
        caller: u64,
        to: Reference<'_>,
    ) -> Found {
        let state = self.module.machine.state;
        if state == 0 || to.defs.is_empty() || to.defs.iter().any(Def::is_code) {
            return Found::Address(target);
        }
        match target & state == caller {
            true => Found::Address(target & !state),
            false => Found::Bad("a branch that changes the state for what is no function".into()),
        }
    }

    /// Where a branch to `target` ends up if that is a thunk: the addend is of the place behind it.
    pub(in crate::model::elf) fn through(&self, target: u64) -> u64 {
        let hops = std::iter::successors(Some(target), |&target| self.thunk(target));
        hops.take(MOST_HOPS.into()).last().unwrap_or(target)
    }

    /// Whether a thunk starts there.
    pub(super) fn is_thunk(&self, address: u64) -> bool {
        self.thunk(address).is_some()
    }

    /// Where the thunk at an address leads.
    fn thunk(&self, address: u64) -> Option<u64> {
        let image = &self.module.image;
        let code = image.segment(address).is_some_and(|segment| segment.executable());
        if !code || self.places.occupied(address) {
            return None;
        }
        match (self.module.machine.stub)(image, address) {
            Ok(Way::Address(next)) => Some(next),
            _ => None,
        }
    }
}
