//! Random cases of Mach-O: a plan of what names stand for and where each is defined, then objects, archives,
//! libraries and options that say so.
//!
//! Copies of weak definitions are equal. What linkers may do in their own ways is not made, or marks the
//! expectation. Nothing here must know what a linker makes of a case.

mod frames;
mod plan;
mod refer;
mod tables;
mod write;

use scold_diff::{Mode, Target};

use super::super::dice::Dice;
use super::code::{self, Code};
use super::parts::{self, Content};
use crate::Case;
use crate::case::{Archive, Binding, Data, Definition, Input, Library, Object, Opt, Validity};
use crate::machine::macho::{self, Machine};
use plan::{Entity, Home};

/// A case in the making.
pub(super) struct World {
    target: Target,
    mode: Mode,
    machine: &'static Machine,
    code: &'static Code,
    objects: Vec<Object>,
    /// Which archive each object is in.
    archives: Vec<Option<usize>>,
    libraries: Vec<Library>,
    entities: Vec<Entity>,
    options: Vec<Opt>,
    probes: u32,
    /// The personality routine.
    routine: Option<usize>,
}

/// Further than any branch of arm64 reaches.
const GAP: u64 = 129 << 20;

/// A case with whatever `dice` say.
pub(in crate::generate) fn generate(dice: &mut Dice<'_>, target: Target, mode: Mode) -> Case {
    let mode = if mode == Mode::Exe { Mode::Pie } else { mode };
    let mut world = World {
        target,
        mode,
        machine: macho::of(target.arch),
        code: code::of(target.arch),
        objects: Vec::new(),
        archives: Vec::new(),
        libraries: Vec::new(),
        entities: Vec::new(),
        options: Vec::new(),
        probes: 0,
        routine: None,
    };
    world.choose_files(dice);
    world.choose_entities(dice);
    world.choose_options(dice);
    world.define(dice);
    world.add_code(dice);
    world.add_data(dice);
    world.add_bounds(dice);
    world.add_arrays(dice);
    world.add_unwind(dice);
    world.add_main(dice);
    // Before there is an object whose code is empty: what follows that in its section is one atom with it.
    if dice.chance(1) && dice.chance(200) {
        world.add_gap(dice);
    }
    world.add_nothing(dice);
    world.finish(dice)
}

impl World {
    /// Objects with what is in them, into the inputs of a case.
    fn finish(self, dice: &mut Dice<'_>) -> Case {
        let count = self.archives.iter().flatten().max().map_or(0, |last| last + 1);
        let mut archives: Vec<Archive> = (0..count)
            .map(|number| Archive {
                name: format!("lib{number}.a"),
                members: Vec::new(),
                whole: false,
                thin: false,
            })
            .collect();
        let mut inputs = Vec::new();
        for (object, archive) in self.objects.into_iter().zip(self.archives) {
            match archive {
                Some(archive) => archives[archive].members.push(object),
                None => inputs.push(Input::Object(object)),
            }
        }
        for mut archive in archives {
            archive.whole = dice.chance(150);
            let at = dice.range(0, inputs.len());
            inputs.insert(at, Input::Archive(archive));
        }
        for library in self.libraries {
            let at = dice.range(0, inputs.len());
            inputs.insert(at, Input::Library(library));
        }
        Case {
            target: self.target,
            mode: self.mode,
            validity: Validity::Defined,
            options: self.options,
            inputs,
            versions: None,
            beside: vec![],
        }
    }

    /// So much code between two functions that branches need thunks: rare, because it takes as long as
    /// a thousand other cases.
    fn add_gap(&mut self, dice: &mut Dice<'_>) {
        let object = dice.below(self.objects.len());
        let object = &mut self.objects[object];
        if object.subsections {
            let gap = parts::symbol("_gap", Binding::Local, Definition::Undefined);
            parts::atom(object, "__TEXT,__text", 16, Content::default(), gap);
            if let Some(section) = object.sections.last_mut() {
                section.data = Data::Zeros(GAP);
            }
        }
    }

    /// Whether references of this image to an entity may be answered by another one.
    fn may_be_overridden(&self, entity: &Entity) -> bool {
        match entity.home {
            Home::Objects(_) => {
                let exported = entity.scope.is_exported();
                exported && (entity.scope.is_weak() || self.mode == Mode::Plugin)
            }
            _ => true,
        }
    }
}
