//! Flags about the code of some machines, and about objects that are not made for one another.
//!
//! Each says which machine it is for: elsewhere it changes nothing, but errata are refused.

use super::parse::usage;
use super::table::Arg::{Maybe, Needed, No};
use super::table::{Row, refuse, row, set};
use crate::arch::Reading;

/// See the module.
#[rustfmt::skip]
pub(super) static ROWS: &[Row] = &[
    row(&["fix-cortex-a53-843419"], Maybe("WAY"), "Avoid an erratum of the Cortex-A53; bfd's ways (full, adr, adrp) are one here", |p, v| {
        if !["", "full", "adr", "adrp"].contains(&v) {
            return Err(usage(format!("--fix-cortex-a53-843419={v}: not full, adr or adrp")));
        }
        p.options.errata.push("--fix-cortex-a53-843419".to_owned());
        Ok(())
    }),
    row(&["fix-cortex-a53-835769"], No, "Avoid another", |p, _| {
        p.options.errata.push(p.spelled.clone());
        Ok(())
    }),
    row(&["merge-exidx-entries"], No, "Merge equal neighbours in .ARM.exidx (default)", set!(merge_exidx = true)),
    row(&["no-merge-exidx-entries"], No, "Leave them", set!(merge_exidx = false)),
    row(&["warn-mismatch"], No, "Refuse objects whose attributes contradict each other (default)", set!(mismatches = true)),
    row(&["no-warn-mismatch"], No, "Link them", set!(mismatches = false)),
    row(&["target1-abs"], No, "R_ARM_TARGET1 is R_ARM_ABS32 (default)", set!(choices.target1 = Reading::Absolute)),
    row(&["target1-rel"], No, "R_ARM_TARGET1 is R_ARM_REL32", set!(choices.target1 = Reading::Relative)),
    row(&["target2"], Needed("TYPE"), "What R_ARM_TARGET2 is: rel, abs or got-rel (default)", |p, v| {
        p.options.choices.target2 = match v {
            "rel" => Reading::Relative,
            "abs" => Reading::Absolute,
            "got-rel" => Reading::Got,
            _ => return Err(usage(format!("--target2={v}: not rel, abs or got-rel"))),
        };
        Ok(())
    }),
    row(&["fix-v4bx"], No, "Make bx mov for processors without it (arm)", set!(choices.no_bx = true)),
    row(&["fix-v4bx-interworking"], No, "", refuse!("--fix-v4bx-interworking: ARMv4 without bx is not supported")),
    row(&["be8"], No, "", refuse!("--be8: big-endian code is not supported")),
];
