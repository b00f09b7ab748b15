//! Branches: where one goes, whether it gets there by itself, and the thunk that stands in if not.
//!
//! Layout asks this for what thunks are missing, relocation for what to write. Must not know where thunks are.

use crate::arch::{Branch, Field, Row, What, insn};
use crate::link::{Link, attr};
use crate::object::{Object, Reloc, SymId};
use crate::synthetic::plan::NONE;

/// Where branches go that one thunk can stand in for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Target {
    /// The symbol.
    pub(crate) id: SymId,
    /// How far behind it: whatever the program counter is ahead of the branch.
    pub(crate) addend: i64,
    /// The instruction set of the branches, and so of the thunk.
    pub(crate) own: i64,
    /// That of the target, if the symbol does not say.
    state: i64,
}

/// One branch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Jump<'r> {
    row: &'r Row,
    /// The instruction.
    insn: u32,
    /// Where it is.
    place: u64,
    /// Where it goes.
    pub(crate) target: Target,
    /// How far.
    pub(crate) distance: i64,
}

/// Whether a branch to a symbol with `bits` goes nowhere: on with the next instruction.
pub(crate) fn is_nothing(bits: u16) -> bool {
    bits & (attr::WEAK_UNDEF | attr::DYNAMIC) == attr::WEAK_UNDEF
}

impl<'r> Jump<'r> {
    /// The branch that `reloc` of `object` completes at `place`, whose bytes are `field`.
    pub(crate) fn new(
        link: &Link<'_>,
        object: &Object<'_>,
        row: &'r Row,
        reloc: &Reloc,
        (place, field): (u64, &[u8]),
    ) -> Self {
        let (id, insn) = (object.id(reloc.sym), insn(field));
        let (own, state, pc) = match row.field {
            Field::Branch(branch) => (branch.own, (branch.state)(insn), branch.pc),
            _ => (0, 0, 0),
        };
        let target = Target { id, addend: reloc.addend.wrapping_add(pc), own, state };
        let end = match row.what {
            What::Plt => address(link, &target),
            What::TlsDescCall => link.desc_call(),
            _ => own_address(link, &target),
        };
        let distance = link.arch.class.wrap((end as i64).wrapping_sub(place as i64 + pc));
        Self { row, insn, place, target, distance }
    }

    /// Whether it gets there.
    pub(crate) fn reaches(&self) -> bool {
        self.holds(self.distance)
    }

    /// The distance as the spec's formula has it: where the symbol doesn't say which state it is in, T is 0.
    pub(crate) fn formula(&self, link: &Link<'_>) -> i64 {
        let told = link.attrs[self.target.id.i()] & (attr::STATE | attr::FUNC) != 0;
        if told { self.distance } else { self.distance - (self.distance & self.target.state) }
    }

    fn holds(&self, distance: i64) -> bool {
        let own = match self.row.field {
            Field::Branch(branch) => (branch.reaches)(self.insn, distance),
            _ => true,
        };
        own && self.row.range.holds(distance)
    }

    /// How far it is to a thunk at address `at`, if it gets there.
    pub(crate) fn distance_to(&self, link: &Link<'_>, at: u64) -> Option<i64> {
        let pc = self.branch().map_or(0, |branch| branch.pc);
        let end = at as i64 | self.target.own;
        let distance = link.arch.class.wrap(end.wrapping_sub(self.place as i64 + pc));
        self.holds(distance).then_some(distance)
    }

    /// Whether no instruction begins where it goes.
    pub(crate) fn is_misaligned(&self) -> bool {
        let Some(branch) = self.branch() else { return !self.row.field.counts(self.distance) };
        let state = self.distance & 1;
        let end = (self.place as i64 + branch.pc).wrapping_add(self.distance - state);
        end % branch.aligned[state as usize] != 0
    }

    fn branch(&self) -> Option<&'static Branch> {
        match self.row.field {
            Field::Branch(branch) => Some(branch),
            _ => None,
        }
    }
}

/// The address that a branch to `target` ends at, in bit 0 its instruction set: the PLT entry, or the
/// symbol itself if it needs none.
pub(crate) fn address(link: &Link<'_>, target: &Target) -> u64 {
    let plt = link.plan.slots(target.id).plt;
    let indirect = link.attrs[target.id.i()] & (attr::DYNAMIC | attr::IFUNC) != 0;
    match indirect && plt != NONE {
        // Entries are of the first set.
        true => link.plt_address(plt).wrapping_add_signed(target.addend),
        false => own_address(link, target),
    }
}

fn own_address(link: &Link<'_>, target: &Target) -> u64 {
    let (bits, address) = (link.attrs[target.id.i()], link.addrs[target.id.i()]);
    let (address, state) = match bits & (attr::STATE | attr::FUNC) {
        bits if bits & attr::STATE != 0 => (address & !1, address & 1),
        // T is 0 for what is no function (AAELF32, "Relocation"): an odd value says nothing of its state.
        0 if link.arch.two_states => (address & !1, target.state as u64),
        _ => (address, 0),
    };
    address.wrapping_add_signed(target.addend) | state
}
