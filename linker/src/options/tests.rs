//! The table, spelled every way.

use std::path::{Path, PathBuf};

use super::response::split;
use super::table::{Arg, all};
use super::*;
use crate::{ErrorKind, MemoryFiles};

fn with(files: &MemoryFiles, line: &str) -> Result<Options, Errors> {
    let args: Vec<String> = line.split_whitespace().map(String::from).collect();
    Options::parse(&args, files)
}

fn parse(line: &str) -> Options {
    with(&MemoryFiles::new(), line).unwrap_or_else(|errors| panic!("{line}: {errors}"))
}

fn fails(line: &str) -> (ErrorKind, String) {
    let errors = with(&MemoryFiles::new(), line).expect_err(line);
    (errors.first().kind(), errors.first().text().to_owned())
}

#[test]
fn rows_are_consistent() {
    let mut seen = std::collections::BTreeSet::new();
    for row in all() {
        for name in row.names {
            assert!(!name.starts_with('-') && !name.contains('='), "{name}");
            assert!(seen.insert(name), "{name} is in two rows");
        }
    }
    let help = Options::help();
    for row in all().filter(|row| !row.help.is_empty()) {
        assert!(help.contains(row.names[0]), "{} is not in --help", row.names[0]);
    }
}

#[test]
fn every_row_takes_its_argument_every_way() {
    for row in all() {
        for name in row.names {
            let dashes: &[&str] = match name.len() {
                1 => &["-"],
                _ if name.starts_with('o') => &["--"],
                _ => &["-", "--"],
            };
            for dash in dashes {
                let unknown = |line: String| {
                    let known = match with(&MemoryFiles::new(), &format!("a.o {line}")) {
                        Ok(_) => true,
                        Err(errors) => errors.first().kind() != ErrorKind::UnknownOption,
                    };
                    assert!(known, "{line}");
                };
                match row.arg {
                    Arg::No => unknown(format!("{dash}{name}")),
                    Arg::Needed(_) => {
                        unknown(format!("{dash}{name} 1"));
                        let glue = if name.len() == 1 { "" } else { "=" };
                        unknown(format!("{dash}{name}{glue}1"));
                        let (kind, text) = fails(&format!("a.o {dash}{name}"));
                        assert_eq!(kind, ErrorKind::Usage);
                        assert!(text.contains("requires an argument"), "{text}");
                    }
                    Arg::Maybe(_) => unknown(format!("{dash}{name}")),
                }
            }
        }
    }
}

#[test]
fn a_gcc_line() {
    let options = parse(
        "-plugin /usr/lib/liblto_plugin.so -plugin-opt=/usr/lib/lto-wrapper \
         -plugin-opt=-pass-through=-lgcc --build-id --eh-frame-hdr -m elf_x86_64 \
         --hash-style=gnu --as-needed -dynamic-linker /lib64/ld-linux-x86-64.so.2 -pie -z now \
         -z relro -o out Scrt1.o crti.o crtbeginS.o -L/usr/lib -L. x.o -lgcc --push-state \
         --no-as-needed -lgcc_s --pop-state -lc crtendS.o crtn.o",
    );
    assert_eq!(options.kind, OutputKind::Pie);
    assert_eq!(options.emulation.unwrap().emulation, "elf_x86_64");
    assert_eq!(options.output, Path::new("out"));
    assert_eq!(options.dynamic_linker.as_deref(), Some("/lib64/ld-linux-x86-64.so.2"));
    assert_eq!(options.hash_style, HashStyle { gnu: true, sysv: false });
    assert_eq!(options.build_id, BuildId::Sha1);
    assert!(options.z.now && options.z.relro && options.eh_frame_hdr);
    assert_eq!(options.library_dirs, [Path::new("/usr/lib"), Path::new(".")]);
    let state: Vec<_> = options
        .inputs
        .iter()
        .filter_map(|input| match &input.what {
            Named::Library(name) => Some((name.as_str(), input.state.as_needed)),
            _ => None,
        })
        .collect();
    assert_eq!(state, [("gcc", true), ("gcc_s", false), ("c", true)]);
    assert!(options.warnings.is_empty());
}

#[test]
fn a_go_line() {
    let options = parse(
        "--build-id -shared -z relro -z nodelete -Bsymbolic --build-id=0x00ff1234 -o a.out \
         -export-dynamic --compress-debug-sections=zlib -X -EL -z nocopyreloc go.o",
    );
    assert_eq!(options.kind, OutputKind::Shared);
    assert_eq!(options.build_id, BuildId::Hex(vec![0, 0xff, 0x12, 0x34]));
    assert_eq!(options.symbolic, Symbolic::All);
    assert_eq!(options.discard, Discard::Locals);
    assert_eq!(options.compress_debug, CompressDebug::Zlib);
    assert!(options.z.nodelete && !options.z.copyreloc && options.export_dynamic);
}

