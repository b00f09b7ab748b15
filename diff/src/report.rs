//! Reports: rulings in; text for terminals, JSON lines for machines, one HTML page for people out.
//!
//! It must not know where a request came from, nor print anything itself.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use crate::Request;
use crate::oracle::{Complaint, Ruling, Trial};

/// One judged request.
#[derive(Clone, Copy)]
pub struct Report<'a> {
    /// What people call it: a case's number, a file's name.
    pub title: &'a str,
    /// The link.
    pub request: &'a Request,
    /// What came of it.
    pub trials: &'a [Trial],
    /// What the oracles say.
    pub ruling: &'a Ruling,
}

/// The report as text: a line for each linker, then each complaint with its keys.
pub fn text(report: &Report<'_>) -> String {
    let mut out =
        format!("{} ({}, {})\n", report.title, report.request.target, report.request.mode);
    for (trial, verdict) in report.trials.iter().zip(&report.ruling.verdicts) {
        let (name, version) = (trial.linker.name(), trial.linker.version());
        let _ = writeln!(out, "  {name:<12} {:<10} {version}", verdict.name());
    }
    for complaint in &report.ruling.complaints {
        let known = complaint.known.as_ref().map(|link| format!(" (known: {link})"));
        let signature = complaint.signature(report.request);
        let _ = writeln!(out, "{signature}{}", known.unwrap_or_default());
        for key in &complaint.keys {
            let _ = writeln!(out, "  {}: is {}, not {}", key.key, key.found, key.wanted);
        }
        for line in complaint.detail.lines().take(8) {
            let _ = writeln!(out, "  | {line}");
        }
    }
    for (linker, reason) in &report.ruling.poisoned {
        let _ = writeln!(out, "  {linker} is not compared: {reason}");
    }
    for (linker, key, reason) in &report.ruling.open {
        let _ = writeln!(out, "  {linker} is not judged on {key}: {reason}");
    }
    out
}

/// The report as one JSON object, for a line of its own.
pub fn json(report: &Report<'_>) -> Json {
    let linkers: Vec<Json> = report
        .trials
        .iter()
        .zip(&report.ruling.verdicts)
        .map(|(trial, verdict)| {
            json!({
                "linker": trial.linker.name(),
                "version": trial.linker.version(),
                "verdict": verdict.name(),
            })
        })
        .collect();
    let complaints: Vec<Json> =
        report.ruling.complaints.iter().map(|c| complaint(c, report.request)).collect();
    let open = report.ruling.open.iter();
    let open: Vec<Json> =
        open.map(|(linker, key, reason)| json!([linker, key.to_string(), reason])).collect();
    json!({
        "title": report.title,
        "target": report.request.target.name(),
        "mode": report.request.mode.name(),
        "linkers": linkers,
        "complaints": complaints,
        "poisoned": report.ruling.poisoned,
        "open": open,
        "explained": report.ruling.explained,
    })
}

fn complaint(complaint: &Complaint, request: &Request) -> Json {
    let keys: Vec<Json> = complaint
        .keys
        .iter()
        .map(|key| json!({ "key": key.key, "found": key.found, "wanted": key.wanted }))
        .collect();
    json!({
        "signature": complaint.signature(request),
        "oracle": complaint.oracle,
        "linkers": complaint.linker.split('|').collect::<Vec<_>>(),
        "class": complaint.class(),
        "shape": complaint.shape,
        "known": complaint.known,
        "keys": keys,
        "detail": complaint.detail,
    })
}

/// One page with every report: self-contained, no scripts.
pub fn html(title: &str, reports: &[Report<'_>]) -> String {
    let mut out = format!(
        "<!doctype html>\n<meta charset=utf-8>\n<title>{0}</title>\n<style>{STYLE}</style>\n<h1>{0}</h1>\n",
        escape(title)
    );
    for report in reports {
        let _ = writeln!(
            out,
            "<section>\n<h2>{}</h2>\n<p>{}, {}</p>\n<table>",
            escape(report.title),
            report.request.target,
            report.request.mode
        );
        for (trial, verdict) in report.trials.iter().zip(&report.ruling.verdicts) {
            let _ = writeln!(
                out,
                "<tr><th>{}<td class={verdict}>{verdict}<td>{}",
                escape(trial.linker.name()),
                escape(trial.linker.version())
            );
        }
        out.push_str("</table>\n");
        for complaint in &report.ruling.complaints {
            let _ = writeln!(out, "<h3>{}</h3>", escape(&complaint.signature(report.request)));
            if let Some(link) = &complaint.known {
                let _ = writeln!(out, "<p>known: {}</p>", escape(link));
            }
            out.push_str("<table>\n<tr><th>key<th>found<th>wanted\n");
            for key in &complaint.keys {
                let (found, wanted) = (escape(&key.found), escape(&key.wanted));
                let _ = writeln!(out, "<tr><td>{}<td>{found}<td>{wanted}", escape(&key.key));
            }
            out.push_str("</table>\n");
            if !complaint.detail.is_empty() {
                let _ = writeln!(out, "<pre>{}</pre>", escape(&complaint.detail));
            }
        }
        out.push_str("</section>\n");
    }
    out
}

const STYLE: &str = "body{font:15px/1.5 system-ui;max-width:70em;margin:2em auto;padding:0 1em}\
td,th{padding:.1em .8em .1em 0;text-align:left;vertical-align:top;overflow-wrap:anywhere}\
pre{background:#8881;padding:.6em;overflow:auto}\
.agree{color:#080}.divergent,.crashed,.hung{color:#c00}.poisoned,.refused{color:#a60}";

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::Facts;
    use crate::adapter::{Outcome, Shared};
    use crate::oracle::tests::{Named, request};
    use crate::oracle::{Mismatch, Verdict};

    #[test]
    fn all_three_forms_say_who_and_what() {
        let linker: Shared = Arc::new(Named("gold"));
        let trials = [Trial { linker, outcome: Outcome::Linked(vec![]), facts: Facts::default() }];
        let mut ruling = Ruling::default();
        ruling.verdicts = vec![Verdict::Divergent];
        let mismatch = Mismatch {
            key: "site.a.o:.text+0x1".into(),
            found: "<bad>".into(),
            wanted: "absolute 0x1".into(),
        };
        ruling.complain("agree", "gold", "site null for place", mismatch, "lld: 1");
        let request = request();
        let report =
            Report { title: "case 7", request: &request, trials: &trials, ruling: &ruling };
        let text = text(&report);
        assert!(text.contains("gold         divergent"), "{text}");
        assert!(text.contains("site.a.o:.text+0x1: is <bad>, not absolute 0x1"), "{text}");
        let json = json(&report);
        assert_eq!(json["complaints"][0]["signature"], "agree/site null for place/gold/amd64-elf");
        assert_eq!(json["linkers"][0]["verdict"], "divergent");
        let page = html("findings", &[report]);
        assert!(page.contains("&lt;bad&gt;") && !page.contains("<bad>"), "{page}");
    }
}
