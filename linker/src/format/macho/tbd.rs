//! Text stubs: `.tbd` version 4 (YAML) and 5 (JSON) → what links need to know of a library, for one
//! machine. Targets nobody knows are skipped; what is there for arm64e serves arm64. Must not know
//! of links.

use serde_json::Value;

use super::stub::{Export, Library, version};
use super::yaml::{self, Node};

/// Whether `bytes` may be a text stub.
pub fn is_stub(bytes: &[u8]) -> bool {
    let text = bytes.trim_ascii_start();
    // Keys are sorted: libraries of any size may stand before what every stub has.
    let has = |what: &[u8]| memchr::memmem::find(text, what).is_some();
    text.starts_with(b"--- !tapi-tbd") || (text.starts_with(b"{") && has(b"\"main_library\""))
}

/// Reads a stub for `arch` (`x86_64`, `arm64`); none if it is for other machines. Errors are for people.
pub fn library(text: &str, arch: &str) -> Result<Option<Library>, String> {
    if text.trim_start().starts_with('{') {
        let json: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let mut main = json_library(&json["main_library"], arch)?;
        let all = array(&json, "libraries")?.iter().map(|library| json_library(library, arch));
        main.inline = all.collect::<Result<_, _>>()?;
        let targets = array(&json["main_library"], "target_info")?.iter();
        let targets = targets.filter_map(|info| info["target"].as_str());
        return checked(main, targets, arch);
    }
    let documents =
        yaml::parse(text).map_err(|(line, text)| format!("line {line} of the stub: {text}"))?;
    let version = documents.first().and_then(|first| first.get("tbd-version"));
    if version.map(Node::text) != Some("4") {
        return Err("a stub of a version other than 4 and 5".to_owned());
    }
    let mut all = documents.iter().map(|document| yaml_library(document, arch));
    let mut main = all.next().transpose()?.unwrap_or_default();
    main.inline = all.collect::<Result<_, _>>()?;
    let targets = documents.first().map_or(Ok(&[][..]), |first| list(first, "targets"))?;
    checked(main, targets.iter().map(Node::text), arch)
}

/// `main`, whose stub is for `targets`: for all, if it doesn't say.
fn checked<'t>(
    main: Library,
    targets: impl Iterator<Item = &'t str>,
    arch: &str,
) -> Result<Option<Library>, String> {
    let targets: Vec<&str> = targets.collect();
    if !targets.is_empty() && !targets.iter().any(|target| serves(target, arch)) {
        return match targets.iter().find(|target| is_machine(target, arch)) {
            Some(other) => Err(format!("is for {other}, the link for {arch}-macos")),
            None => Ok(None),
        };
    }
    match main.install_name.is_empty() {
        true => Err("a stub without an install name".to_owned()),
        false => Ok(Some(main)),
    }
}

/// Whether what is there for `target` serves `arch` on macOS.
fn serves(target: &str, arch: &str) -> bool {
    is_machine(target, arch) && target.ends_with("-macos")
}

/// Whether `target` is for the machine `arch`, whatever the system.
fn is_machine(target: &str, arch: &str) -> bool {
    let machine = target.split('-').next().unwrap_or(target);
    machine == arch || (arch == "arm64" && machine == "arm64e")
}

impl Library {
    fn export(&mut self, prefix: &str, name: &str, weak: bool, thread_local: bool) {
        let name = [prefix.as_bytes(), name.as_bytes()].concat();
        self.exports.push(Export { name, weak, thread_local });
    }

    /// The names of `list`, which the stub calls `kind`.
    fn add<'a>(&mut self, kind: &str, list: impl Iterator<Item = &'a str>) {
        for name in list {
            match kind {
                "objc-classes" | "objc_class" => {
                    self.export("_OBJC_CLASS_$_", name, false, false);
                    self.export("_OBJC_METACLASS_$_", name, false, false);
                }
                "objc-eh-types" | "objc_eh_type" => {
                    self.export("_OBJC_EHTYPE_$_", name, false, false);
                }
                "objc-ivars" | "objc_ivar" => self.export("_OBJC_IVAR_$_", name, false, false),
                "symbols" | "global" => self.export("", name, false, false),
                "weak-symbols" | "weak" => self.export("", name, true, false),
                "thread-local-symbols" | "thread_local" => self.export("", name, false, true),
                _ => {}
            }
        }
    }
}

