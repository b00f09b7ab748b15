//! scold: find bugs in linkers.

fn main() {}
