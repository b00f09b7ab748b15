//! The ELF header: what a kernel and a dynamic linker refuse, and what was asked for.

use super::Flaws;
use super::image::Image;
use crate::class::Class;
use crate::model::elf::machine;
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
    let (header, sizes) = (image.header, image.class.sizes());
    let number = request.target.arch.machine();
    let machine = machine::of(number);
    let class = machine.map_or(image.class, |machine| machine.class).word();
    let fields = [
        ("e_ident: class", image.class.word(), class),
        ("e_type", header.kind.into(), kind),
        ("e_machine", header.machine.into(), number.into()),
        ("e_version", header.version.into(), 1),
        ("e_ehsize", header.size.into(), sizes.header),
        ("e_phentsize", header.segment_size.into(), sizes.segment),
    ];
    for (name, found, wanted) in fields {
        flaws.check(found == wanted, "ELF header", name, found, "the target's");
    }
    let inputs = request.files.iter().filter_map(|file| flags_of(&file.bytes, number));
    let inputs: Vec<u32> = inputs.collect();
    let good = machine.is_none_or(|machine| (machine.flags)(header.flags, &inputs));
    flaws.check(good, "ELF header", "e_flags", header.flags.into(), "what the inputs say");
}

/// e_flags of an object for this machine.
fn flags_of(bytes: &[u8], machine: u16) -> Option<u32> {
    let header = Class::of(bytes)?.file_header(bytes)?;
    (header.kind == 1 && header.machine == machine).then_some(header.flags)
}
