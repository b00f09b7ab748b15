//! Engines → sources of cases.

use std::sync::Arc;

use scold_diff::request::Format;
use scold_diff::{Mode, Target};

use super::{Engine, Source};
use crate::Case;
use crate::generate::{self, macho, matrix, modules, sweep, worlds};

/// The sources of `engines` for `target`; random cases are of `modes` (not empty), by `seed`.
pub fn sources(engines: &[Engine], target: Target, modes: &[Mode], seed: u64) -> Vec<Source> {
    engines.iter().map(|engine| source(*engine, target, modes.to_vec(), seed)).collect()
}

fn source(engine: Engine, target: Target, modes: Vec<Mode>, seed: u64) -> Source {
    if target.format == Format::Macho {
        return of_macho(engine, target, modes, seed);
    }
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
                // Modules by themselves, and worlds of them, in turns.
                let mode = *modes.get((n / 2 % modes.len().max(1) as u64) as usize)?;
                let alone = || modules::seeded(seed, n, target, mode);
                match n % 2 {
                    0 => alone().filter(|case| case.mode != Mode::Shared),
                    _ => worlds::seeded(seed, n, target, mode),
                }
            }),
        },
    }
}

fn of_macho(engine: Engine, target: Target, modes: Vec<Mode>, seed: u64) -> Source {
    // Linkers make position-dependent programs no more.
    let modes: Vec<Mode> = modes.into_iter().filter(|mode| *mode != Mode::Exe).collect();
    let none = modes.is_empty();
    let mode = move |n: u64| modes.get((n % modes.len().max(1) as u64) as usize).copied();
    let numbered = |len, case: fn(Target, u64) -> Option<Case>| Source {
        len: Some(len),
        case: Arc::new(move |n| case(target, n)),
    };
    match engine {
        Engine::Matrix => numbered(macho::matrix::count(), macho::matrix::case),
        Engine::Sweep => numbered(macho::sweep::count(target), macho::sweep::case),
        Engine::Random => Source {
            len: none.then_some(0),
            case: Arc::new(move |n| Some(generate::seeded(seed, n, target, mode(n)?))),
        },
        Engine::Modules => Source {
            len: none.then_some(0),
            // Modules by themselves, and worlds of them, in turns.
            case: Arc::new(move |n| match n % 2 {
                0 => macho::modules::seeded(seed, n, target, mode(n / 2)?),
                _ => macho::worlds::seeded(seed, n, target, mode(n / 2)?),
            }),
        },
    }
}
