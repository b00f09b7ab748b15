//! The table of flags, second part: what is known and can't be had, what changes nothing here and
//! says so, and what is a permission or a hint that changes nothing silently.

use super::parse::{Parser, usage};
use super::table::Arg::{Maybe, Needed, No};
use super::table::is_format;
use super::table::{Arg, Row, refuse, row};
use crate::Result;
use crate::arch::ARCHES;

/// A permission or a hint: nothing that is made here changes with it.
const fn hint(names: &'static [&'static str], arg: Arg) -> Row {
    row(names, arg, "", |_, _| Ok(()))
}

/// Would change what other linkers make or say: accepted with a warning, so that nobody relies on it.
const fn noted(names: &'static [&'static str], arg: Arg) -> Row {
    row(names, arg, "", no_effect)
}

fn no_effect(p: &mut Parser<'_>, _: &str) -> Result<()> {
    let text = format!("{} has no effect here", p.spelled);
    p.options.warnings.push(text);
    Ok(())
}

/// The flags.
#[rustfmt::skip]
pub(super) static ROWS: &[Row] = &[
    // Known flags that need an engine there is none of.
    row(&["EB"], No, "", refuse!("-EB: big-endian outputs are not supported")),
    row(&["oformat"], Needed("FORMAT"), "", |_, v| match v {
        v if is_format(v) => Ok(()),
        _ => {
            let known: Vec<_> = ARCHES.iter().map(|arch| arch.format).collect();
            Err(usage(format!("--oformat={v}: only {} is made", known.join(", "))))
        }
    }),
    row(&["N", "omagic", "n", "nmagic"], No, "", refuse!("-n and -N: unpaged outputs are not supported")),
    row(&["Ur"], No, "", refuse!("-Ur is not supported; use -r")),
    row(&["reproduce"], Needed("FILE"), "", refuse!("--reproduce is not supported")),
    row(&["symbol-ordering-file", "section-ordering-file"], Needed("FILE"), "", refuse!("ordering files are not supported")),
    row(&["out-implib"], Needed("FILE"), "", refuse!("--out-implib is not supported")),
    row(&["split-by-file", "split-by-reloc"], Maybe("N"), "", refuse!("--split-by-… is not supported")),
    row(&["default-symver", "default-imported-symver"], No, "", refuse!("--default-symver is not supported; use --version-script")),
    row(&["dynamic-list-data"], No, "", refuse!("--dynamic-list-data is not supported; use --dynamic-list")),
    row(&["ignore-unresolved-symbol"], Needed("SYMBOL"), "", refuse!("--ignore-unresolved-symbol is not supported; use --unresolved-symbols")),
    row(&["print-sysroot"], No, "", refuse!("--print-sysroot is not supported")),
    row(&["print-output-format"], No, "", refuse!("--print-output-format is not supported")),
    row(&["print-memory-usage"], No, "", refuse!("--print-memory-usage needs a script with MEMORY, which is not supported")),
    row(&["embedded-relocs"], No, "", refuse!("--embedded-relocs is not supported")),


    // Meant for what other linkers do.
    noted(&["unique"], Maybe("")),
    row(&["sort-section"], Needed("ORDER"), "", |p, v| match v {
        "none" => Ok(()),
        "name" | "alignment" => no_effect(p, v),
        _ => Err(usage(format!("--sort-section={v}: no such order"))),
    }),
    noted(&["no-ctors-in-init-array", "enable-linker-version", "qmagic", "force-exe-suffix"], No),
    noted(&["warn-common", "warn-section-align", "warn-multiple-gp", "warn-alternate-em"], No),
    noted(&["warn-backrefs", "no-strip-discarded", "enable-non-contiguous-regions"], No),
    noted(&["fix-cortex-a8", "fix-arm1176"], No),
    noted(&["vfp11-denorm-fix"], Needed("")),
    noted(&["accept-unknown-input-arch"], No),

    // gcc, clang, rustc, libtool and others pass these; nothing here changes with them.
    hint(&["plugin", "plugin-opt"], Needed("")),
    hint(&["pic-veneer", "use-blx", "long-plt", "no-enum-size-warning", "no-wchar-size-warning"], No),
    hint(&["EL", "no-mmap-output-file", "mmap-output-file"], No),
    hint(&["Bno-group"], No),
    hint(&["g", "p", "Qy", "Qn", "stats", "no-stats"], No),
    hint(&["stub-group-size", "a", "A", "architecture", "G", "gpsize", "Y", "assert"], Needed("")),
    hint(&["color-diagnostics", "demangle"], Maybe("")),
    hint(&["no-color-diagnostics", "no-demangle", "nostdlib", "ctors-in-init-array"], No),
    hint(&["no-keep-memory", "keep-memory", "reduce-memory-overheads", "disable-multiple-abs-defs"], No),
    hint(&["max-cache-size", "hash-size", "sort-common"], Maybe("")),
    hint(&["no-sort-common", "no-omagic", "no-nmagic", "no-icf", "no-check-sections", "check-sections"], No),
    hint(&["no-accept-unknown-input-arch", "no-warn-common", "warn-once", "no-warn-alternate-em"], No),
    hint(&["warn-constructors", "warn-search-mismatch", "no-warn-search-mismatch", "no-warn-backrefs"], No),
    hint(&["warn-symbol-ordering", "no-warn-symbol-ordering"], No),
    hint(&["ld-generated-unwind-info", "no-ld-generated-unwind-info"], No),
    hint(&["disable-linker-version", "traditional-format"], No),
    hint(&["strip-discarded", "strip-lto-sections", "no-fork", "fork"], No),
    hint(&["preload", "no-preload", "perf", "quick-exit", "no-quick-exit", "lto-whole-program-visibility"], No),
    hint(&["spare-dynamic-tags"], Needed("")),
    hint(&["thinlto-jobs", "thinlto-cache-dir", "thinlto-cache-policy", "lto-O", "lto-partitions"], Needed("")),
    hint(&["no-fix-cortex-a53-843419", "no-fix-cortex-a53-835769", "no-fix-cortex-a8", "no-fix-arm1176"], No),
];