#[test]
fn letters_take_arguments_attached_or_apart() {
    for line in ["-ofile -Ldir -lname -zdefs a.o", "-o file -L dir -l name -z defs a.o"] {
        let options = parse(line);
        assert_eq!(options.output, Path::new("file"));
        assert_eq!(options.library_dirs, [Path::new("dir")]);
        assert_eq!(options.inputs[0].what, Named::Library("name".into()));
        assert_eq!(options.inputs[1].what, Named::Path("a.o".into()));
        assert_eq!(options.defs, Some(true));
    }
    assert_eq!(parse("-omagic a.o").output, Path::new("magic"));
    assert_eq!(parse("-emain a.o").entry.as_deref(), Some("main"));
    assert_eq!(parse("-entry main a.o").entry.as_deref(), Some("main"));
    assert_eq!(parse("-l:libx.so.1 a.o").inputs[0].what, Named::Exact("libx.so.1".into()));
    assert_eq!(parse("-O2 a.o").optimize, 2);
    assert_eq!(parse("-O 2 a.o").optimize, 2);
}

#[test]
fn unknown_options_say_unrecognized() {
    for option in ["--nonsense", "-nonsense", "--nonsense=1", "-static-nonsense", "-j", "--o=x"] {
        let (kind, text) = fails(&format!("{option} a.o"));
        assert_eq!(kind, ErrorKind::UnknownOption, "{option}");
        assert_eq!(text, format!("unrecognized option '{option}'"));
    }
    assert_eq!(fails("--shared=1 a.o").0, ErrorKind::Usage);
}

#[test]
fn wrong_uses_are_errors() {
    for line in [
        "",
        "-shared",
        "-r -shared a.o",
        "--start-group a.o",
        "--end-group a.o",
        "--pop-state a.o",
        "--hash-style=md4 a.o",
        "--build-id=0x1 a.o",
        "--build-id=0xzz a.o",
        "--build-id=crc a.o",
        "--threads=0 a.o",
        "-m elf_i386 a.o",
        "-z max-page-size=3 a.o",
        "--defsym x a.o",
        "--defsym x=1+ a.o",
        "--defsym =1 a.o",
        "--defsym x=(1+2 a.o",
        "--defsym 1=2 a.o",
        "--sort-section=size a.o",
        "--package-metadata=%4 a.o",
        "--package-metadata=%+1 a.o",
        "--error-limit=many a.o",
        "--image-base=0xg a.o",
    ] {
        assert_eq!(fails(line).0, ErrorKind::Usage, "{line}");
    }
}

#[test]
fn what_only_others_have_is_said_so() {
    for line in ["-T script a.o", "--icf=all a.o", "--reproduce=x.tar a.o", "-n a.o"] {
        assert_eq!(fails(line).0, ErrorKind::UnsupportedOption, "{line}");
    }
}

#[test]
fn last_one_wins() {
    assert_eq!(parse("-pie -no-pie a.o").kind, OutputKind::Exe);
    assert_eq!(parse("-no-pie -pie a.o").kind, OutputKind::Pie);
    assert_eq!(parse("-shared -no-pie a.o").kind, OutputKind::Shared);
    assert_eq!(parse("-pie -r a.o").kind, OutputKind::Relocatable);
    assert_eq!(parse("--build-id=uuid --build-id=none a.o").build_id, BuildId::None);
    assert_eq!(parse("-s -S a.o").strip, Strip::All);
    assert_eq!(parse("-x -X a.o").discard, Discard::All);
    assert!(!parse("--gc-sections --no-gc-sections a.o").gc_sections);
}

#[test]
fn values() {
    let options = parse(
        "--defsym a=0x10 --defsym=b=c --defsym b=c+2 --defsym d=e-1k -rpath x:y --rpath=y:z \
         --image-base=4096 -z stack-size=1M -z max-page-size=0x10000 --threads=3 a.o",
    );
    let value = |text| Expression::parse(text).unwrap();
    let values: Vec<_> =
        options.defsyms.iter().map(|d| (d.name.as_str(), d.value.clone())).collect();
    let wanted =
        [("a", value("0x10")), ("b", value("c")), ("b", value("c+2")), ("d", value("e-1024"))];
    assert_eq!(values, wanted);
    assert_eq!(options.rpath, ["x", "y", "z"]);
    assert_eq!(options.image_base, Some(0x4096));
    assert_eq!(options.z.stack_size, 1 << 20);
    assert_eq!(options.z.max_page_size, Some(0x10000));
    assert_eq!(options.threads, Some(3));
}

#[test]
fn unknown_keywords_only_warn() {
    let options = parse("-z nonsense -z now a.o");
    assert_eq!(options.warnings, ["-z nonsense ignored: unknown keyword"]);
    assert!(options.z.now);
    let options = parse("--unique -sort-section=name --warn-common -z mark-plt a.o");
    let wanted = ["--unique", "-sort-section=name", "--warn-common", "-z mark-plt"];
    assert_eq!(options.warnings, wanted.map(|flag| format!("{flag} has no effect here")));
    assert_eq!(parse("--sort-section=none -z nomark-plt a.o").warnings, [""; 0]);
}

