//! `$ld$…` among a library's names, which say what it was on older systems → the library as it was there. Must not
//! know of links.
//!
//! Spec: ld64, `addSymbol` of a dynamic library's parser: `$ld$ACTION$CONDITION$NAME`, where CONDITION is the one
//! system that it is about (`os10.4`); `$ld$previous$PATH$VERSION$PLATFORM$START$END$NAME$` for those from START on
//! and before END, of one symbol or, without NAME, of the library.

use std::collections::BTreeSet;

use rustc_hash::{FxHashMap, FxHashSet};

use super::platform;
use super::stub::{Export, Library, version};

/// What all directives start with.
const MARK: &[u8] = b"$ld$";

impl Library {
    /// The library, and those in the same file, for programs whose oldest system is macOS `minos`. What is malformed
    /// or for others says nothing.
    pub fn as_of(&mut self, minos: u32) {
        self.inline.iter_mut().for_each(|library| library.as_of(minos));
        let is_remark = |export: &mut Export| export.name.starts_with(MARK);
        let remarks: Vec<Export> = self.exports.extract_if(.., is_remark).collect();
        let mut names = Names::default();
        for remark in &remarks {
            // Names are text, or no directives.
            if let Ok(text) = std::str::from_utf8(&remark.name[MARK.len()..]) {
                self.obey(text, minos, &mut names);
            }
        }
        self.exports.retain(|export| !names.gone.contains(&*export.name));
        self.exports.extend(names.come.into_iter().map(Export::named));
    }

    fn obey<'r>(&mut self, text: &'r str, minos: u32, names: &mut Names<'r>) -> Option<()> {
        let (action, rest) = text.split_once('$')?;
        if action == "previous" {
            return self.previous(rest, minos, names);
        }
        let (system, name) = rest.split_once('$')?;
        if system.strip_prefix("os")? != format!("{}.{}", minos >> 16, minos >> 8 & 0xff) {
            return None;
        }
        match action {
            "hide" => names.hide(name),
            "add" => _ = names.come.insert(name),
            "install_name" => self.install_name = name.into(),
            "compatibility_version" => self.compatibility = version(name)?,
            _ => {}
        }
        Some(())
    }

    fn previous<'r>(&mut self, text: &'r str, minos: u32, names: &mut Names<'r>) -> Option<()> {
        let mut parts = text.splitn(6, '$');
        let [path, old, system, start, end, name] = std::array::from_fn(|_| parts.next());
        let (path, then) = (path?, version(start?)?..version(end?)?);
        if system?.parse() != Ok(platform::MACOS) || !then.contains(&minos) {
            return None;
        }
        let compatibility = if old?.is_empty() { self.compatibility } else { version(old?)? };
        let name = name?.strip_suffix('$')?;
        if name.is_empty() {
            (self.install_name, self.compatibility) = (path.into(), compatibility);
            return Some(());
        }
        names.hide(name);
        let number = *names.previous.entry(path).or_insert_with(|| {
            let current = if old == Some("") { self.current } else { compatibility };
            let install_name = path.into();
            self.previous.push(Self { install_name, current, compatibility, ..Self::default() });
            self.previous.len() - 1
        });
        self.previous[number].exports.push(Export::named(name));
        Some(())
    }
}

/// What directives say of names, the last of each.
#[derive(Default)]
struct Names<'r> {
    gone: FxHashSet<&'r [u8]>,
    come: BTreeSet<&'r str>,
    /// The numbers of libraries that had some, by their paths.
    previous: FxHashMap<&'r str, usize>,
}

impl<'r> Names<'r> {
    fn hide(&mut self, name: &'r str) {
        self.gone.insert(name.as_bytes());
        self.come.remove(name);
    }
}

impl Export {
    fn named(name: &str) -> Self {
        Self { name: name.into(), weak: false, thread_local: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library(names: &[&str], minos: u32) -> Library {
        let exports = names.iter().copied().map(Export::named).collect();
        let install_name = b"/new".to_vec();
        let mut library = Library { install_name, compatibility: 7, exports, ..Library::default() };
        library.as_of(minos << 16);
        library
    }

    fn names(library: &Library) -> Vec<&str> {
        library.exports.iter().map(|it| std::str::from_utf8(&it.name).unwrap()).collect()
    }

    #[test]
    fn names_come_and_go_with_a_system() {
        let all = ["_f", "_g", "$ld$hide$os11.0$_f", "$ld$add$os11.0$_h$x", "$ld$add$os12.1$_i"];
        assert_eq!(names(&library(&all, 11)), ["_g", "_h$x"]);
        assert_eq!(names(&library(&all, 12)), ["_f", "_g"]);
        let moved = ["$ld$install_name$os11.0$/old", "$ld$compatibility_version$os11.0$2"];
        let library = library(&moved, 11);
        assert_eq!((&*library.install_name, library.compatibility), (&b"/old"[..], 2 << 16));
    }

    #[test]
    fn names_were_elsewhere_before() {
        let one = "$ld$previous$/old$1.2$1$10.0$14.0$_OBJC_CLASS_$_C$";
        let all = [one, "$ld$previous$/old$1.2$1$10.0$14.0$_b$", "_OBJC_CLASS_$_C", "_a", "_b"];
        let old = library(&all, 13);
        assert_eq!((names(&old), old.previous.len()), (vec!["_a"], 1));
        let previous = &old.previous[0];
        assert_eq!(names(previous), ["_OBJC_CLASS_$_C", "_b"]);
        assert_eq!((&*previous.install_name, previous.compatibility), (&b"/old"[..], 0x1_0200));
        for (other, minos) in [(one, 14), (one, 9), (&one.replace("$1$10", "$2$10"), 13)] {
            let library = library(&[other, "_OBJC_CLASS_$_C"], minos);
            assert!(library.previous.is_empty() && names(&library) == ["_OBJC_CLASS_$_C"]);
        }
        let whole = library(&["$ld$previous$/old$$1$10.0$14.0$$", "_a"], 13);
        assert_eq!((&*whole.install_name, whole.compatibility), (&b"/old"[..], 7));
    }

    #[test]
    fn what_says_nothing_does_nothing() {
        for text in ["$ld$", "$ld$hide", "$ld$hide$os$_f", "$ld$previous$$$$$$$", "$ld$x$os11.0$_f"]
        {
            let library = library(&[text, "_f"], 11);
            assert!(names(&library) == ["_f"] && &*library.install_name == b"/new", "{text}");
        }
    }
}
