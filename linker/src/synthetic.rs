//! Synthetic sections: what the linker makes itself, each planned (sizes known) and then written
//! into a slice.
//!
//! Builders such as `hash` and `relr` are pure: slices in, bytes out, none of the pipeline's types.
//! `plan`, `dynamic`, `dynsym`, `symtab`, `unwind` and `sections` feed them from the link's tables.

pub mod attributes;
pub mod build_id;
pub mod copies;
pub mod dynamic;
pub mod dynsym;
pub mod eh_frame_hdr;
pub mod hash;
pub mod index;
pub mod kept;
pub mod notes;
pub mod package;
pub mod plan;
pub mod properties;
pub mod relr;
pub mod sections;
pub mod strings;
pub mod symtab;
pub mod unwind;
pub mod unwind_write;
pub mod versions;
