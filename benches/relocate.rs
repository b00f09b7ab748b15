//! How fast the linker's `write` phase is, in relocations/s of a large library.

mod inputs;

use criterion::{Criterion, criterion_group, criterion_main};

fn relocate(criterion: &mut Criterion) {
    inputs::phase(criterion, "relocate", &["write"], |stats| stats.relocations, "relocations/s");
}

criterion_group!(benches, relocate);
criterion_main!(benches);
