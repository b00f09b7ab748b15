//! How fast whole links are: a large library in one and in all threads, and a tiny one.

// Phases have benches of their own.
#[allow(dead_code)]
mod inputs;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use scold_linker::link_args;

fn link(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("link");
    group.sample_size(10);
    let (files, args) = inputs::large(inputs::LARGE);
    let relocations = link_args(&args, &files).expect("it links").1.stats.relocations;
    group.throughput(Throughput::Elements(relocations.max(1)));
    for threads in ["1", "2"] {
        let mut args = args.clone();
        args.push(format!("--threads={threads}"));
        group.bench_function(format!("large/{threads} threads, relocations/s"), |bench| {
            bench.iter(|| link_args(&args, &files).expect("it links"));
        });
    }
    let tiny = inputs::Size { objects: 2, functions: 3, references: 4 };
    let (files, mut args) = inputs::large(tiny);
    args.push("--threads=1".into());
    group.throughput(Throughput::Elements(1));
    group.bench_function("tiny, links/s", |bench| {
        bench.iter(|| link_args(&args, &files).expect("it links"));
    });
    group.finish();
}

criterion_group!(benches, link);
criterion_main!(benches);
