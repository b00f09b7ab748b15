//! Progress of a hunt: a bar on a terminal, a plain line now and then elsewhere; on standard error.

use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use scold_fuzz::campaign::{Found, Totals, Watch};

use crate::out::{errln, outln};

/// How often something is shown: on a terminal, elsewhere.
const TICK: Duration = Duration::from_millis(100);
const LINE: Duration = Duration::from_secs(10);

/// Shows how a hunt goes.
pub(crate) struct Progress {
    started: Instant,
    bar: Option<ProgressBar>,
    last: Mutex<Instant>,
    quiet: bool,
    json: bool,
}

impl Progress {
    /// For a hunt of at most `cases`; `json` prints findings as lines on standard output.
    pub(crate) fn new(cases: Option<u64>, quiet: bool, json: bool) -> Self {
        let terminal = std::io::stderr().is_terminal() && !quiet;
        let bar = terminal.then(|| {
            let template = match cases {
                Some(_) => "{spinner} [{elapsed}] {bar:24} {pos}/{len} {wide_msg}",
                None => "{spinner} [{elapsed}] {wide_msg}",
            };
            let style = ProgressStyle::with_template(template);
            let bar = cases.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { started: Instant::now(), bar, last: Mutex::new(Instant::now()), quiet, json }
    }

    /// Clears the bar.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// Says something that stays.
    pub(crate) fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None if !self.quiet => errln!("{line}"),
            None => {}
        }
    }

    fn due(&self) -> bool {
        let every = if self.bar.is_some() { TICK } else { LINE };
        let Ok(mut last) = self.last.try_lock() else { return false };
        let due = last.elapsed() >= every;
        if due {
            *last = Instant::now();
        }
        due
    }

    fn message(&self, so_far: &Totals) -> String {
        use scold_diff::oracle::Verdict;
        let seconds = self.started.elapsed().as_secs_f64().max(0.001);
        let mut text = format!(
            "{:.0} cases/s · {:.0} links/s · {} findings",
            so_far.cases as f64 / seconds,
            so_far.links as f64 / seconds,
            so_far.findings
        );
        for (linker, tally) in &so_far.verdicts {
            let bad = tally.get(Verdict::Divergent)
                + tally.get(Verdict::Crashed)
                + tally.get(Verdict::Hung);
            text.push_str(&format!(" · {linker} {bad}"));
        }
        text
    }
}

impl Watch for Progress {
    fn advanced(&self, so_far: &Totals) {
        if !self.due() {
            return;
        }
        match &self.bar {
            Some(bar) => {
                bar.set_position(so_far.cases);
                bar.set_message(self.message(so_far));
            }
            None if !self.quiet => {
                let elapsed = self.started.elapsed().as_secs();
                errln!("{elapsed:>5}s {} cases · {}", so_far.cases, self.message(so_far));
            }
            None => {}
        }
    }

    fn found(&self, found: &Found) {
        let (class, signature) = (found.sighting.class(), &found.sighting.signature);
        if self.json {
            let line = serde_json::json!({
                "found": signature, "class": class, "case": found.number,
            });
            outln!("{line}");
        }
        let red = anstyle::AnsiColor::Red.on_default();
        self.say(&format!("{red}{class:<9}{red:#} {signature}  (case {})", found.number));
    }
}
