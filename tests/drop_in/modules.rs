//! Build modes at run time, without Go: a host with a runtime's list of modules, plugins that announce themselves
//! to it in every order, a library that starts its own runtime.

use std::path::{Path, PathBuf};

use super::platform::{ARM, ARM64, HOST, Platform};
use super::{command, compile, driver, program, run, scratch};

/// What `_rt0_…` calls it.
const MACHINES: [(&Platform, &str); 3] = [(&HOST, "amd64"), (&ARM64, "arm64"), (&ARM, "arm")];

/// The machines that programs can be built for and run on here.
fn machines() -> impl Iterator<Item = (&'static Platform, &'static str)> {
    // Other linkers know no modes; whose machine this is matters, too.
    let own = std::env::var_os("SCOLD_LD").is_none();
    let native = cfg!(target_arch = "x86_64");
    MACHINES.into_iter().filter(move |(platform, _)| {
        own && (native || platform.name != "host") && platform.ready("modules")
    })
}

struct World {
    platform: &'static Platform,
    dir: PathBuf,
}

impl World {
    fn new(platform: &'static Platform, test: &str) -> Self {
        Self { platform, dir: scratch(&platform.folder(test)) }
    }

    fn link(&self, name: &str, source: &str, flags: &[&str], link: &[&str]) -> PathBuf {
        // Section anchors: names are not all that leads to data.
        let flags = [&["-O2"], flags].concat();
        let object = compile(self.platform.gcc, &program(source), &flags);
        let out = self.dir.join(name);
        run(driver(self.platform.gcc).arg("-o").arg(&out).arg(object).args(link).arg("-ldl"));
        out
    }

    fn host(&self, mode: &str) -> PathBuf {
        let (flag, kind) = if mode == "pie" { ("-fPIE", "-pie") } else { ("-fno-pic", "-no-pie") };
        let asked = format!("-Wl,--buildmode={mode}");
        self.link("host", "module_host.c", &[flag], &[kind, "-rdynamic", &asked])
    }

    fn plugin(&self, number: u32, link: &[&str]) -> PathBuf {
        let name = format!("-DNAME=\"p{number}\"");
        let number_flag = format!("-DNUMBER={number}");
        let flags = ["-fPIC", &name, &number_flag];
        self.link(&format!("p{number}.so"), "module_plugin.c", &flags, link)
    }

    fn run(&self, host: &Path, args: &[&str]) -> String {
        run(self.platform.run(host).args(args).current_dir(&self.dir))
    }
}

const PLUGIN: &[&str] = &["-shared", "-Wl,--buildmode=plugin"];

const ORDERS: [[u32; 3]; 6] = [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]];

#[test]
fn modules_are_listed_once_in_the_order_of_loading() {
    for (platform, _) in machines() {
        let world = World::new(platform, "modules");
        for number in 1..=3 {
            world.plugin(number, PLUGIN);
        }
        for mode in ["pie", "exe"] {
            let host = world.host(mode);
            for order in ORDERS {
                let files = order.map(|number| format!("./p{number}.so"));
                let [a, b, c] = files.each_ref().map(String::as_str);
                let text = world.run(&host, &[a, b, c, "again"]);
                let first = order[0];
                let line = |at: usize, count: usize| {
                    let name = order[at % 3];
                    format!("p{name} type 1 count {count} inits 11 peer {first}\n")
                };
                let loads: String = (0..6).map(|at| line(at, at + 1)).collect();
                let [x, y, z] = order;
                let wanted = format!("host .\n{loads}host p{x} p{y} p{z} .\n");
                assert_eq!(text, wanted, "{} {mode} {order:?}", platform.name);
            }
        }
    }
}

/// The host's own announcement would be the only one to ask for the runtime: with it, there is none to make.
#[test]
fn a_runtime_out_of_an_archive_lists_modules_too() {
    for (platform, _) in machines() {
        let world = World::new(platform, "modules-archive");
        let object = compile(platform.gcc, &program("module_runtime.c"), &["-O2", "-fPIC"]);
        let archive = world.dir.join("librt.a");
        run(command("ar").arg("rcs").arg(&archive).arg(object));
        let archive = archive.to_str().expect("a path in UTF-8");
        for number in 1..=2 {
            world.plugin(number, PLUGIN);
        }
        for (flag, kind, mode) in [("-fPIE", "-pie", "pie"), ("-fno-pic", "-no-pie", "exe")] {
            let asked = format!("-Wl,--buildmode={mode}");
            let link = [kind, "-rdynamic", &asked, archive];
            let host = world.link("host", "module_host.c", &[flag, "-DAPART"], &link);
            let text = world.run(&host, &["./p2.so", "./p1.so"]);
            assert!(text.starts_with("host .\n"), "{} {mode}: {text}", platform.name);
            assert!(text.ends_with("\nhost p2 p1 .\n"), "{} {mode}: {text}", platform.name);
        }
    }
}

#[test]
fn a_library_starts_its_runtime_once_and_stays() {
    for (platform, goarch) in machines() {
        let world = World::new(platform, "modules-library");
        let entry = format!("-DENTRY=\"_rt0_{goarch}_linux_lib\"");
        let flags = ["-shared", "-Wl,--buildmode=c-shared"];
        world.link("lib.so", "module_library.c", &["-fPIC", &entry], &flags);
        let host = world.host("pie");
        let text = world.run(&host, &["c:./lib.so"]);
        let line = |bump| format!("starts 1 type 0 bump {bump} list library stays\n");
        let wanted = format!("host .\n{}{}host .\n", line(1), line(2));
        assert_eq!(text, wanted, "{}", platform.name);
    }
}

/// What goes wrong without each rule shows: the tests above could fail.
#[test]
fn mistakes_show() {
    for (platform, goarch) in machines() {
        let world = World::new(platform, "modules-mistakes");
        let host = world.host("pie");
        world.plugin(1, &["-shared"]);
        world.plugin(2, &["-shared", "-Wl,--buildmode=plugin", "-Wl,-Bsymbolic"]);
        let unlisted = world.run(&host, &["./p1.so"]);
        assert!(unlisted.ends_with("peer 1\nhost .\n"), "not announced: {unlisted}");
        let split = world.run(&host, &["./p2.so"]);
        assert!(split.contains("p2 type 0 "), "two copies of a type: {split}");
        let entry = format!("-DENTRY=\"_rt0_{goarch}_linux_lib\"");
        let source = "module_library.c";
        for (flags, wanted) in [
            (&["-shared", "-Wl,-Bsymbolic,-z,nodelete", "-Wl,--defsym=last=0"][..], "Segmentation"),
            (
                &["-shared", "-Wl,--buildmode=plugin", "-Wl,-Bsymbolic"],
                "starts 0 type 0 bump 1 list library gone",
            ),
        ] {
            world.link("lib.so", source, &["-fPIC", &entry], flags);
            if wanted == "Segmentation" {
                let ended = super::output(&mut {
                    let mut command = platform.run(&host);
                    command.arg("c:./lib.so").current_dir(&world.dir);
                    command
                });
                assert!(!ended.status.success(), "no head of the list, and nothing happened");
            } else {
                let text = world.run(&host, &["c:./lib.so"]);
                assert!(text.contains(wanted), "{text}");
            }
        }
    }
}