/// The list that `of` has as `key`; nothing if it has none.
fn list<'n>(of: &'n Node, key: &str) -> Result<&'n [Node], String> {
    match of.get(key) {
        Some(Node::List(list)) => Ok(list),
        Some(Node::Text(text)) if text.is_empty() => Ok(&[]),
        Some(_) => Err(format!("a stub whose {key} is no list")),
        None => Ok(&[]),
    }
}

/// The version `text`, called `key`; 1.0 if there is none.
fn number(key: &str, text: &str) -> Result<u32, String> {
    match text {
        "" => Ok(1 << 16),
        text => version(text).ok_or_else(|| format!("a stub whose {key} is no version: {text}")),
    }
}

fn yaml_library(document: &Node, arch: &str) -> Result<Library, String> {
    let text = |key| document.get(key).map_or("", Node::text);
    let mut out = Library {
        install_name: text("install-name").as_bytes().to_vec(),
        current: number("current-version", text("current-version"))?,
        compatibility: number("compatibility-version", text("compatibility-version"))?,
        ..Library::default()
    };
    let groups = |key| {
        let mut mine = Vec::new();
        for group in list(document, key)? {
            let targets = list(group, "targets")?;
            if targets.iter().any(|target| serves(target.text(), arch)) {
                mine.push(group);
            }
        }
        Ok::<_, String>(mine)
    };
    for group in groups("exports")?.into_iter().chain(groups("reexports")?) {
        let Node::Map(map) = group else { continue };
        for (kind, _) in map {
            out.add(kind, list(group, kind)?.iter().map(Node::text));
        }
    }
    out.restricted = !groups("allowable-clients")?.is_empty();
    for group in groups("reexported-libraries")? {
        let names = list(group, "libraries")?.iter().map(|name| name.text().as_bytes().to_vec());
        out.reexports.extend(names);
    }
    Ok(out)
}

/// The same of JSON.
fn array<'v>(of: &'v Value, key: &str) -> Result<&'v [Value], String> {
    match &of[key] {
        Value::Array(list) => Ok(list),
        Value::Null => Ok(&[]),
        _ => Err(format!("a stub whose {key} is no list")),
    }
}

