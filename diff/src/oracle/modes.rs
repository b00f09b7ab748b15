//! The modes oracle: what a build mode promises beside what facts show.
//!
//! That a library is no executable file, and how a darwin plugin is laid out for dyld. What a mode adds to a link,
//! and how it binds, is in facts.

mod macho;

use super::{Cost, Evidence, Mismatch, Oracle, Ruling, Trial};
use crate::adapter::{NOWHERE, Outcome};
use crate::{Family, Format, Request, desugar};

/// The promises of modes.
pub(super) struct Modes;

/// A promise that was not kept: its kind, where, what is there, what should be.
type Broken = (&'static str, String, String, &'static str);

impl Oracle for Modes {
    fn name(&self) -> &'static str {
        "modes"
    }

    fn cost(&self) -> Cost {
        Cost::Bytes
    }

    fn judge(&self, evidence: &Evidence<'_>, ruling: &mut Ruling) {
        let request = evidence.request;
        let by_init = desugar::starts_by_init(request);
        for trial in evidence.trials {
            let Some(image) = trial.outcome.image() else { continue };
            let command = trial.linker.command(request);
            let mode = asked(&command);
            let mut broken = Vec::new();
            // Other links, one of them onto the disk: for modules only.
            if let Some(mode) = mode.filter(|_| desugar::sugared(request).is_some()) {
                broken.extend(permissions(trial, request, evidence));
                broken.extend(elsewhere(mode, trial, request, evidence));
            }
            if mode == Some("plugin") && request.target.format == Format::Macho {
                broken.extend(macho::check(&command, image));
            }
            if by_init {
                broken.extend(starts_twice(trial));
            }
            for (shape, key, found, wanted) in broken {
                let mismatch = Mismatch { key, found, wanted: wanted.into() };
                ruling.complain(self.name(), trial.linker.name(), shape, mismatch, "");
            }
        }
    }
}

/// The mode that a command line asks for by its name.
fn asked(command: &[String]) -> Option<&str> {
    let is = |arg: &&String| arg.trim_start_matches('-').starts_with("buildmode");
    let at = command.iter().rposition(|arg| is(&arg))?;
    match command[at].split_once('=') {
        Some((_, mode)) => Some(mode),
        None => command.get(at + 1).map(String::as_str),
    }
}

/// A library is a file that nobody executes, a program one that everybody may.
fn permissions(trial: &Trial, request: &Request, evidence: &Evidence<'_>) -> Option<Broken> {
    let (made, all) = trial.linker.file_mode(request, evidence.limit)?;
    let (wanted, text) = match request.mode.is_library() {
        true => (all & 0o666, "0666 less the umask"),
        false => (all, "0777 less the umask"),
    };
    (made != wanted).then(|| ("file mode", "output".into(), format!("{made:04o}"), text))
}

/// Where a system has no such mode it is refused, in the Go linker's words.
fn elsewhere(
    mode: &str,
    trial: &Trial,
    request: &Request,
    evidence: &Evidence<'_>,
) -> Option<Broken> {
    let goarch = request.target.name().split('-').next().unwrap_or_default();
    let text = format!("buildmode {mode} not supported on {NOWHERE}/{goarch}");
    let found = match trial.linker.elsewhere(request, evidence.limit)? {
        Outcome::Refused(_, said) if said.contains(&text) => return None,
        Outcome::Refused(_, said) => said.lines().next().unwrap_or_default().to_owned(),
        Outcome::Linked(_) => "linked".into(),
        other => format!("{other:?}"),
    };
    Some(("mode where there is none", NOWHERE.into(), found, "not supported"))
}

/// What `-init` names is called first: what starts a library has no entry beside that.
fn starts_twice(trial: &Trial) -> Option<Broken> {
    let calls = || trial.facts.iter().filter(|(key, _)| key.family == Family::Init);
    let first = calls().find(|(key, _)| &*key.rest == "0")?.1;
    let count = calls().filter(|(_, value)| *value == first).count();
    let found = || format!("{first}, {count} times");
    (count > 1).then(|| ("start called again", "init".into(), found(), "called once"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_mode_counts() {
        let line = |text: &str| text.split(' ').map(String::from).collect::<Vec<_>>();
        assert_eq!(asked(&line("--buildmode=plugin a.o")), Some("plugin"));
        assert_eq!(asked(&line("-buildmode plugin --buildmode c-shared")), Some("c-shared"));
        assert_eq!(asked(&line("-shared a.o")), None);
    }
}
