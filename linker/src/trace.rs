//! `--trace-symbol`: the resolved link → who defines and who mentions a name. Changes nothing.

use crate::object::{Home, kind};
use crate::resolve::{File, Resolution};
use crate::synthetic::plan::base_name;

/// One line per file that mentions one of `names`, in input order.
pub fn symbols(res: &Resolution<'_>, names: &[String]) -> Vec<String> {
    let mut lines = Vec::new();
    if names.is_empty() {
        return lines;
    }
    let asked = |name: &[u8]| names.iter().find(|n| n.as_bytes() == name);
    for file in &res.files {
        match file {
            File::Object(object) => {
                for index in object.first_global..object.symbols.len() {
                    let Some(name) = asked(base_name(object.symbol_name(index))) else {
                        continue;
                    };
                    let symbol = object.symbols.get(index);
                    let what = match symbol.home {
                        Home::Undefined => "reference to",
                        Home::Common => "common definition of",
                        _ if symbol.kind == kind::COMMON => "common definition of",
                        _ => "definition of",
                    };
                    lines.push(format!("{}: {what} {name}", object.name));
                }
            }
            File::Shared(library) => {
                let defined = library.defined.iter().filter_map(|s| asked(s.name));
                lines
                    .extend(defined.map(|n| format!("{}: shared definition of {n}", library.name)));
            }
            _ => {}
        }
    }
    lines
}