#[test]
fn sysroot_counts_wherever_it_stands() {
    for line in ["-L=/lib -L$SYSROOT/usr --sysroot=/r a.o", "--sysroot /r -L=/lib -L=usr a.o"] {
        assert_eq!(parse(line).library_dirs, [Path::new("/r/lib"), Path::new("/r/usr")]);
    }
    assert_eq!(parse("--sysroot=/ -L=/lib a.o").library_dirs, [PathBuf::from("/lib")]);
    assert_eq!(parse("--sysroot=/ a.o").sysroot, None);
}

#[test]
fn version_and_help_stop_at_once() {
    assert_eq!(parse("--version --nonsense").action, Action::Version);
    assert_eq!(parse("-help").action, Action::Help);
    assert!(parse("-v").show_version);
}

#[test]
fn response_files_are_split_as_gnu_does() {
    assert_eq!(
        split(r#" a "b c" 'd "e' f\ g "h\"i" ''  x"y"z "#),
        ["a", "b c", "d \"e", "f g", "h\"i", "", "xyz"]
    );
    assert_eq!(split("a\n\tb\\"), ["a", "b"]);
    let files: MemoryFiles = [
        ("one", "-shared @two \"c d.o\"".as_bytes()),
        ("two", b"a.o @absent"),
        ("loop", b"@loop"),
        ("twice", b"@twice @twice"),
        ("bytes", b"\xff"),
    ]
    .into_iter()
    .collect();
    let options = with(&files, "@one b.o").unwrap();
    let names: Vec<_> = options.inputs.iter().map(|input| input.what.clone()).collect();
    assert_eq!(names, ["a.o", "@absent", "c d.o", "b.o"].map(|n| Named::Path(n.into())));
    for name in ["loop", "twice", "bytes"] {
        let errors = with(&files, &format!("@{name}")).unwrap_err();
        assert_eq!(errors.first().kind(), ErrorKind::BadScript, "{name}");
    }
}

#[test]
fn scripts_are_read() {
    let files: MemoryFiles = [
        ("v1", "V1 { global: a; local: *; };".as_bytes()),
        ("v2", b"V2 { b; };"),
        ("list", b"{ foo; bar*; };"),
        ("bad", b"{ foo"),
    ]
    .into_iter()
    .collect();
    let options =
        with(&files, "--version-script v1 --version-script=v2 --dynamic-list list a.o").unwrap();
    assert_eq!(options.version_script.unwrap().nodes.len(), 2);
    assert_eq!(
        options.dynamic_list,
        Some(vec![Pattern::exact("foo"), Pattern::glob("bar*").unwrap()])
    );
    let kind = |line: &str| with(&files, line).unwrap_err().first().kind();
    assert_eq!(kind("--version-script v1 --version-script v1 a.o"), ErrorKind::BadScript);
    assert_eq!(kind("--dynamic-list bad a.o"), ErrorKind::BadScript);
    assert_eq!(kind("--version-script absent a.o"), ErrorKind::MissingFile);
}

/// Files that can be read once: pipes.
struct Pipes(MemoryFiles, std::sync::Mutex<Vec<std::path::PathBuf>>);

impl Files for Pipes {
    fn open(&self, path: &Path) -> std::io::Result<crate::Data> {
        let mut read = self.1.lock().unwrap();
        if read.iter().any(|known| known == path) {
            return Ok(Vec::new().into());
        }
        read.push(path.to_owned());
        self.0.open(path)
    }
}

#[test]
fn a_mode_reads_no_file_twice() {
    let text = "V1 { global: a; local: *; };".as_bytes();
    let pipes = Pipes([("v", text)].into_iter().collect(), std::sync::Mutex::default());
    let line = "--version-script v --buildmode=c-shared a.o";
    let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let options = Options::parse(&args, &pipes).unwrap();
    assert_eq!(options.version_script.unwrap().nodes.len(), 1);
}

#[test]
fn what_an_object_cannot_have_is_refused() {
    for flag in ["-d", "--retain-symbols-file=list"] {
        let args: Vec<String> = ["-r", flag, "a.o"].map(String::from).to_vec();
        let files: MemoryFiles = [("list", "a".as_bytes())].into_iter().collect();
        let error = Options::parse(&args, &files).unwrap_err();
        assert!(error.to_string().contains("may not be used together"), "{flag}: {error}");
    }
    assert!(fails("-r --gc-sections a.o").1.contains("needs a root"));
    for root in ["-e f", "-u f", "--require-defined=f", "--gc-keep-exported"] {
        assert!(parse(&format!("-r --gc-sections {root} a.o")).gc_sections);
    }
}
