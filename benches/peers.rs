//! How fast the reference is beside other linkers: whole processes, one large library, rounds in turn.
//!
//! libLLVM from Debian's static libraries if they are here, else the library that the other benches
//! link. Prints what each link took and how many times the reference's that is: nothing else can be
//! compared on a machine that does other work too.

// Linkers are called directly: what the adapters do around a call would be measured too.
#![allow(clippy::disallowed_methods)]
// Phases have benches of their own.
#[allow(dead_code)]
mod inputs;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use scold_diff::adapter;

/// What one link took.
#[derive(Clone, Copy)]
struct Cost {
    wall: Duration,
    cpu: Duration,
}

/// A linker: its name, its program, what it wants before all else.
struct Peer {
    name: &'static str,
    program: PathBuf,
    first: &'static [&'static str],
}

fn peers() -> Vec<Peer> {
    let mut list = vec![Peer {
        name: "reference",
        program: env!("CARGO_BIN_EXE_scold").into(),
        first: &["link"],
    }];
    let rows: &[(&str, &[&str])] = &[
        ("rust-lld", &[]),
        ("lld", &[]),
        // Else the process that is measured hands the work to another one.
        ("mold", &["--no-fork"]),
        ("wild", &["--no-fork"]),
    ];
    for (name, first) in rows {
        match adapter::select(&[(*name).to_owned()], &[]) {
            Ok(found) => {
                list.extend(found[0].program(scold_diff::Target::AMD64_ELF).map(|program| Peer {
                    name,
                    program: program.to_path_buf(),
                    first,
                }))
            }
            Err(why) => println!("skipped: {why}"),
        }
    }
    list
}

/// LLVM's archives, without the halves of programs whose symbols collide.
fn llvm() -> Vec<PathBuf> {
    let folders =
        (14..40).rev().map(|version| PathBuf::from(format!("/usr/lib/llvm-{version}/lib")));
    let Some(entries) =
        folders.filter_map(|folder| fs::read_dir(folder).ok()).find_map(|entries| {
            let list: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
            list.iter().any(|path| path.ends_with("libLLVMCore.a")).then_some(list)
        })
    else {
        return Vec::new();
    };
    let mut list: Vec<PathBuf> = entries
        .into_iter()
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let program = name.contains("OptDriver") || name.contains("TableGen");
            name.starts_with("libLLVM") && name.ends_with(".a") && !program
        })
        .collect();
    list.sort();
    list
}

/// The generated library's objects, written to `folder`.
fn generated(folder: &Path) -> Vec<PathBuf> {
    use scold_linker::Files as _;
    let (files, args) = inputs::large(inputs::LARGE);
    let names = args.iter().filter(|arg| arg.ends_with(".o"));
    names
        .map(|name| {
            let path = folder.join(name);
            let bytes = files.open(Path::new(name)).expect("a file of its own");
            fs::write(&path, &bytes[..]).expect("room for the objects");
            path
        })
        .collect()
}

/// User and system time of all children so far. Linux counts hundredths of a second.
fn children() -> Duration {
    let text = fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields = text.rsplit(')').next().expect("the name's end").split_whitespace();
    // After the name: state is field 3 of proc(5), cutime 16, cstime 17.
    let ticks: u64 = fields.skip(13).take(2).map(|field| field.parse().unwrap_or(0)).sum();
    Duration::from_millis(ticks * 10)
}

fn link(peer: &Peer, threads: usize, inputs: &[PathBuf], out: &Path) -> Option<Cost> {
    let _ = fs::remove_file(out);
    let mut command = Command::new(&peer.program);
    command.args(peer.first).args(["-shared", "--eh-frame-hdr", "--hash-style=gnu"]);
    command.arg(format!("--threads={threads}")).arg("--whole-archive").args(inputs);
    command.arg("-o").arg(out).stdout(Stdio::null()).stderr(Stdio::null());
    let (before, start) = (children(), Instant::now());
    let done = command.status().is_ok_and(|status| status.success());
    let cost = Cost { wall: start.elapsed(), cpu: children().saturating_sub(before) };
    done.then_some(cost)
}

fn median(costs: &[Cost], of: fn(&Cost) -> Duration) -> f64 {
    let mut list: Vec<f64> = costs.iter().map(|cost| of(cost).as_secs_f64()).collect();
    list.sort_by(f64::total_cmp);
    list.get(list.len() / 2).copied().unwrap_or(f64::NAN)
}

fn main() {
    // `cargo test --benches` only wants to know that it runs.
    let rounds = if std::env::args().any(|arg| arg == "--test") { 1 } else { 7 };
    let folder = tempfile::tempdir().expect("a scratch folder");
    let mut inputs = llvm();
    println!("{}", if inputs.is_empty() { "a generated library" } else { "libLLVM" });
    if inputs.is_empty() {
        inputs = generated(folder.path());
    }
    let (peers, out) = (peers(), folder.path().join("out.so"));
    for threads in [1, 2] {
        let mut costs: Vec<Vec<Cost>> = peers.iter().map(|_| Vec::new()).collect();
        for _ in 0..rounds {
            for (peer, costs) in peers.iter().zip(&mut costs) {
                costs.extend(link(peer, threads, &inputs, &out));
            }
        }
        let [wall, cpu] = [|cost: &Cost| cost.wall, |cost: &Cost| cost.cpu];
        let (our_wall, our_cpu) = (median(&costs[0], wall), median(&costs[0], cpu));
        println!("\n{threads} threads   wall s   times     CPU s   times");
        for (peer, costs) in peers.iter().zip(&costs) {
            let (wall, cpu) = (median(costs, wall), median(costs, cpu));
            let (times, of) = (wall / our_wall, cpu / our_cpu);
            println!("{:<10} {wall:>8.3} {times:>7.2} {cpu:>9.3} {of:>7.2}", peer.name);
        }
    }
}
