//! Case → bytes, or assembler text.

use scold_diff::Request;

use crate::Case;

/// The link that `case` describes, with every file's bytes.
pub fn request(case: &Case) -> Request {
    let _ = case;
    unimplemented!()
}
