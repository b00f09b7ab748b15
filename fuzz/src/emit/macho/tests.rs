//! What the emitter writes, read back by the `object` crate.
