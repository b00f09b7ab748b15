//! How fast the linker's `layout` phase is, in sections/s of a large library.

mod inputs;

use criterion::{Criterion, criterion_group, criterion_main};

fn layout(criterion: &mut Criterion) {
    inputs::phase(criterion, "layout", &["layout"], |stats| stats.sections, "sections/s");
}

criterion_group!(benches, layout);
criterion_main!(benches);
