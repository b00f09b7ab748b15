//! `scold selftest`: faults planted, faults caught.

use clap::Args;

use crate::exit::{Answer, Failure};

/// Plant faults and count how many each oracle catches.
#[derive(Args)]
pub(crate) struct Selftest {}

impl Selftest {
    pub(crate) fn run(self) -> Answer {
        Err(Failure::Environment("no faults to plant yet".into()))
    }
}
