//! What a mode adds → a Mach-O object.

use super::Plan;
use crate::Arch;
use crate::desugar::{APPEND, ENTRY, FUNCTION, LAST};

/// Who sees a symbol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Scope {
    /// The object.
    Local,
    /// The image: N_PEXT and N_EXT.
    Private,
    /// Everybody: N_EXT.
    Exported,
}

/// A symbol at the start of an atom.
#[derive(Clone, Debug)]
pub(super) struct Name {
    pub(super) text: String,
    pub(super) scope: Scope,
}

/// r_type, r_pcrel and log2 of the bytes.
type Kind = (u8, bool, u8);

/// One atom.
#[derive(Clone, Debug)]
pub(super) struct Atom {
    pub(super) section: &'static str,
    pub(super) segment: &'static str,
    /// S_* and S_ATTR_*.
    pub(super) flags: u32,
    /// Log2.
    pub(super) align: u32,
    pub(super) bytes: Vec<u8>,
    pub(super) name: Name,
    /// Offset, relocation, the name referred to.
    pub(super) fields: Vec<(u32, Kind, String)>,
}

/// Code, its fields that refer to the data, and that of the call.
type Announce = (&'static [u8], &'static [(u32, Kind)], (u32, Kind));

/// What is particular to a machine.
pub(super) struct Machine {
    /// e_machine: what ELF calls it.
    number: u16,
    /// cputype, cpusubtype.
    cpu: (u32, u32),
    announce: Announce,
    /// The same for people and assemblers; DATA is announced.
    pub(super) lines: &'static [&'static str],
}

/// Every machine.
static MACHINES: [Machine; 2] = [
    Machine {
        number: 62,
        cpu: (0x0100_0007, 3),
        // X86_64_RELOC_SIGNED and BRANCH.
        announce: (
            &[0x48, 0x8d, 0x3d, 0, 0, 0, 0, 0xe8, 0, 0, 0, 0, 0xc3],
            &[(3, (1, true, 2))],
            (8, (2, true, 2)),
        ),
        lines: &["leaq DATA(%rip), %rdi", "callq CALL", "retq"],
    },
    Machine {
        number: 183,
        cpu: (0x0100_000c, 0),
        // ARM64_RELOC_PAGE21, PAGEOFF12 and BRANCH26.
        announce: (
            &[0, 0, 0, 0x90, 0, 0, 0, 0x91, 0, 0, 0, 0x14],
            &[(0, (3, true, 2)), (4, (4, false, 2))],
            (8, (2, true, 2)),
        ),
        lines: &["adrp x0, DATA@PAGE", "add x0, x0, DATA@PAGEOFF", "b CALL"],
    },
];

/// The machine that `arch` is.
pub(super) fn machine(arch: Arch) -> &'static Machine {
    let number = arch.machine();
    MACHINES.iter().find(|machine| machine.number == number).unwrap_or(&MACHINES[0])
}

/// The plain address of both machines.
const POINTER: Kind = (0, false, 3);

/// S_ATTR_PURE_INSTRUCTIONS, S_ATTR_SOME_INSTRUCTIONS; S_ZEROFILL; S_MOD_INIT_FUNC_POINTERS.
pub(super) const CODE: u32 = 0x8000_0400;
pub(super) const ZEROFILL: u32 = 1;
pub(super) const MOD_INIT: u32 = 9;

/// What is added, in order.
pub(super) fn atoms(plan: &Plan, arch: Arch) -> Vec<Atom> {
    let mut list = Vec::new();
    if let Some(data) = &plan.announce {
        let (bytes, fields, call) = machine(arch).announce;
        let mut fields: Vec<_> =
            fields.iter().map(|(at, kind)| (*at, *kind, data.clone())).collect();
        fields.push((call.0, call.1, super::mangled(APPEND)));
        list.push(Atom {
            segment: "__TEXT",
            section: "__text",
            flags: CODE,
            align: 4,
            bytes: bytes.to_vec(),
            name: Name { text: super::mangled(FUNCTION), scope: Scope::Local },
            fields,
        });
        list.push(entry(super::mangled(ENTRY), super::mangled(FUNCTION)));
    }
    if let Some(start) = &plan.start {
        list.push(entry(format!("{start}.ptr"), start.clone()));
    }
    if let (Some(data), Some((size, align))) = (&plan.list, plan.common) {
        list.push(Atom {
            segment: "__DATA",
            section: "__noptrdata",
            flags: 0,
            align,
            bytes: vec![0; size as usize],
            name: Name { text: super::mangled(LAST), scope: Scope::Exported },
            fields: vec![(0, POINTER, data.clone())],
        });
    }
    for (row, name) in &plan.heads {
        list.push(Atom {
            segment: row.2,
            section: row.3,
            flags: match row.3 {
                "__text" => CODE,
                "__bss" | "__noptrbss" => ZEROFILL,
                _ => 0,
            },
            align: 3,
            bytes: vec![0; 8],
            name: Name { text: (*name).to_owned(), scope: Scope::Private },
            fields: Vec::new(),
        });
    }
    list
}

