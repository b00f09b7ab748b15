//! The table of flags: build modes and what they are for.

use super::table::Arg::Needed;
use super::table::{Row, row};
use crate::mode::Mode;

/// The flags.
#[rustfmt::skip]
pub(super) static ROWS: &[Row] = &[
    row(&["buildmode"], Needed("MODE"), "What Go's linker makes of a module: c-shared, plugin, pie, exe; other flags win over its own", |p, v| {
        p.options.build.mode = Some(Mode::named(v)?);
        Ok(())
    }),
    row(&["goos"], Needed("OS"), "The system that --buildmode is for (linux)", |p, v| {
        p.options.build.goos = Some(v.into());
        Ok(())
    }),
    row(&["goarch"], Needed("ARCH"), "The machine that --buildmode is for (the inputs')", |p, v| {
        p.options.build.goarch = Some(v.into());
        Ok(())
    }),
];
