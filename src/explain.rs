//! `scold explain MODE TARGET`: what a build mode adds to a link, from the linker's own tables.

use std::str::FromStr as _;

use clap::Args;
use scold_diff::{Format, Mode, Target};

use crate::exit::{Answer, Done, Failure};
use crate::out::out;

/// Say what a build mode adds to a link.
#[derive(Args)]
#[command(after_help = "\
Examples:
  scold explain c-shared linux/amd64
  scold explain plugin android/arm64
  scold explain plugin arm-elf")]
pub(crate) struct Explain {
    /// c-shared, plugin, pie, exe, shared
    mode: String,
    /// GOOS/GOARCH, or a target: amd64-elf is linux/amd64
    #[arg(default_value = "linux/amd64")]
    target: String,
}

impl Explain {
    pub(crate) fn run(self) -> Answer {
        let (goos, goarch) = self.system()?;
        if self.mode == Mode::Shared.name() {
            return plain(&goos, &goarch);
        }
        let text = scold_linker::mode::explain(&self.mode, &goos, &goarch);
        out!("{}", text.map_err(|error| Failure::Usage(error.to_string()))?);
        Ok(Done::Clean)
    }

    /// The system and the machine.
    fn system(&self) -> Result<(String, String), Failure> {
        if let Some((goos, goarch)) = self.target.split_once('/') {
            return Ok((goos.into(), goarch.into()));
        }
        let target = Target::from_str(&self.target).map_err(Failure::Usage)?;
        let goos = match target.format {
            Format::Elf => "linux",
            Format::Macho => "darwin",
        };
        let name = target.name();
        let goarch = name.split_once('-').map_or(name, |(goarch, _)| goarch);
        Ok((goos.into(), goarch.into()))
    }
}

/// The mode that is one of scold's and none of `-buildmode`: it exists where c-shared does.
fn plain(goos: &str, goarch: &str) -> Answer {
    scold_linker::mode::explain(Mode::CShared.name(), goos, goarch)
        .map_err(|error| Failure::Usage(error.to_string().replace("c-shared", "shared")))?;
    let format = if goos == "darwin" { Format::Macho } else { Format::Elf };
    out!("mode      shared on {goos}/{goarch}\n");
    out!("flags     {}\n", Mode::Shared.args(format).join(" "));
    out!("nothing   is added: a plain library, no build mode; c-shared and plugin are\n");
    Ok(Done::Clean)
}