/// An entry of the array of init functions.
fn entry(name: String, function: String) -> Atom {
    Atom {
        segment: "__DATA",
        section: "__mod_init_func",
        flags: MOD_INIT,
        align: 3,
        bytes: vec![0; 8],
        name: Name { text: name, scope: Scope::Local },
        fields: vec![(0, POINTER, function)],
    }
}

/// A section of the file.
struct Section<'a> {
    first: &'a Atom,
    address: u64,
    /// Log2.
    align: u32,
    bytes: Vec<u8>,
    relocs: Vec<(u32, Kind, &'a str)>,
    /// Offsets of its atoms, and their names.
    names: Vec<(u64, &'a Name)>,
}

fn sections(atoms: &[Atom]) -> Vec<Section<'_>> {
    let mut list: Vec<Section<'_>> = Vec::new();
    for atom in atoms {
        let known = list
            .iter()
            .position(|s| (s.first.segment, s.first.section) == (atom.segment, atom.section));
        let at = known.unwrap_or_else(|| {
            let new = Section {
                first: atom,
                address: 0,
                align: 0,
                bytes: Vec::new(),
                relocs: Vec::new(),
                names: Vec::new(),
            };
            list.push(new);
            list.len() - 1
        });
        let section = &mut list[at];
        let start = section.bytes.len().next_multiple_of(1 << atom.align);
        section.bytes.resize(start, 0);
        section.align = section.align.max(atom.align);
        section.bytes.extend(&atom.bytes);
        section.names.push((start as u64, &atom.name));
        let fields = atom.fields.iter();
        section.relocs.extend(fields.map(|(at, kind, to)| (start as u32 + at, *kind, &**to)));
    }
    // What has no bytes in the file comes last.
    list.sort_by_key(|section| section.first.flags == ZEROFILL);
    let mut address = 0_u64;
    for section in &mut list {
        address = address.next_multiple_of(16.max(1 << section.align));
        section.address = address;
        address += section.bytes.len() as u64;
    }
    list
}

/// Names and where they are: locals, then what the link sees, then what is wanted.
struct Symbols {
    rows: Vec<(String, u8, u8, u64)>,
    counts: [u32; 3],
}

