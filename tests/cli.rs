//! The command as people and scripts call it: exit codes, summary lines, links made by `prefix`.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn scold(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_scold")).args(args).output().expect("scold runs")
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn wrong_usage_is_2_and_a_missing_linker_is_3() {
    for args in [
        &["hunt", "--engine", "nonsense"][..],
        &["hunt", "--linkers", "nonsense"],
        &["hunt", "--linker", "x"],
        &["hunt", "--linker", "=/bin/true"],
        &["hunt", "--linker", "reference=/bin/true"],
        &["hunt", "--linkers", ""],
        &["hunt", "--mode", "static"],
        &["hunt", "--target", "vax-elf"],
        &["hunt", "--format", "coff"],
        &["hunt", "--target", "amd64-elf", "--format", "macho"],
        &["hunt", "--jobs", "0"],
        &["hunt", "--jobs", "100000000"],
        &["hunt", "--link-limit", "0"],
        &["hunt", "--time", "0"],
        &["show", "/dev/zero"],
        &["hunt", "--seed", "-1"],
        &["diff", "--linkers", "reference"],
        &["diff", "--linkers", "reference", "--", "/nonexistent.o"],
        &["diff", "--linkers", "reference", "--", "-shared"],
        &["diff", "--linkers", "reference", "--", "--buildmode=plugin"],
        &["diff", "--linkers", "reference", "--", "-shared", "-lm", "--no-such-option"],
        &["diff", "--linkers", "reference", "--", "@/nonexistent.rsp"],
        &["replay", "/nonexistent/case"],
        &["show"],
        &["explain", "bogus"],
        &["explain", "plugin", "windows/amd64"],
        &["nonsense"],
    ] {
        let output = scold(args);
        assert_eq!(code(&output), 2, "{args:?}: {}", err(&output));
        assert!(err(&output).contains("error"), "{args:?}");
    }
    for args in [
        &["hunt", "--linkers", "gold-77"][..],
        &["hunt", "--linker", "mine=/nonexistent"],
        &["hunt", "--linkers", "reference", "--out", "/dev/null/findings"],
    ] {
        let output = scold(args);
        assert_eq!(code(&output), 3, "{args:?}: {}", err(&output));
        assert_eq!(out(&output), "", "{args:?}: it must not hunt first");
    }
}

/// What no linker can find is no agreement of theirs.
#[test]
fn a_link_that_nobody_makes_is_said_to_be_none() {
    let args = ["diff", "--linkers", "reference", "--", "-shared", "-lscold-has-none"];
    for more in [&[][..], &["--json"]] {
        let output = scold(&[&args[..1], more, &args[1..]].concat());
        assert_eq!(code(&output), 3, "{}", err(&output));
        assert!(
            err(&output).contains("no linker linked anything; reference: "),
            "{}",
            err(&output)
        );
    }
}

/// A case of each format, as assembler text with the command that assembles it.
#[test]
fn a_format_picks_among_targets() {
    for (format, target, assembler) in [
        ("elf", "amd64-elf", "as -o"),
        ("macho", "amd64-macho", "clang --target=x86_64-apple-macos11"),
    ] {
        let plan = ["--engine", "matrix", "--seed", "1", "--number", "0", "--format", format];
        let text = scold(&[&["show"], &plan[..]].concat());
        assert_eq!(code(&text), 0, "{}", err(&text));
        assert!(out(&text).starts_with(&format!("case {target} ")), "{}", out(&text));
        let text = scold(&[&["show", "--as", "asm"], &plan[..]].concat());
        assert!(out(&text).contains(assembler), "{}", out(&text));
    }
}

#[test]
fn every_subcommand_has_help_with_an_example() {
    for name in [
        "hunt",
        "diff",
        "link",
        "reduce",
        "replay",
        "show",
        "doctor",
        "selftest",
        "prefix",
        "completions",
    ] {
        let output = scold(&[name, "--help"]);
        assert_eq!(code(&output), 0);
        assert!(out(&output).contains("scold "), "{name}");
        assert!(out(&output).contains("Example"), "{name} has no example");
    }
}

