//! Swarm knobs: what one random case may contain. Each case draws its own set, so that features meet
//! in all combinations and no feature drowns the others.
//!
//! One row per knob; it must not say how a feature is made, only how often it is on.

use crate::generate::Dice;

macro_rules! knobs {
    ($($(#[doc = $doc:literal])* $name:ident: $permille:literal;)*) => {
        /// What one case may contain.
        #[derive(Clone, PartialEq, Eq, Default, Debug)]
        pub struct Config {
            $($(#[doc = $doc])* pub $name: bool,)*
        }

        /// Every knob.
        pub const KNOBS: &[Knob] =
            &[$(Knob { name: stringify!($name), permille: $permille, about: concat!($($doc),*) }),*];

        impl Config {
            /// Draws a set of knobs.
            pub fn draw(dice: &mut Dice<'_>) -> Self {
                Self { $($name: dice.chance($permille),)* }
            }

            /// The knobs that are on, by name.
            pub fn on(&self) -> Vec<&'static str> {
                let mut names = Vec::new();
                $(if self.$name { names.push(stringify!($name)); })*
                names
            }
        }
    };
}

/// One row of [`KNOBS`].
#[derive(Clone, Copy, Debug)]
pub struct Knob {
    /// Its name.
    pub name: &'static str,
    /// In how many of 1,000 cases it is on; 0 is always off, for the reason that `about` gives.
    pub permille: u16,
    /// What it allows.
    pub about: &'static str,
}

knobs! {
    /// Weak definitions, alone and beside strong ones.
    weak: 350;
    /// Weak references to what is defined.
    weak_references: 250;
    /// Weak references to what nobody defines.
    absent: 150;
    /// Strong references that a library may leave open.
    unresolved: 40;
    /// Hidden, internal and protected symbols.
    visibility: 450;
    /// The visibility is on references too, or only there.
    reference_visibility: 250;
    /// STB_GNU_UNIQUE.
    unique: 60;
    /// Common symbols of several sizes and alignments.
    common: 150;
    /// Absolute symbols.
    absolute: 200;
    /// Local functions and data.
    locals: 400;
    /// References as section symbol and addend.
    section_symbols: 350;
    /// Addends beside the usual one.
    addends: 300;
    /// Bits in fields before they are relocated.
    preset_bits: 200;
    /// Odd addresses.
    odd: 150;
    /// STT_GNU_IFUNC.
    ifunc: 120;
    /// The address of an IFUNC taken without GOT or PLT.
    ifunc_address: 30;
    /// Shared libraries.
    libraries: 450;
    /// Two names for one address in a library.
    aliases: 150;
    /// `--as-needed`.
    as_needed: 150;
    /// Direct references to a library's symbols from executables: copies, canonical PLTs.
    copies: 250;
    /// Archives.
    archives: 250;
    /// Thin archives.
    thin: 100;
    /// `--whole-archive`.
    whole: 100;
    /// Versioned symbols in libraries.
    library_versions: 250;
    /// A version script.
    version_script: 180;
    /// `name@V` and `name@@V` definitions.
    symver: 60;
    /// COMDAT groups.
    comdat: 200;
    /// Mergeable strings and constants.
    merge: 200;
    /// `.init_array` and `.fini_array`, with distinct priorities.
    init_array: 250;
    /// `_init` and `_fini`.
    init_functions: 40;
    /// `.eh_frame`.
    eh_frame: 250;
    /// Writable `.eh_frame` with absolute addresses.
    eh_frame_written: 100;
    /// Alloc notes.
    notes: 80;
    /// C-identifier sections and their `__start_`, `__stop_`.
    start_stop: 100;
    /// `_GLOBAL_OFFSET_TABLE_`, `_DYNAMIC`, `__ehdr_start`.
    linker_symbols: 80;
    /// SHF_LINK_ORDER.
    link_order: 50;
    /// SHF_GNU_RETAIN.
    retain: 50;
    /// SHF_EXCLUDE.
    exclude: 40;
    /// One section for each function and datum.
    own_sections: 500;
    /// Sections with nothing in them.
    empty_sections: 80;
    /// Alignments of 64 to 4096.
    over_aligned: 120;
    /// An alignment of 64 KiB.
    huge_aligned: 10;
    /// Gaps of 64 KiB to 16 MiB between sections.
    distance: 8;
    /// TLS variables.
    tls: 350;
    /// General dynamic.
    tls_gd: 500;
    /// Local dynamic.
    tls_ld: 400;
    /// Initial exec.
    tls_ie: 500;
    /// Local exec.
    tls_le: 500;
    /// TLS descriptors.
    tls_desc: 350;
    /// General and local dynamic as the large model has them.
    tls_large: 60;
    /// TLS alignments over 16.
    tls_aligned: 250;
    /// GOT loads and their relaxable forms.
    got: 600;
    /// Arithmetic on GOT entries, relaxable to immediates.
    got_arithmetic: 200;
    /// The 64-bit GOT forms of the medium and large models.
    large: 120;
    /// Relocations that some linkers don't know.
    rare: 200;
    /// Instructions of Intel APX and their relocations, which older linkers don't know.
    apx: 50;
    /// 8- and 16-bit fields, branches of short reach.
    narrow: 80;
    /// The tiny code model: addresses in one instruction.
    tiny: 100;
    /// Pointers in `.data.rel.ro`.
    relro: 300;
    /// Relocations of a section in another order than their places.
    unsorted: 50;
    /// R_X86_64_SIZE32 and SIZE64.
    size: 80;
    /// R_X86_64_32, 32S and 64 in the code of executables.
    absolute_code: 400;
    /// `--gc-sections`.
    gc_sections: 120;
    /// `--no-relax`.
    no_relax: 100;
    /// `-Bsymbolic`.
    bsymbolic: 60;
    /// `-Bsymbolic-functions`.
    bsymbolic_functions: 60;
    /// `--dynamic-list`.
    dynamic_list: 60;
    /// `--export-dynamic`.
    export_dynamic: 150;
    /// `-z now`.
    now: 200;
    /// `-z nodelete`.
    nodelete: 60;
    /// `-z pack-relative-relocs`.
    relr: 100;
    /// `--hash-style`.
    hash_style: 250;
    /// `--defsym`.
    defsym: 80;
    /// `--wrap`.
    wrap: 60;
    /// `-soname`.
    soname: 200;
    /// `-u`.
    undefined: 60;
    /// `-O2`.
    o2: 80;
    /// `-z defs`.
    defs: 100;
    /// Off: takes a second to link; [`crate::generate::many_sections`] makes that case on its own.
    many_sections: 0;
    /// Off: bfd and mold take the library's symbol, gold, lld and wild the common one.
    common_against_library: 0;
    /// Off: whether a common symbol extracts a member is policy.
    common_against_member: 0;
    /// Off: bfd takes the value at link time, others import.
    library_absolute: 0;
    /// Off: all but mold accept equal ones.
    duplicate_absolute: 0;
    /// Off: not every linker says so.
    tls_mismatch: 0;
    /// Off: lld and wild refuse, bfd, gold and mold warn.
    text_relocations: 0;
    /// Off: bfd and mold keep the name, gold, lld and wild make it local.
    local_glob_after_global_glob: 0;
    /// Off: lld and mold leave `.ctors` dead, bfd, gold and wild fold it.
    ctors: 0;
    /// Off: the order of equal priorities is open.
    equal_priorities: 0;
    /// Off: bfd and gold look at archives once and in order, others at all of them at once.
    archive_order: 0;
    /// Off: merging notes of properties is judged by another key than Facts have.
    properties: 0;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_source_draws_nothing() {
        assert_eq!(Config::draw(&mut Dice::new(&[])), Config::default());
        assert!(Config::default().on().is_empty());
    }

    #[test]
    fn every_knob_that_is_off_says_why() {
        for knob in KNOBS.iter().filter(|knob| knob.permille == 0) {
            assert!(knob.about.trim_start().starts_with("Off: "), "{}", knob.name);
        }
        assert!(KNOBS.iter().all(|knob| !knob.about.is_empty() && knob.permille <= 1000));
    }
}
