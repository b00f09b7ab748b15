//! `scold diff`: real inputs, several linkers, one judgement.

use clap::Args;
use scold_diff::{Target, real};
use scold_fuzz::examine::Bench;
use serde_json::json;

use crate::args::{Depth, Linkers};
use crate::exit::{Answer, Done, Failure};
use crate::out::outln;
use crate::print;

/// Link real inputs with several linkers and judge the outputs.
#[derive(Args)]
#[command(after_help = "\
Examples:
  scold diff -- -shared a.o b.o -lm
  scold diff --linkers gnu_ld,lld-14,lld-22 -- -shared -z now a.o --version-script=v.map
  scold diff --linker mine=./ld --json -- -pie crt1.o main.o
  scold diff -- --buildmode=c-shared --goos=android go.o    what the mode adds is an object for other linkers
  scold diff -- -arch arm64 -platform_version macos 13.0 13.0 -dylib a.o -syslibroot SDK -lSystem")]
pub(crate) struct Diff {
    #[command(flatten)]
    linkers: Linkers,
    /// The machine and format: if not given, as `-arch` says or the first object among the inputs
    #[arg(long)]
    target: Option<Target>,
    /// Oracles that cost at most this
    #[arg(long, value_enum, default_value_t = Depth::Bytes)]
    depth: Depth,
    /// One JSON object for machines
    #[arg(long)]
    json: bool,
    /// Arguments as one would give `ld`, for Mach-O ld64, also as `@FILE`; `-o` is ignored. `--buildmode`, `--goos`
    /// and `--goarch` are the reference linker's: the others get the mode's flags and objects that stand for what it
    /// adds
    #[arg(last = true, required = true, value_name = "LD-ARGS")]
    args: Vec<String>,
}

impl Diff {
    pub(crate) fn run(self) -> Answer {
        let here = std::env::current_dir().map_err(|e| Failure::environment("here", e))?;
        let target = real::target(self.target, &self.args, &here).map_err(Failure::Usage)?;
        let target = target.unwrap_or(Target::AMD64_ELF);
        let request = real::request(target, &self.args, &here)
            .map_err(|error| Failure::Usage(error.to_string()))?;
        let linkers = self.linkers.adapters()?;
        if !linkers.iter().any(|linker| linker.serves(target)) {
            let names: Vec<_> = linkers.iter().map(|linker| linker.name()).collect();
            let text = format!("none of these links for {target}: {}", names.join(", "));
            return Err(Failure::Environment(text));
        }
        let bench = Bench::new(linkers, self.depth.cost(), self.linkers.limit());
        let examined = bench.judged(request, None);
        let news = if self.json {
            let examination = examined.examination();
            let verdicts: serde_json::Map<_, _> = examination
                .verdicts
                .iter()
                .map(|(linker, verdict)| (linker.clone(), json!(verdict.name())))
                .collect();
            let complaints: Vec<_> = examination
                .sightings
                .iter()
                .map(|s| {
                    let keys = s.complaint.keys.iter();
                    let keys: Vec<_> = keys
                        .map(|k| json!({ "key": k.key, "wanted": k.wanted, "found": k.found }))
                        .collect();
                    json!({ "signature": s.signature, "class": s.class(), "keys": keys })
                })
                .collect();
            outln!("{}", json!({ "verdicts": verdicts, "findings": complaints }));
            !complaints.is_empty()
        } else {
            print::examined(&examined)
        };
        Ok(if news { Done::Findings } else { Done::Clean })
    }
}