#[test]
fn the_selftest_names_who_saw_each_rule_broken() {
    let flags = ["--linkers", "reference", "--cases", "0", "--bits", "0", "--json"];
    let output = scold(&[&["selftest"], &flags[..]].concat());
    assert_eq!(code(&output), 0, "{}", err(&output));
    let all: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
    let rows = all["rules"].as_array().unwrap();
    for target in ["amd64-elf", "arm64-elf", "arm-elf", "amd64-macho", "arm64-macho"] {
        let own: Vec<_> = rows.iter().filter(|row| row["target"] == target).collect();
        assert!(own.len() >= 20, "{target}: {own:?}");
        for row in own {
            let seen = row["caught_by"].as_array().unwrap();
            assert!(!seen.is_empty() && row["fault"].is_string(), "{row}");
        }
    }
}

#[test]
fn completions_are_scripts() {
    for shell in ["bash", "zsh", "fish"] {
        let output = scold(&["completions", shell]);
        assert!(code(&output) == 0 && out(&output).contains("hunt"), "{shell}");
    }
}

#[test]
fn doctor_lists_the_reference() {
    let output = scold(&["doctor", "--json"]);
    let rows: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let rows = rows.as_array().expect("an array");
    assert!(rows.iter().any(|row| row["name"] == "reference"));
    assert!(rows.iter().any(|row| row["kind"] == "assembler"));
}

/// The last line of a hunt, as JSON.
fn summary(output: &Output) -> serde_json::Value {
    let text = out(output);
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {text}{}", err(output)))
}

/// A hunt of 60 cases with a linker that fails every one of them, beside the reference and GNU ld.
fn hunt(dir: &Path, jobs: &str) -> Output {
    let dir = dir.display().to_string();
    let linkers = ["--linkers", "reference,gnu_ld", "--linker", "broken=/bin/true"];
    // GNU ld, and what is called as it is, link ELF.
    let bounds = ["--seed", "5", "--cases", "60", "--format", "elf"];
    let plan = [&bounds[..], &["--jobs", jobs, "--no-reduce"]].concat();
    let how = ["--json", "--quiet", "--out", &dir];
    scold(&[&["hunt"], &linkers[..], &plan, &how].concat())
}

/// Names and texts of the findings in `dir`, in order.
fn cases(dir: &Path) -> Vec<(String, String)> {
    let mut list: Vec<_> = std::fs::read_dir(dir)
        .expect("findings")
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path.join("case")).expect("a case"))
        })
        .collect();
    list.sort();
    list
}

#[test]
fn a_hunt_is_a_function_of_its_seed() {
    let dirs = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let [one, two] = [(0, "1"), (1, "3")].map(|(dir, jobs)| hunt(dirs[dir].path(), jobs));
    let text = out(&one);
    let last = text.lines().last().unwrap_or_default();
    let mut at = 0;
    for key in ["cases", "links", "seconds", "verdicts", "findings"] {
        let found = last.find(&format!("\"{key}\":")).unwrap_or_else(|| panic!("{key}: {text}"));
        assert!(found > at, "{key} is not in its place: {last}");
        at = found;
    }
    let (mut one, mut two) = (summary(&one), summary(&two));
    assert_eq!(one["cases"], 60);
    assert_eq!(one["links"], 180);
    for verdict in ["agree", "divergent", "poisoned", "refused", "crashed", "hung", "open"] {
        assert!(one["verdicts"]["reference"][verdict].is_u64(), "{last}");
    }
    assert_eq!(one["verdicts"]["broken"]["crashed"], 60);
    let findings = one["findings"].as_array().expect("findings");
    let broken = findings.iter().find(|f| f["linkers"] == serde_json::json!(["broken"]));
    assert_eq!(broken.expect("a finding")["class"], "crash", "{last}");
    for finding in findings {
        let path = Path::new(finding["path"].as_str().expect("a path"));
        assert!(path.join("case").is_file() && path.join("report.md").is_file());
        assert!(finding["signature"].is_string(), "{last}");
    }
    assert_eq!(cases(dirs[0].path()), cases(dirs[1].path()));
    for (summary, dir) in [(&mut one, &dirs[0]), (&mut two, &dirs[1])] {
        summary["seconds"] = 0.into();
        let text = summary.to_string().replace(&dir.path().display().to_string(), "");
        *summary = serde_json::from_str(&text).expect("JSON");
    }
    assert_eq!(one, two);
}

