//! `scold show`: a case, as people want to see it.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use scold_fuzz::{Case, emit, expect, text};

use crate::args::{Plan, read_case};
use crate::exit::{Answer, Done, Failure};
use crate::out::{out, outln};
use crate::print;

/// Print a case as text, assembler text, or what must come out of it.
#[derive(Args)]
#[command(after_help = "\
Examples:
  scold show findings/expected-… --as asm       assembler text and the ld command
  scold show x.case --as expected               the facts that the specs demand
  scold show --engine matrix --seed 1 --number 17
  scold show x.case --as objects --out /tmp/x   the link's files")]
pub(crate) struct Show {
    /// A case, or a finding's folder
    path: Option<PathBuf>,
    /// How
    #[arg(long = "as", value_enum, default_value_t = As::Text)]
    form: As,
    /// A case of a hunt with this plan, by its number
    #[arg(long, conflicts_with = "path", value_name = "N")]
    number: Option<u64>,
    #[command(flatten)]
    plan: Plan,
    /// Where the files of `--as objects` go; those of a world's other links into folders there
    #[arg(long, default_value = ".", value_name = "DIR")]
    out: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum As {
    /// The case's own text form
    Text,
    /// Assembler text for each object, for GNU as or clang, and the ld command
    Asm,
    /// The facts that the specs demand, and what they leave open
    Expected,
    /// Assembler text of the object that stands for the build mode, for linkers that know none
    Desugared,
    /// The arguments for ld
    Args,
    /// The link's files, written into --out
    Objects,
}

impl Show {
    pub(crate) fn run(self) -> Answer {
        let case = self.case()?;
        if let As::Text = self.form {
            out!("{}", text::print(&case));
            return Ok(Done::Clean);
        }
        // A world is several links.
        let links = std::iter::once(&case).chain(&case.beside);
        for (number, link) in links.enumerate() {
            if !case.beside.is_empty() {
                let count = 1 + case.beside.len();
                outln!("# link {} of {count}: {}", number + 1, link.mode);
            }
            self.link(link, number)?;
        }
        Ok(Done::Clean)
    }

    /// Prints one link; `number`: how many are before it.
    fn link(&self, case: &Case, number: usize) -> Result<(), Failure> {
        let request = emit::request(case);
        match self.form {
            As::Text => out!("{}", text::print(case)),
            As::Asm => out!("{}", emit::asm::text(case, &request)),
            As::Expected => {
                let expected = expect::expect(case);
                out!("{}", expected.facts);
                outln!("; refusal: {:?}", expected.refusal);
                for open in &expected.open {
                    let family = open.family.map_or("*", |family| family.name());
                    outln!("; open: {family}.{} ({})", open.rest, open.reason);
                }
            }
            As::Desugared => print::desugared(&request),
            As::Args => {
                outln!(
                    "{} {}",
                    case.mode.args(case.target.format).join(" "),
                    request.args.join(" ")
                );
            }
            As::Objects => {
                let dir = match number {
                    0 => self.out.clone(),
                    _ => self.out.join(format!("beside{number}")),
                };
                std::fs::create_dir_all(&dir)
                    .map_err(|error| Failure::environment(dir.display(), error))?;
                for file in &request.files {
                    let path = dir.join(&file.name);
                    std::fs::write(&path, &file.bytes)
                        .map_err(|error| Failure::environment(path.display(), error))?;
                    outln!("{}", path.display());
                }
            }
        }
        Ok(())
    }

    fn case(&self) -> Result<Case, Failure> {
        match (&self.path, self.number) {
            (Some(path), _) => read_case(path),
            (None, Some(number)) => {
                let schedule = self.plan.schedule(self.plan.seed.unwrap_or(1))?;
                let none = || {
                    let why = schedule.absence(number).unwrap_or_default();
                    Failure::Usage(format!("the plan has no case {number}: {why}"))
                };
                schedule.get(number).ok_or_else(none)
            }
            (None, None) => Err(Failure::Usage("give a case, or --number".into())),
        }
    }
}
