//! Engines → sources of cases.

use std::sync::Arc;

use scold_diff::{Mode, Target};

use super::{Engine, Source};
use crate::generate::{self, matrix, sweep};

/// The sources of `engines` for `target`; `seed` is the random one's.
pub fn sources(engines: &[Engine], target: Target, seed: u64) -> Vec<Source> {
    engines.iter().map(|engine| source(*engine, target, seed)).collect()
}

fn source(engine: Engine, target: Target, seed: u64) -> Source {
    match engine {
        Engine::Matrix => Source {
            len: Some(matrix::count(target)),
            case: Arc::new(move |number| matrix::case(target, number)),
        },
        Engine::Sweep => Source {
            len: Some(sweep::count(target)),
            case: Arc::new(move |number| sweep::case(target, number)),
        },
        // Modes in turns, so that a few numbers see them all.
        Engine::Random => Source {
            len: None,
            case: Arc::new(move |number| {
                let mode = Mode::ALL[(number % Mode::ALL.len() as u64) as usize];
                Some(generate::seeded(seed, number, target, mode))
            }),
        },
    }
}
