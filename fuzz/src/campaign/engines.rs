//! Engines → sources of cases.

use std::sync::Arc;

use scold_diff::{Mode, Target};

use super::{Engine, Source};
use crate::generate::{self, matrix, modules, sweep};

/// The sources of `engines` for `target`; random cases are of `modes` (not empty), by `seed`.
pub fn sources(engines: &[Engine], target: Target, modes: &[Mode], seed: u64) -> Vec<Source> {
    engines.iter().map(|engine| source(*engine, target, modes.to_vec(), seed)).collect()
}

fn source(engine: Engine, target: Target, modes: Vec<Mode>, seed: u64) -> Source {
    match engine {
        Engine::Matrix => Source {
            len: Some(matrix::count(target)),
            case: Arc::new(move |n| matrix::case(target, n)),
        },
        Engine::Sweep => Source {
            len: Some(sweep::count(target)),
            case: Arc::new(move |n| sweep::case(target, n)),
        },
        Engine::Random => Source {
            len: None,
            case: Arc::new(move |n| {
                let mode = modes.get((n % modes.len().max(1) as u64) as usize)?;
                Some(generate::seeded(seed, n, target, *mode))
            }),
        },
        Engine::Modules => Source {
            len: None,
            case: Arc::new(move |n| {
                let mode = modes.get((n % modes.len().max(1) as u64) as usize)?;
                modules::seeded(seed, n, target, *mode).filter(|case| case.mode != Mode::Shared)
            }),
        },
    }
}
