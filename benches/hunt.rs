//! How fast a hunt is: in process (generate, link, read, compare with what the specs demand) in
//! cases per second of CPU time, and over three linkers in cases/s of all threads.

use std::hint::black_box;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rustix::time::{ClockId, clock_gettime};
use scold_diff::adapter;
use scold_diff::oracle::Cost;
use scold_diff::{Mode, Target};
use scold_fuzz::campaign::{self, Bounds, Engine, Schedule};
use scold_fuzz::examine::Bench;

/// Hunts through `cases` random cases.
fn hunt(bench: &Bench, cases: u64, jobs: usize) -> u64 {
    let sources = campaign::sources(&[Engine::Random], Target::AMD64_ELF, Mode::ALL, 1);
    let schedule = Schedule::new(sources, &[], 1);
    let bounds = Bounds { jobs, cases: Some(cases), time: None };
    let outcome = campaign::run(&schedule, bounds, bench, &AtomicBool::new(false), &());
    outcome.totals.links
}

/// The CPU time of this process so far: what else the machine does is not in it.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn linkers(names: &[&str]) -> Option<Vec<adapter::Shared>> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    adapter::select(&names, &[]).map_err(|why| println!("skipped: {why}")).ok()
}

fn rates(criterion: &mut Criterion) {
    const CASES: u64 = 500;
    let mut group = criterion.benchmark_group("hunt");
    group.sample_size(10);
    group.throughput(Throughput::Elements(CASES));
    if let Some(linkers) = linkers(&["reference"]) {
        let bench = Bench::new(linkers, Cost::Facts, Duration::from_secs(10));
        group.bench_function("in process, cases/CPU-s", |b| {
            b.iter_custom(|times| {
                let start = cpu();
                (0..times).for_each(|_| {
                    black_box(hunt(&bench, CASES, 1));
                });
                cpu().saturating_sub(start)
            });
        });
    }
    if let Some(linkers) = linkers(&["gnu_ld", "lld", "mold"]) {
        let bench = Bench::new(linkers, Cost::Bytes, Duration::from_secs(10));
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        const FEW: u64 = 60;
        group.throughput(Throughput::Elements(FEW));
        group.bench_function("three linkers, cases/s", |b| b.iter(|| hunt(&bench, FEW, jobs)));
        group.throughput(Throughput::Elements(FEW * 3));
        group.bench_function("three linkers, links/s", |b| b.iter(|| hunt(&bench, FEW, jobs)));
    }
    group.finish();
}

criterion_group!(benches, rates);
criterion_main!(benches);
