//! A laid-out image → what `--warn-textrel`, `--warn-execstack`, `--warn-rwx-segments` and their `--error-`
//! forms say of it. Changes nothing.

use crate::error::{Error, ErrorKind, Errors};
use crate::format::elf::{PF_W, PF_X, PT_GNU_STACK, PT_LOAD, PT_TLS};
use crate::link::Link;
use crate::options::Severity;

/// Warns, or collects errors.
///
/// Errors: `usage` for what an option makes an error.
pub fn check(link: &mut Link<'_>) -> Result<(), Errors> {
    const BOTH: u32 = PF_W | PF_X;
    let warn = link.options.warn;
    let segment = |kinds: &[u32], flags: u32| {
        link.shape.segments.iter().any(|s| kinds.contains(&s.kind) && s.flags & flags == flags)
    };
    let found = [
        (warn.textrel, link.plan.text, "the output has relocations in read-only memory"),
        (warn.execstack, segment(&[PT_GNU_STACK], PF_X), "the output has an executable stack"),
        (
            warn.rwx,
            segment(&[PT_LOAD, PT_TLS], BOTH),
            "the output has a segment that is writable and executable",
        ),
    ];
    let mut errors = Vec::new();
    for (severity, _, text) in found.into_iter().filter(|f| f.1) {
        match severity {
            Severity::None => {}
            Severity::Warning => link.warnings.push(text.into()),
            Severity::Error => errors.push(Error::new(ErrorKind::Usage, text)),
        }
    }
    Errors::collect(errors).map_or(Ok(()), Err)
}