/// Ctrl-C, and what `timeout` sends, end a hunt as its own bounds do.
#[test]
fn a_hunt_that_is_stopped_keeps_what_it_found() {
    for signal in ["INT", "TERM"] {
        let dir = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_scold"));
        command.args(["hunt", "--linkers", "reference", "--linker", "broken=/bin/true"]);
        command.args(["--json", "--quiet", "--out"]).arg(dir.path());
        let mut child = command.stdout(Stdio::piped()).spawn().expect("scold starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let first = lines.next().expect("a line").expect("text");
        assert!(first.contains("\"found\":"), "{first}");
        let kill = format!("kill -{signal} {}", child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("sh runs").success());
        let last = lines.last().expect("a line").expect("text");
        let last: serde_json::Value = serde_json::from_str(&last).expect("the summary");
        assert_eq!(child.wait().expect("it ends").code(), Some(1), "{signal}");
        let findings = last["findings"].as_array().expect("findings");
        assert_eq!(findings.len(), cases(dir.path()).len(), "{signal}");
        assert!(!findings.is_empty(), "{signal}");
    }
}

#[test]
fn a_clean_hunt_exits_0_and_leaves_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let findings = dir.path().join("a/b");
    let path = findings.display().to_string();
    let args = ["hunt", "--linkers", "reference", "--seed", "5", "--cases", "20", "--out", &path];
    let output = scold(&args);
    assert_eq!(code(&output), 0, "{}{}", out(&output), err(&output));
    assert!(!dir.path().join("a").exists(), "an empty folder is left");
}

/// A function that calls the other file's.
const CALLS: [(&str, &str); 2] = [
    ("a", "int g(void); int f(void) { return g(); }"),
    ("b", "static int x = 3; int g(void) { return x; }"),
];

/// Variables of one name, each its file's own.
const COUNTERS: [(&str, &str); 2] = [
    ("c", "static int n; int c(void) { return n += 0x12345671; }"),
    ("d", "static int n; int d(void) { return n += 0x12345672; }"),
];

/// Objects of two C files.
fn objects(dir: &Path, sources: [(&str, &str); 2]) -> [String; 2] {
    sources.map(|(name, text)| {
        let (source, object) = (dir.join(format!("{name}.c")), dir.join(format!("{name}.o")));
        std::fs::write(&source, text).expect("a source");
        let mut gcc = Command::new("gcc");
        gcc.args(["-O1", "-fPIC", "-c", "-o"]).arg(&object).arg(source);
        assert!(gcc.status().expect("gcc runs").success());
        object.display().to_string()
    })
}

#[test]
fn diff_judges_real_objects() {
    let dir = tempfile::tempdir().expect("a folder");
    let [a, b] = objects(dir.path(), CALLS);
    let diff = |linkers: &[&str], args: &[&str]| {
        let output = scold(&[&["diff", "--json"], linkers, &["--", "-shared"], args].concat());
        let json: serde_json::Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", err(&output)));
        (code(&output), json)
    };
    let two = ["--linkers", "reference,gnu_ld"];
    let (done, json) = diff(&two, &[&a, &b]);
    assert_eq!(json["verdicts"], serde_json::json!({"reference": "agree", "gnu_ld": "agree"}));
    assert_eq!((done, &json["findings"]), (0, &serde_json::json!([])));
    let (done, json) = diff(&two, &["-z", "defs", &a]);
    assert_eq!(json["verdicts"], serde_json::json!({"reference": "refused", "gnu_ld": "refused"}));
    assert_eq!(done, 0, "{json}");
    // A script that names others by their paths, found by a search: the same for everybody.
    let (done, json) = diff(&two, &["-z", "defs", &a, &b, "-lc"]);
    assert_eq!(json["verdicts"], serde_json::json!({"reference": "agree", "gnu_ld": "agree"}));
    assert_eq!(done, 0, "{json}");
    // Nothing tells where a stripped output has what two files call alike: that is said, and accuses nobody.
    let counters = objects(dir.path(), COUNTERS);
    let (done, json) = diff(&two, &["-s", &counters[0], &counters[1]]);
    assert_eq!((done, &json["findings"]), (0, &serde_json::json!([])));
    let open = json["not_judged"].as_array().expect("what is not judged");
    let about = |linker: &str| open.iter().any(|one| one["linker"] == linker);
    assert!(about("reference") && about("gnu_ld"), "{json}");
    // One linker doesn't do what the others do.
    let (done, json) = diff(&[&two[..], &["--linker", "broken=/bin/true"]].concat(), &[&a, &b]);
    assert_eq!((done, &json["verdicts"]["broken"]), (1, &"crashed".into()), "{json}");
}

