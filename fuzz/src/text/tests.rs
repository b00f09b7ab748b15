//! The text form reads back as what was printed, and says where it is wrong.

use super::{parse, print};
use crate::Case;

const SAMPLE: &str = r#"case amd64-elf shared
option Bsymbolic
option hash-style gnu
option defsym a 0x10
option defsym b "1x"
option dynamic-list probe.* "odd name"
versions {
  node V1 {
    global f
    local *
  }
  node V2 parent V1 {
    global "g[12]"
  }
}
object a.o {
  section .text progbits ax align=16 marker {
    hex e8 00 00 00 00 c3
    reloc 0x11 R_X86_64_PLT32 f -4
    reloc 0x11 R_X86_64_64 [#1] 8
    reloc 0x11 200 -
  }
  section .s progbits aMS align=1 entsize=1 {
    text "a\"\\\xff\x00"
    text "b\x00"
  }
  section .s nobits aw align=8 link=.text {
    zeros 0x20
  }
  section .z progbits - align=0 {
    hex 01
    fill 0x00 0x40
    hex 02
  }
  symbol probe global func hidden at .text+0x10 size 6
  symbol f global notype undefined
  symbol "odd name" weak object at #2+0x0 size 8
  symbol c global object common 8 size 8
  symbol x local notype absolute 0xffffffffffffffff
  group probe comdat .text #1
}
group {
  archive l.a whole thin {
    object m.o {
    }
  }
}
library libx.so soname libx.so.1 as-needed {
  symbol f @@ V1 global func alias 1 size 11
  symbol f @ V0 weak func protected alias 2 readonly
  symbol u global notype undefined
  symbol a global notype absolute 0x5
}
"#;

const MACHO: &str = r#"case arm64-macho plugin
option fixup-chains
option no-fixup-chains
option min-os 12
option dynamic-lookup
option may-be-undefined _u
option exported "_odd name"
option unexported _f
object a.o subsections {
  section __TEXT,__text progbits ax align=4 tail-marker {
    hex 00 00 00 94
    reloc 0x0 ARM64_RELOC_BRANCH26 _f 8
  }
  section "__TEXT,odd text" cstring_literals - align=1 {
    hex 61 00
  }
  section __TEXT,__l4 4byte_literals - align=4 {
  }
  section __TEXT,__l8 8byte_literals - align=8 {
  }
  section __TEXT,__l16 16byte_literals - align=16 {
  }
  section __DATA,__thread_data thread_local_regular - align=8 {
  }
  section __DATA,__thread_bss thread_local_zerofill - align=8 {
    zeros 0x8
  }
  section __DATA,__data progbits aw align=8 tail-marker {
    hex 00 00 00 00 00 00 00 00
    reloc 0x0 ARM64_RELOC_SUBTRACTOR _f
    reloc 0x0 ARM64_RELOC_UNSIGNED _g -1
    reloc 0x0 ARM64_RELOC_UNSIGNED.4 [__TEXT,__text]
  }
  section __DATA,__data thread_local_variables - align=8 {
  }
  symbol _f weak func hidden at __TEXT,__text+0x0 size 4 can-be-hidden no-dead-strip
  symbol _g global notype at #7+0x8 alt-entry
}
library libx.dylib soname "@rpath/libx.dylib" as-needed weak {
}
"#;

#[test]
fn a_text_with_everything_reads_back() {
    for sample in [SAMPLE, MACHO] {
        let case: Case = parse(sample).unwrap();
        assert_eq!(print(&case), sample);
        assert_eq!(format!("{case:?}"), sample);
        assert_eq!(parse(&print(&case)).unwrap(), case);
    }
}

#[test]
fn errors_name_the_line() {
    let rows = [
        ("", 0, "no `case` line"),
        ("case amd64-elf", 1, "the line ends early"),
        ("case amd64-elf wrong", 1, "no mode `wrong`; known: c-shared, plugin, shared, pie, exe"),
        ("case amd64-elf pie\noption undefined \"a\\0\"", 2, "a name has a NUL"),
        ("; c\ncase amd64-elf pie\noption fast", 3, "no option `fast`"),
        ("case amd64-elf pie\nobject a.o {", 2, "a block is not closed"),
        (
            "case amd64-elf pie\nobject ../a.o {\n}",
            2,
            "`../a.o` is no file of the link's own folder",
        ),
        (
            "case amd64-elf pie\nlibrary /tmp/l.so {\n}",
            2,
            "`/tmp/l.so` is no file of the link's own folder",
        ),
        (
            "case amd64-elf pie\nobject a.o {\n section .t progbits a {\n reloc 0 R_X86_64_64 f\n}\n}",
            4,
            "no symbol `f`",
        ),
        (
            "case amd64-elf pie\nobject a.o {\n symbol f global func at .text+0\n}",
            3,
            "no section `.text`",
        ),
        (
            "case amd64-elf pie\nobject a.o {\n section .t nobits a {\n zeros 0xffffffffff\n}\n}",
            4,
            "zeros stand alone and are at most 1 GiB",
        ),
    ];
    for (text, line, message) in rows {
        let error = parse(text).unwrap_err();
        assert_eq!((error.line, error.text.as_str()), (line, message), "{text}");
    }
}

#[test]
fn no_text_makes_the_parser_panic() {
    for sample in [SAMPLE, MACHO] {
        let mut bytes = sample.as_bytes().to_vec();
        for i in (0..bytes.len()).step_by(3) {
            for with in [b'"', b'\\', b' ', b'\n', b'#', b'9', 0xff] {
                let old = std::mem::replace(&mut bytes[i], with);
                let _ = parse(&String::from_utf8_lossy(&bytes));
                let _ = parse(&String::from_utf8_lossy(&bytes[..i]));
                bytes[i] = old;
            }
        }
    }
}
