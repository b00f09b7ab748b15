//! `scold diff`: real inputs, several linkers, one judgement.

use clap::Args;
use scold_diff::{Target, real};
use scold_fuzz::examine::{Bench, Blame, Examined, Unlinked};
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
  scold diff --desugared -- --buildmode=plugin go.o         that object as assembler text
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
    /// Link nothing: print the objects that stand for what `--buildmode` adds, as assembler text
    #[arg(long, conflicts_with = "json")]
    desugared: bool,
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
        if self.desugared {
            print::desugared(&request);
            return Ok(Done::Clean);
        }
        if real::is_empty(&request) {
            return Err(Failure::Usage("no input files".to_owned()));
        }
        let linkers = self.linkers.adapters()?;
        if !linkers.iter().any(|linker| linker.serves(target)) {
            let names: Vec<_> = linkers.iter().map(|linker| linker.name()).collect();
            let text = format!("none of these links for {target}: {}", names.join(", "));
            return Err(Failure::Environment(text));
        }
        let bench = Bench::new(linkers, self.depth.cost(), self.linkers.limit());
        let examined = bench.judged(request, None);
        let news = if self.json {
            outln!("{}", json(&examined));
            examined.ruling.news().next().is_some()
        } else {
            print::examined(&examined)
        };
        match examined.unlinked().filter(|_| !news) {
            Some(unlinked) => Err(failure(unlinked)),
            None => Ok(if news { Done::Findings } else { Done::Clean }),
        }
    }
}

/// That nothing was linked, as an exit code: what the command line asks for, or this machine is to blame.
fn failure(unlinked: Unlinked) -> Failure {
    let text = format!("no linker linked anything; {}", unlinked.said);
    match unlinked.blame {
        Blame::Options => Failure::Usage(text),
        Blame::Files | Blame::Unknown | Blame::Linkers => Failure::Environment(text),
    }
}

/// What came of one link, for machines.
fn json(examined: &Examined) -> serde_json::Value {
    let examination = examined.examination();
    let verdicts = examination.verdicts.iter();
    let verdicts: serde_json::Map<_, _> =
        verdicts.map(|(linker, verdict)| (linker.clone(), json!(verdict.name()))).collect();
    let findings = examination.sightings.iter().map(|sighting| {
        let keys = sighting.complaint.keys.iter();
        let keys: Vec<_> =
            keys.map(|k| json!({ "key": k.key, "wanted": k.wanted, "found": k.found })).collect();
        json!({ "signature": sighting.signature, "class": sighting.class(), "keys": keys })
    });
    let findings: Vec<_> = findings.collect();
    let open = examined.ruling.open.iter().map(|(linker, key, reason)| {
        json!({ "linker": linker, "key": key.to_string(), "reason": reason })
    });
    let open: Vec<_> = open.collect();
    json!({ "verdicts": verdicts, "findings": findings, "not_judged": open })
}
