//! How fast the linker's `resolve` phase is, in symbols/s of a large library.

mod inputs;

use criterion::{Criterion, criterion_group, criterion_main};

fn resolve(criterion: &mut Criterion) {
    inputs::phase(criterion, "resolve", &["resolve"], |stats| stats.symbols, "symbols/s");
}

criterion_group!(benches, resolve);
criterion_main!(benches);
