//! The ELF header: what a kernel and a dynamic linker refuse, and what was asked for.

use super::Flaws;
use super::image::{Image, half, quad};
use crate::{Mode, Request};

pub(super) fn check(request: &Request, image: &Image<'_>, flaws: &mut Flaws) {
    let bytes = image.bytes;
    let ident = bytes.get(..16).unwrap_or_default();
    // ELFOSABI_NONE, or ELFOSABI_GNU where IFUNCs or unique symbols are; glibc wants the rest zero.
    let abi = ident.get(7).copied().unwrap_or(0xff);
    flaws.check(matches!(abi, 0 | 3), "e_ident: OSABI", "header", abi.into(), "SYSV or GNU");
    let version = ident.get(6).copied().unwrap_or(0);
    flaws.check(version == 1, "e_ident: version", "header", version.into(), "1");
    let rest = ident.iter().skip(8).map(|byte| u64::from(*byte)).sum::<u64>();
    flaws.check(rest == 0, "e_ident: padding", "header", rest, "zeros");
    let kind = if request.mode == Mode::Exe { 2 } else { 3 };
    let fields = [
        ("e_type", 16, 2, kind),
        ("e_machine", 18, 2, u64::from(request.target.arch.machine())),
        ("e_version", 20, 4, 1),
        ("e_flags", 48, 4, 0),
        ("e_ehsize", 52, 2, 64),
        ("e_phentsize", 54, 2, 56),
    ];
    for (name, at, size, wanted) in fields {
        let found = match size {
            2 => half(bytes, at).map(u64::from),
            _ => quad(bytes, at).map(u64::from),
        };
        let found = found.unwrap_or(u64::MAX);
        flaws.check(found == wanted, "ELF header", name, found, "the target's");
    }
}
