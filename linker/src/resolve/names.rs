//! The name table: each distinct name of the link → one dense id.
//!
//! Open addressing over pre-computed hashes; ids are handed out in order of first mention, so they
//! do not depend on threads.

use crate::object::SymId;

/// Names with their ids.
#[derive(Default, Debug)]
pub struct Names<'a> {
    /// `tag << 32 | id + 1`, or 0.
    slots: Vec<u64>,
    names: Vec<&'a [u8]>,
    hashes: Vec<u64>,
}

impl<'a> Names<'a> {
    /// A table that takes `count` names without growing.
    pub fn with_capacity(count: usize) -> Self {
        let slots = (count * 2).next_power_of_two().max(1 << 10);
        Self {
            slots: vec![0; slots],
            names: Vec::with_capacity(count),
            hashes: Vec::with_capacity(count),
        }
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The name of `id`.
    pub fn get(&self, id: SymId) -> &'a [u8] {
        self.names.get(id.i()).copied().unwrap_or(&[])
    }

    /// Every name, by id.
    pub fn all(&self) -> &[&'a [u8]] {
        &self.names
    }

    /// The id of `name` if it has one.
    pub fn find(&self, name: &[u8], hash: u64) -> Option<SymId> {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            match self.slots[at] {
                0 => return None,
                slot if slot >> 32 == hash >> 32 => {
                    let id = SymId(slot as u32 - 1);
                    if self.names[id.i()] == name {
                        return Some(id);
                    }
                }
                _ => {}
            }
            at = (at + 1) & mask;
        }
    }

    /// The id of `name`, new or old.
    pub fn intern(&mut self, name: &'a [u8], hash: u64) -> SymId {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                break;
            }
            if slot >> 32 == hash >> 32 {
                let id = SymId(slot as u32 - 1);
                if self.names[id.i()] == name {
                    return id;
                }
            }
            at = (at + 1) & mask;
        }
        let id = SymId(self.names.len() as u32);
        self.slots[at] = (hash >> 32) << 32 | u64::from(id.0 + 1);
        self.names.push(name);
        self.hashes.push(hash);
        if self.names.len() * 2 > self.slots.len() {
            self.grow();
        }
        id
    }

    fn grow(&mut self) {
        let mask = self.slots.len() * 2 - 1;
        let mut slots = vec![0u64; mask + 1];
        for (id, &hash) in self.hashes.iter().enumerate() {
            let mut at = hash as usize & mask;
            while slots[at] != 0 {
                at = (at + 1) & mask;
            }
            slots[at] = (hash >> 32) << 32 | (id as u64 + 1);
        }
        self.slots = slots;
    }
}

#[cfg(test)]
mod tests {
    use super::Names;
    use crate::object::{SymId, hash_name};

    #[test]
    fn ids_follow_first_mention_and_survive_growth() {
        let texts: Vec<String> = (0..5000).map(|i| format!("name{i}")).collect();
        let mut names = Names::with_capacity(1);
        for round in 0..2 {
            for (i, text) in texts.iter().enumerate() {
                let id = names.intern(text.as_bytes(), hash_name(text.as_bytes()));
                assert_eq!(id, SymId(i as u32), "round {round}");
            }
        }
        assert_eq!(names.find(b"absent", hash_name(b"absent")), None);
    }
}
