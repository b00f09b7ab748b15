//! Compresses debug sections: each is written and relocated into memory of its own, then packed.
//!
//! Addresses are final before, file offsets only after. What does not get smaller stays as it is
//! and is written with everything else.

use rayon::prelude::*;

use super::{Parts, cut, run};
use crate::compress::{Method, compress};
use crate::error::Errors;
use crate::format::elf::{SHT_NOBITS, SHT_NOTE};
use crate::layout::OutSec;
use crate::link::Link;
use crate::options::CompressDebug;
use crate::relocate::Yield;

/// An output section and its packed bytes, if they got smaller.
type Packed = (usize, Result<Option<Vec<u8>>, Errors>);

/// Compresses the debug sections of the output as asked; file offsets must be assigned again.
///
/// Errors: those of relocating, all of them; `usage` if what is to be packed is out of proportion to
/// `inputs` bytes.
pub fn debug(link: &mut Link<'_>, inputs: u64) -> Result<(), Errors> {
    let method = match link.options.compress_debug {
        CompressDebug::None => return Ok(()),
        CompressDebug::Zlib => Method::Zlib,
        CompressDebug::Zstd => Method::Zstd,
    };
    crate::output::check_size(link.shape.size, inputs)?;
    let shared = &*link;
    let parts = Parts::new(shared);
    let packed: Vec<Packed> = (0..shared.outs.len())
        .into_par_iter()
        .filter(|&at| is_debug(&shared.outs[at]))
        .map(|at| {
            let out = &shared.outs[at];
            let pack =
                |plain: Vec<u8>| compress(&plain, method, out.align, shared.arch.word() as usize);
            (at, contents(shared, out, &parts).map(pack))
        })
        .collect();
    let mut errors = Vec::new();
    for (at, bytes) in packed {
        match bytes {
            Ok(Some(bytes)) => {
                let out = &mut link.outs[at];
                out.packed = Some(bytes);
                // The header's own alignment; that of the contents is inside.
                out.align = link.arch.word();
            }
            Ok(None) => {}
            Err(list) => errors.extend(list.iter().cloned()),
        }
    }
    Errors::collect(errors).map_or(Ok(()), Err)?;
    crate::layout::addresses::place_again(link);
    Ok(())
}

fn is_debug(out: &OutSec) -> bool {
    let kind = !matches!(out.kind, SHT_NOBITS | SHT_NOTE) && out.made.is_none();
    kind && !out.is_alloc() && out.size > 0 && out.name.starts_with(b".debug")
}

/// The section's final bytes.
fn contents(link: &Link<'_>, out: &OutSec, parts: &Parts) -> Result<Vec<u8>, Errors> {
    let mut bytes = vec![0; out.size as usize];
    let (mut tasks, mut merges) = (Vec::new(), Vec::new());
    cut(link, out, parts, &mut bytes, &mut tasks, &mut merges);
    merges.into_par_iter().for_each(|(part, buf): (usize, &mut [u8])| {
        link.merges[part].merged.write(buf);
    });
    let yields: Vec<Yield> = tasks.into_par_iter().map(|task| run(link, task)).collect();
    let errors = yields.into_iter().flat_map(|y| y.errors).collect();
    Errors::collect(errors).map_or(Ok(bytes), Err)
}