#[test]
fn another_linker_is_named_by_a_relative_path() {
    let dir = tempfile::tempdir().expect("a folder");
    std::os::unix::fs::symlink("/usr/bin/ld", dir.path().join("ld")).expect("a link");
    let mut hunt = Command::new(env!("CARGO_BIN_EXE_scold"));
    hunt.args(["hunt", "--linkers", "mine,reference", "--linker", "mine=./ld", "--cases", "2"]);
    let output = hunt.args(["--json", "--quiet"]).current_dir(dir.path()).output().expect("scold");
    assert!([0, 1].contains(&code(&output)), "{}", err(&output));
    assert!(summary(&output)["verdicts"]["mine"].is_object(), "{}", out(&output));
}

#[test]
fn prefix_makes_links_that_are_the_linker() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bin");
    let output = scold(&["prefix", &path.display().to_string()]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let version = Command::new(path.join("ld")).arg("--version").output().expect("ld runs");
    assert!(version.status.success() && out(&version).contains("scold"), "{}", out(&version));
    let macho = ["-arch", "arm64", "--help"];
    let apple = Command::new(path.join("ld64.scold")).args(macho).output().expect("ld64 runs");
    assert!(apple.status.success() && out(&apple).contains("Mach-O"), "{}", out(&apple));
    let unknown = Command::new(path.join("ld.scold")).arg("--nonsense").output().expect("ld runs");
    assert_eq!(code(&unknown), 1);
    assert!(err(&unknown).contains("unrecognized option"), "{}", err(&unknown));
}

#[test]
fn link_is_the_linker_too() {
    let output = scold(&["link", "-o", "/dev/null", "/nonexistent.o"]);
    assert_eq!(code(&output), 1);
    assert!(err(&output).contains("/nonexistent.o"), "{}", err(&output));
}

/// Runs `args` for a reader that has gone before the first line.
fn unread(program: &Path, args: &[&str]) -> Output {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    Command::new(program).args(args).stdout(writer).output().expect("it runs")
}

#[test]
fn a_reader_that_has_gone_is_no_panic() {
    let scold = Path::new(env!("CARGO_BIN_EXE_scold"));
    let seed = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/seeds/amd64-elf");
    let seed = std::fs::read_dir(seed).unwrap().map(|e| e.unwrap().path()).min().unwrap();
    let seed = seed.display().to_string();
    for args in [
        &["doctor", "--json"][..],
        &["replay", "--linkers", "reference", &seed],
        &["show", &seed],
        &["hunt", "--linkers", "reference", "--cases", "2", "--json", "--no-reduce", "--quiet"],
    ] {
        let output = unread(scold, args);
        assert_eq!(code(&output), 141, "{args:?}: {}", err(&output));
        assert!(!err(&output).contains("panicked"), "{args:?}: {}", err(&output));
    }
    for args in [&["completions", "bash"][..], &["link", "--help"], &["--help"]] {
        let output = unread(scold, args);
        assert!(!err(&output).contains("panicked"), "{args:?}: {}", err(&output));
    }
}

#[test]
fn a_mode_is_explained_from_the_tables_of_links() {
    let output = scold(&["explain", "c-shared", "amd64-elf"]);
    let text = out(&output);
    for part in [
        "c-shared on linux/amd64",
        "-Bsymbolic",
        "_rt0_amd64_linux_lib",
        "48 8d 3d",
        "R_X86_64_PLT32",
    ] {
        assert!(text.contains(part), "{part} in:\n{text}");
    }
    for target in ["android/arm", "android/arm64", "arm-elf", "arm64-elf", "darwin/arm64"] {
        let output = scold(&["explain", "plugin", target]);
        assert_eq!(code(&output), 0, "{target}: {}", err(&output));
    }
    for (target, flags) in
        [("arm64-elf", "flags     -shared\n"), ("arm64-macho", "flags     -bundle\n")]
    {
        let plain = scold(&["explain", "shared", target]);
        assert!(code(&plain) == 0 && out(&plain).contains(flags), "{plain:?}");
    }
    let refused = scold(&["explain", "shared", "windows/amd64"]);
    assert!(err(&refused).contains("buildmode shared not supported on windows/amd64"));
    let refused = scold(&["explain", "plugin", "windows/amd64"]);
    assert!(err(&refused).contains("buildmode plugin not supported on windows/amd64"));
}
