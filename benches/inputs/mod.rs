//! Inputs for large links: a size in, objects of ordinary shape out, the same every time.
//!
//! What an object has is taken from what compilers emit: a section per function and variable, most
//! calls to functions of the same library, a few to functions that many objects define in COMDAT
//! groups, GOT loads, data pointers, merged strings.

use std::time::Duration;

use criterion::{BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use object::elf;
use object::write::{
    Object, Relocation, SectionId, StandardSection, Symbol, SymbolId, SymbolSection,
};
use object::{
    Architecture, BinaryFormat, Endianness, RelocationFlags, SectionKind, SymbolFlags, SymbolKind,
    SymbolScope,
};
use scold_linker::{MemoryFiles, Stats, link_args};

/// How large a link is.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    /// Objects.
    pub(crate) objects: usize,
    /// Functions of each, a section each.
    pub(crate) functions: usize,
    /// References of each function.
    pub(crate) references: usize,
}

/// About 100,000 symbols and 600,000 relocations.
pub(crate) const LARGE: Size = Size { objects: 250, functions: 200, references: 12 };

/// The files, and the arguments that link them into a library.
pub(crate) fn large(size: Size) -> (MemoryFiles, Vec<String>) {
    let mut files = MemoryFiles::new();
    let mut args: Vec<String> =
        ["-shared", "--eh-frame-hdr", "--hash-style=gnu", "-z", "relro"].map(String::from).into();
    for number in 0..size.objects {
        let name = format!("o{number}.o");
        files.insert(&name, object(size, number));
        args.push(name);
    }
    (files, args)
}

/// Numbers that look random: a fixed multiplicative walk.
struct Walk(u64);

impl Walk {
    fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % bound
    }
}

fn object(size: Size, number: usize) -> Vec<u8> {
    let mut out = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
    let mut walk = Walk(number as u64 + 1);
    let strings = out.section_id(StandardSection::ReadOnlyString);
    let text = format!("string {} of many objects\0", walk.below(500));
    out.append_section_data(strings, text.as_bytes(), 1);
    let mut names = std::collections::HashMap::new();
    for function in 0..size.functions {
        let name = format!("function_{number}_{function}");
        let section =
            out.add_section(Vec::new(), format!(".text.{name}").into(), SectionKind::Text);
        let body = vec![0x90; size.references * 8 + 8];
        out.append_section_data(section, &body, 16);
        let own = symbol(&mut out, &mut names, name);
        out.symbol_mut(own).section = SymbolSection::Section(section);
        out.symbol_mut(own).size = body.len() as u64;
        for reference in 0..size.references {
            let target = match walk.below(10) {
                // Nearby, as most calls are; else anywhere.
                0..7 => format!("function_{number}_{}", walk.below(size.functions)),
                _ => {
                    format!("function_{}_{}", walk.below(size.objects), walk.below(size.functions))
                }
            };
            let target = symbol(&mut out, &mut names, target);
            let (r_type, opcode): (elf::RelocationType, &[u8]) = match walk.below(4) {
                0 => (elf::R_X86_64_REX_GOTPCRELX, &[0x48, 0x8b, 0x05]),
                _ => (elf::R_X86_64_PLT32, &[0xe8]),
            };
            let at = reference * 8;
            out.section_mut(section).data_mut()[at..at + opcode.len()].copy_from_slice(opcode);
            relocate(&mut out, section, (at + opcode.len()) as u64, target, r_type, -4);
        }
        let data = out.section_id(StandardSection::ReadOnlyDataWithRel);
        let at = out.append_section_data(data, &[0; 8], 8);
        relocate(&mut out, data, at, own, elf::R_X86_64_64, 0);
    }
    out.write().expect("a valid object")
}

fn symbol(
    out: &mut Object<'_>,
    names: &mut std::collections::HashMap<String, SymbolId>,
    name: String,
) -> SymbolId {
    *names.entry(name).or_insert_with_key(|name| {
        out.add_symbol(Symbol {
            name: name.as_bytes().into(),
            value: 0,
            size: 0,
            kind: SymbolKind::Text,
            scope: SymbolScope::Dynamic,
            weak: false,
            section: SymbolSection::Undefined,
            flags: SymbolFlags::None,
        })
    })
}

fn relocate(
    out: &mut Object<'_>,
    section: SectionId,
    offset: u64,
    symbol: SymbolId,
    r_type: elf::RelocationType,
    addend: i64,
) {
    let flags = RelocationFlags::Elf { r_type };
    out.add_relocation(section, Relocation { offset, symbol, addend, flags })
        .expect("a valid relocation");
}

/// Measures the phases called `phases` of a large link, in what `count` counts a second.
pub(crate) fn phase(
    criterion: &mut Criterion,
    name: &str,
    phases: &[&'static str],
    count: fn(&Stats) -> u64,
    unit: &str,
) {
    let (files, args) = large(LARGE);
    let link = || link_args(&args, &files).expect("it links").1.stats;
    let stats = link();
    let total = |stats: &Stats| phases.iter().map(|phase| stats.phase(phase)).sum::<Duration>();
    assert!(total(&stats) > Duration::ZERO, "the linker tells no time for {phases:?}");
    let mut group: BenchmarkGroup<'_, WallTime> = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(count(&stats)));
    group.sample_size(20);
    group.bench_function(unit, |bench| {
        bench.iter_custom(|times| (0..times).map(|_| total(&link())).sum());
    });
    group.finish();
    let seconds = total(&stats).as_secs_f64();
    println!("{name}: {:.2} M {unit}", count(&stats) as f64 / seconds / 1e6);
}
