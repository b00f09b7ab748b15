//! No flag may be accepted and then mean nothing: every field of the options is read by a phase.

use std::fs;
use std::path::Path;

/// Fields only the parser itself looks at: `-d` is refused with `-r`, and elsewhere commons always
/// get room.
const PARSER_ONLY: &[&str] = &["define_common"];

fn sources(dir: &Path, text: &mut String) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "options" {
                sources(&path, text);
            }
        } else if name.ends_with(".rs") && !name.contains("tests") && name != "options.rs" {
            *text += &fs::read_to_string(&path).unwrap();
        }
    }
}

fn fields(file: &Path, of: &str) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let start = text.find(&format!("pub struct {of} {{")).expect("the struct");
    let body = &text[start..start + text[start..].find("\n}").expect("its end")];
    let names = body.lines().filter_map(|l| l.strip_prefix("    pub ")?.split_once(':'));
    names.map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn every_option_has_an_effect() {
    let linker = Path::new(env!("CARGO_MANIFEST_DIR")).join("linker/src");
    let mut text = String::new();
    sources(&linker, &mut text);
    let mut list = fields(&linker.join("options.rs"), "Options");
    list.extend(fields(&linker.join("options/zkeyword.rs"), "Z"));
    assert!(list.len() > 80, "the structs are gone: {}", list.len());
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let read = |name: &str| {
        text.match_indices(&format!(".{name}"))
            .any(|(at, m)| !text[at + m.len()..].starts_with(word))
    };
    let unused: Vec<_> =
        list.iter().filter(|f| !read(f) && !PARSER_ONLY.contains(&f.as_str())).collect();
    assert!(unused.is_empty(), "parsed, and nothing looks at it: {unused:?}");
}