impl Symbols {
    fn of(sections: &[Section<'_>], pulls: bool) -> Self {
        let mut groups: [Vec<(String, u8, u8, u64)>; 3] = Default::default();
        for (number, section) in (1..).zip(sections) {
            for (offset, name) in &section.names {
                let (group, kind) = match name.scope {
                    Scope::Local => (0, 0x0e),
                    Scope::Private => (1, 0x1f),
                    Scope::Exported => (1, 0x0f),
                };
                let row = (name.text.clone(), kind, number, section.address + offset);
                groups[group].push(row);
            }
        }
        let append = pulls.then(|| super::mangled(APPEND));
        let fields = sections.iter().flat_map(|section| &section.relocs).map(|field| field.2);
        for to in fields.chain(append.as_deref()) {
            if groups.iter().flatten().all(|row| row.0 != *to) {
                groups[2].push((to.to_owned(), 0x01, 0, 0));
            }
        }
        let counts = [0, 1, 2].map(|group: usize| groups[group].len() as u32);
        Self { rows: groups.into_iter().flatten().collect(), counts }
    }

    fn index(&self, name: &str) -> u32 {
        self.rows.iter().position(|row| row.0 == name).unwrap_or_default() as u32
    }
}

/// The object.
pub(super) fn object(plan: &Plan, arch: Arch) -> Vec<u8> {
    let atoms = atoms(plan, arch);
    let sections = sections(&atoms);
    let symbols = Symbols::of(&sections, plan.pulls);
    let start = 32 + 72 + 80 * sections.len() as u64 + 24 + 24 + 80;
    let filled = || sections.iter().filter(|section| section.first.flags != ZEROFILL);
    let end = filled().map(|s| s.address + s.bytes.len() as u64).max().unwrap_or(0);
    let relocs_at = (start + end).next_multiple_of(8);
    let count: usize = sections.iter().map(|section| section.relocs.len()).sum();
    let symbols_at = relocs_at + 8 * count as u64;
    let strings_at = symbols_at + 16 * symbols.rows.len() as u64;
    let mut strings = vec![0];
    let mut table = Vec::new();
    for (name, kind, section, value) in &symbols.rows {
        table.extend((strings.len() as u32).to_le_bytes());
        table.extend([*kind, *section, 0, 0]);
        table.extend(value.to_le_bytes());
        strings.extend(name.bytes().chain([0]));
    }
    strings.resize(strings.len().next_multiple_of(8), 0);
    let mut out = header(arch, (start - 32) as u32);
    segment(&mut out, &sections, start, end, relocs_at);
    // LC_BUILD_VERSION, LC_SYMTAB, LC_DYSYMTAB.
    words(&mut out, &[0x32, 24, 1, 11 << 16, 11 << 16, 0]);
    let rows = symbols.rows.len() as u32;
    let [symbols_at, strings_at] = [symbols_at, strings_at].map(|at| at as u32);
    words(&mut out, &[2, 24, symbols_at, rows, strings_at, strings.len() as u32]);
    let [local, defined, wanted] = symbols.counts;
    words(&mut out, &[0xb, 80, 0, local, local, defined, local + defined, wanted]);
    words(&mut out, &[0; 12]);
    for section in filled() {
        out.resize((start + section.address) as usize, 0);
        out.extend(&section.bytes);
    }
    out.resize(relocs_at as usize, 0);
    for (at, (kind, pcrel, length), to) in sections.iter().flat_map(|section| &section.relocs) {
        let flags = u32::from(*pcrel) | u32::from(*length) << 1 | 8 | u32::from(*kind) << 4;
        words(&mut out, &[*at, symbols.index(to) | flags << 24]);
    }
    out.extend(table);
    out.extend(strings);
    out
}

fn words(out: &mut Vec<u8>, words: &[u32]) {
    out.extend(words.iter().flat_map(|word| word.to_le_bytes()));
}

/// mach_header_64 of an MH_OBJECT with MH_SUBSECTIONS_VIA_SYMBOLS and four commands.
fn header(arch: Arch, commands: u32) -> Vec<u8> {
    let (cpu, sub) = machine(arch).cpu;
    let mut out = Vec::new();
    words(&mut out, &[0xfeed_facf, cpu, sub, 1, 4, commands, 0x2000, 0]);
    out
}

/// LC_SEGMENT_64.
fn segment(out: &mut Vec<u8>, sections: &[Section<'_>], start: u64, end: u64, relocs: u64) {
    let size = sections.last().map_or(0, |last| last.address + last.bytes.len() as u64);
    words(out, &[0x19, 72 + 80 * sections.len() as u32]);
    out.extend([0; 16]);
    out.extend([0, size, start, end].iter().flat_map(|value| value.to_le_bytes()));
    words(out, &[7, 7, sections.len() as u32, 0]);
    let mut relocs = relocs as u32;
    for section in sections {
        let Section { first, address, align, bytes, relocs: list, .. } = section;
        for name in [first.section, first.segment] {
            let mut field = [0; 16];
            field[..name.len()].copy_from_slice(name.as_bytes());
            out.extend(field);
        }
        out.extend([*address, bytes.len() as u64].iter().flat_map(|value| value.to_le_bytes()));
        let offset = if first.flags == ZEROFILL { 0 } else { (start + address) as u32 };
        let table = if list.is_empty() { 0 } else { relocs };
        words(out, &[offset, *align, table, list.len() as u32, first.flags, 0, 0, 0]);
        relocs += 8 * list.len() as u32;
    }
}