fn json_library(library: &Value, arch: &str) -> Result<Library, String> {
    // Everything that may differ by target is a list of objects; one without targets is for all.
    let groups = |key| {
        let mut mine = Vec::new();
        for group in array(library, key)? {
            let targets = array(group, "targets")?;
            let serves = |target: &Value| target.as_str().is_some_and(|t| serves(t, arch));
            if group["targets"].is_null() || targets.iter().any(serves) {
                mine.push(group);
            }
        }
        Ok::<_, String>(mine)
    };
    let one = |list, key: &str| {
        let text = groups(list)?.first().and_then(|entry| entry[key].as_str());
        Ok::<_, String>(text.unwrap_or_default())
    };
    let mut out = Library {
        install_name: one("install_names", "name")?.as_bytes().to_vec(),
        current: number("current_versions", one("current_versions", "version")?)?,
        compatibility: number("compatibility_versions", one("compatibility_versions", "version")?)?,
        ..Library::default()
    };
    for group in groups("exported_symbols")?.into_iter().chain(groups("reexported_symbols")?) {
        for place in ["data", "text"] {
            let Some(kinds) = group[place].as_object() else { continue };
            for kind in kinds.keys() {
                out.add(kind, array(&group[place], kind)?.iter().filter_map(Value::as_str));
            }
        }
    }
    out.restricted = !groups("allowable_clients")?.is_empty();
    for group in groups("reexported_libraries")? {
        let names = array(group, "names")?.iter().filter_map(Value::as_str);
        out.reexports.extend(names.map(|name| name.as_bytes().to_vec()));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: &str = "--- !tapi-tbd\ntbd-version: 4\ntargets: [ arm64e-macos, mars-rover ]\n\
        install-name: '/usr/lib/libx.dylib'\ncurrent-version: 3.2\nexports:\n  - targets: [ \
        x86_64-macos ]\n    symbols: [ _intel ]\n  - targets: [ arm64e-macos, mars-rover ]\n    \
        symbols: [ _f ]\n    weak-symbols: [ _w ]\n    objc-classes: [ C ]\n";
    const V5: &str = r#"{"tapi_tbd_version": 5, "main_library": {
        "target_info": [{"target": "arm64-macos"}], "install_names": [{"name": "/l"}],
        "exported_symbols": [{"text": {"global": ["_f"], "weak": ["_w"]},
                              "data": {"thread_local": ["_t"]}}]}}"#;

    fn names(text: &str, arch: &str) -> Vec<String> {
        let library = library(text, arch).unwrap().unwrap();
        library.exports.iter().map(|e| String::from_utf8_lossy(&e.name).into_owned()).collect()
    }

    #[test]
    fn arm64e_serves_arm64_and_unknown_targets_are_skipped() {
        assert!(is_stub(V4.as_bytes()) && is_stub(V5.as_bytes()));
        let wanted = ["_f", "_w", "_OBJC_CLASS_$_C", "_OBJC_METACLASS_$_C"];
        assert_eq!(names(V4, "arm64"), wanted);
        assert_eq!(names(&V4.replace("mars-rover", "x86_64-macos"), "x86_64")[0], "_intel");
        assert_eq!(library(V4, "arm64").unwrap().unwrap().current, 0x3_0200);
    }

    #[test]
    fn version_5_is_json() {
        let mut all = names(V5, "arm64");
        all.sort();
        assert_eq!(all, ["_f", "_t", "_w"]);
        assert!(library("{\"main_library\": {}}", "arm64").is_err());
    }

    #[test]
    fn a_stub_for_other_targets_is_none() {
        let system = "is for arm64-ios, the link for arm64-macos".to_owned();
        for (arch, other, wanted) in
            [("x86_64", "arm64-macos", Ok(true)), ("arm64", "arm64-ios", Err(system))]
        {
            let none = |text: &str| library(text, arch).map(|library| library.is_none());
            assert_eq!(none(&V5.replace("arm64-macos", other)), wanted, "{other}");
            let targets = format!("targets: [ {other}, mars-rover ]\ninstall");
            let text = V4.replace("targets: [ arm64e-macos, mars-rover ]\ninstall", &targets);
            assert_eq!(none(&text), wanted, "{other}");
        }
        // Who doesn't say is for all.
        let silent = V5.replace("target_info", "other");
        assert!(library(&silent, "x86_64").unwrap().is_some());
    }

    #[test]
    fn bad_fields_are_errors() {
        for (text, good, bad, wanted) in [
            (V4, "3.2", "x.y", "a stub whose current-version is no version: x.y"),
            (V4, "[ _w ]", "_w", "a stub whose weak-symbols is no list"),
            (V4, "[ arm64e-macos, mars-rover ]\ninstall", "arm64-macos\ninstall", "targets"),
            (V5, "[\"_w\"]", "\"_w\"", "a stub whose weak is no list"),
            (
                V5,
                "\"install_names\"",
                "\"current_versions\": [{\"version\": \"1.256\"}], \
              \"install_names\"",
                "a stub whose current_versions is no version: 1.256",
            ),
            (V5, "[{\"target\": \"arm64-macos\"}]", "3", "a stub whose target_info is no list"),
        ] {
            assert!(text.contains(good), "{good}");
            let error = library(&text.replacen(good, bad, 1), "arm64").unwrap_err();
            assert!(error.contains(wanted), "{error}");
        }
    }

    /// As the tools write it: keys are sorted, so that what is inlined comes first.
    #[test]
    fn version_5_may_start_with_many_inlined_libraries() {
        let names: Vec<String> = (0..1000).map(|number| format!("\"_x{number}\"")).collect();
        let libraries = format!(
            r#"{{"libraries": [{{"target_info": [{{"target": "arm64-macos"}}],
            "install_names": [{{"name": "/in"}}],
            "exported_symbols": [{{"text": {{"global": [{}]}}}}]}}], "#,
            names.join(", ")
        );
        let text = V5.replacen('{', &libraries, 1);
        assert!(is_stub(text.as_bytes()), "{}", text.find("main_library").unwrap());
        let read = library(&text, "arm64").unwrap().unwrap();
        assert_eq!((read.install_name, read.inline.len()), (b"/l".to_vec(), 1));
        assert_eq!(read.inline[0].exports.len(), names.len());
        assert!(!is_stub(b"{\"library\": {}}"));
    }
}
