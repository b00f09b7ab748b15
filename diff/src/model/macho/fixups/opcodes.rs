//! LC_DYLD_INFO's opcodes → fixups.
//!
//! Spec: `mach-o/loader.h`, REBASE_OPCODE_* and BIND_OPCODE_*.

use super::{Bind, Fixups};
use crate::model::macho::image::{DyldInfo, File};
use crate::model::macho::leb::Reader;

/// How many slots one table may name: damaged counts end here.
const MOST: usize = 1 << 22;

/// Which table is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Table {
    Bind,
    Weak,
    Lazy,
}

/// Adds the fixups of all four tables.
///
/// Errors: what dyld refuses.
pub(super) fn read(file: &File<'_>, info: &DyldInfo, fixups: &mut Fixups) -> Result<(), String> {
    let blob = |blob, what: &str| {
        file.blob(blob).ok_or_else(|| format!("the {what} opcodes are outside the file"))
    };
    rebases(file, blob(info.rebase, "rebase")?, fixups).ok_or("damaged rebase opcodes")?;
    for (table, bytes, what) in [
        (Table::Bind, info.bind, "bind"),
        (Table::Weak, info.weak_bind, "weak bind"),
        (Table::Lazy, info.lazy_bind, "lazy bind"),
    ] {
        let machine = Binder::new(file, table);
        machine.run(blob(bytes, what)?, fixups).ok_or_else(|| format!("damaged {what} opcodes"))?;
    }
    Ok(())
}

fn segment(file: &File<'_>, index: u8, offset: u64) -> Option<u64> {
    Some(file.segments.get(usize::from(index))?.address.wrapping_add(offset))
}

fn rebases(file: &File<'_>, bytes: &[u8], fixups: &mut Fixups) -> Option<()> {
    let mut reader = Reader::at(bytes, 0)?;
    let mut at = 0_u64;
    let mut budget = MOST;
    let mut pointers = false;
    while let Some(byte) = reader.byte() {
        let low = byte & 15;
        let (mut count, mut step) = (0, 8_u64);
        match byte & 0xf0 {
            0 => return Some(()),
            0x10 => pointers = low == 1,
            0x20 => at = segment(file, low, reader.uleb()?)?,
            0x30 => at = at.wrapping_add(reader.uleb()?),
            0x40 => at = at.wrapping_add(8 * u64::from(low)),
            0x50 => count = low.into(),
            0x60 => count = reader.uleb()?,
            0x70 => {
                count = 1;
                step = reader.uleb()?.wrapping_add(8);
            }
            0x80 => {
                count = reader.uleb()?;
                step = reader.uleb()?.wrapping_add(8);
            }
            _ => return None,
        }
        budget = budget.checked_sub(usize::try_from(count).ok()?)?;
        for _ in 0..count {
            if !pointers {
                return None;
            }
            fixups.rebase(at, file.word(at)?);
            at = at.wrapping_add(step);
        }
    }
    Some(())
}

/// The state of the bind opcodes' machine.
struct Binder<'f, 'a> {
    file: &'f File<'a>,
    table: Table,
    ordinal: Option<i64>,
    name: String,
    flags: u8,
    addend: i64,
    pointers: bool,
    address: Option<u64>,
    budget: usize,
    /// Where the entry of the lazy table started that is being read.
    entry: u64,
}

impl<'f, 'a> Binder<'f, 'a> {
    fn new(file: &'f File<'a>, table: Table) -> Self {
        Self {
            file,
            table,
            ordinal: (table == Table::Weak).then_some(super::WEAK),
            name: String::new(),
            flags: 0,
            addend: 0,
            // The lazy table need not say so.
            pointers: table == Table::Lazy,
            address: None,
            budget: MOST,
            entry: 0,
        }
    }

    fn run(mut self, bytes: &[u8], fixups: &mut Fixups) -> Option<()> {
        let mut reader = Reader::at(bytes, 0)?;
        while let Some(byte) = reader.byte() {
            let low = byte & 15;
            match byte & 0xf0 {
                0 if self.table == Table::Lazy => self.entry = reader.position(),
                0 => return Some(()),
                0x10 => self.library(low.into())?,
                0x20 => self.library(reader.uleb()? as i64)?,
                0x30 => self.ordinal = Some(if low == 0 { 0 } else { i64::from(low) - 16 }),
                0x40 => {
                    self.flags = low;
                    self.name = String::from_utf8_lossy(reader.cstr()?).into_owned();
                    if low & 8 != 0 && self.table == Table::Weak {
                        fixups.strong.push(self.name.clone());
                    }
                }
                0x50 => self.pointers = low == 1,
                0x60 => self.addend = reader.sleb()?,
                0x70 => self.address = Some(segment(self.file, low, reader.uleb()?)?),
                0x80 => self.advance(reader.uleb()?)?,
                0x90 => self.bind(1, 8, fixups)?,
                0xa0 => {
                    let step = reader.uleb()?.wrapping_add(8);
                    self.bind(1, step, fixups)?;
                }
                0xb0 => self.bind(1, 8 + 8 * u64::from(low), fixups)?,
                0xc0 => {
                    let count = reader.uleb()?;
                    let step = reader.uleb()?.wrapping_add(8);
                    self.bind(count, step, fixups)?;
                }
                _ => return None,
            }
        }
        Some(())
    }

    fn library(&mut self, ordinal: i64) -> Option<()> {
        self.ordinal = Some(ordinal);
        (1..=self.file.libraries.len() as i64).contains(&ordinal).then_some(())
    }

    fn advance(&mut self, step: u64) -> Option<()> {
        self.address = Some(self.address?.wrapping_add(step));
        Some(())
    }

    fn bind(&mut self, count: u64, step: u64, fixups: &mut Fixups) -> Option<()> {
        self.budget = self.budget.checked_sub(usize::try_from(count).ok()?)?;
        if !self.pointers || self.name.is_empty() {
            return None;
        }
        for _ in 0..count {
            let address = self.address?;
            let (name, addend) = (self.name.clone(), self.addend);
            if self.table == Table::Weak {
                fixups.map.entry(address).or_default().coalesce = Some((name, addend));
            } else {
                let (lazy, weak) = (self.table == Table::Lazy, self.flags & 1 != 0);
                fixups.bind(address, Bind { ordinal: self.ordinal?, name, addend, weak, lazy });
                if lazy {
                    fixups.lazy.insert(self.entry, address);
                }
            }
            self.advance(step)?;
        }
        Some(())
    }
}
