//! How fast the linker's `scan` phase is, in relocations/s of a large library.

mod inputs;

use criterion::{Criterion, criterion_group, criterion_main};

fn scan(criterion: &mut Criterion) {
    inputs::phase(criterion, "scan", &["scan"], |stats| stats.relocations, "relocations/s");
}

criterion_group!(benches, scan);
criterion_main!(benches);
