//! What the specs say the result must be: Case → expected Facts, no bytes of an output involved.

use scold_diff::Facts;

use crate::Case;

/// The Facts that a correct linker's output of `case` has.
pub fn expect(case: &Case) -> Facts {
    let _ = case;
    unimplemented!()
}
