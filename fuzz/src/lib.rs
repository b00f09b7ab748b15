//! The generator: cases, their text form, generators, emitters, expectations, the reducer.
//!
//! All the randomness of the project is here, and none of any linker's command line: a [`Case`] is
//! plain data; [`emit`] turns it into a [`scold_diff::Request`], [`expect`] into the Facts that the
//! specs demand.

pub mod campaign;
pub mod case;
pub mod config;
pub mod emit;
pub mod examine;
pub mod expect;
pub mod finding;
pub mod generate;
pub mod machine;
pub mod metamorphic;
pub mod mutate;
pub mod reduce;
pub mod settle;
pub mod target;
pub mod text;
pub mod worlds;

pub use case::Case;
