//! Synthetic sections: what the linker makes itself, each planned (sizes known) and then written
//! into a slice.
//!
//! The modules below are pure: slices in, bytes out. They must not know the pipeline's types.

pub mod build_id;
pub mod eh_frame_hdr;
pub mod hash;
pub mod notes;
pub mod relr;
pub mod strings;
pub mod versions;
