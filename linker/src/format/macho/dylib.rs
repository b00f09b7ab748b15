//! Dynamic libraries: bytes → what links need to know of them. Must not know of links.

use super::read::{File, Read, bad};
use super::stub::{Export, Library};
use super::{filetype, lc, nlist, trie};

/// Reads the library that `file` is.
pub fn library(file: &File<'_>) -> Read<Library> {
    let mut out = Library::default();
    for command in &file.commands {
        match command.cmd {
            lc::ID_DYLIB => {
                out.install_name = command.string(8)?.to_vec();
                out.current = command.bytes.u32(16)?;
                out.compatibility = command.bytes.u32(20)?;
            }
            lc::REEXPORT_DYLIB => out.reexports.push(command.string(8)?.to_vec()),
            lc::LOAD_DYLIB | lc::LOAD_WEAK_DYLIB | lc::LOAD_UPWARD_DYLIB => {
                out.loads.push(command.string(8)?.to_vec());
            }
            lc::SUB_CLIENT => out.restricted = true,
            lc::RPATH => out.rpaths.push(command.string(8)?.to_vec()),
            _ => {}
        }
    }
    // A program serves as -bundle_loader: it has no name of its own.
    if out.install_name.is_empty() && file.header.filetype != filetype::EXECUTE {
        return bad(0, "a dynamic library without LC_ID_DYLIB");
    }
    let trie = match file.command(&[lc::EXPORTS_TRIE]) {
        Some(command) => Some(file.blob(command, 8)?),
        None => match file.command(&[lc::DYLD_INFO, lc::DYLD_INFO_ONLY]) {
            Some(command) => Some(file.blob(command, 40)?),
            None => None,
        },
    };
    let exports = &mut out.exports;
    if let Some(trie) = trie {
        trie::walk(trie, &mut |name, flags| {
            let (weak, thread_local) = (flags & trie::WEAK != 0, flags & 3 == 1);
            exports.push(Export { name, weak, thread_local });
        })?;
    } else {
        for symbol in file.symbols()? {
            let defined = symbol.kind & nlist::TYPE != nlist::UNDF;
            let hidden = symbol.kind & (nlist::STAB | nlist::PEXT) != 0;
            if symbol.kind & nlist::EXT != 0 && defined && !hidden {
                let weak = symbol.desc & nlist::WEAK_DEF != 0;
                exports.push(Export { name: symbol.name.to_vec(), weak, thread_local: false });
            }
        }
    }
    Ok(out)
}
