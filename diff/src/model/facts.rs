//! The Facts of one module, and what two modules' differ in.
//!
//! It must not know how they are read.

use std::collections::BTreeMap;
use std::fmt;

use super::{ErrorClass, Family, Key, Value};

/// The Facts of one module.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Facts {
    map: BTreeMap<Key, Value>,
}

impl Facts {
    /// Adds one fact; a second value for a key is a bug of the reader.
    pub fn add(&mut self, family: Family, rest: impl Into<Box<str>>, value: Value) {
        let key = Key::new(family, rest);
        if let Some(old) = self.map.insert(key.clone(), value) {
            assert_eq!(Some(&old), self.map.get(&key), "two values for {key}");
        }
    }

    /// Adds one fact read from bytes that may be anything: a key's first value stays.
    pub(crate) fn put(&mut self, family: Family, rest: impl Into<Box<str>>, value: Value) {
        self.map.entry(Key::new(family, rest)).or_insert(value);
    }

    /// The Facts of a refused link.
    pub fn refused(class: ErrorClass) -> Self {
        let mut facts = Self::default();
        facts.add(Family::Error, "", Value::Error(class));
        facts
    }

    /// The value of a key.
    pub fn get(&self, key: &Key) -> Option<&Value> {
        self.map.get(key)
    }

    /// All facts in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Value)> {
        self.map.iter()
    }

    /// Why the link was refused, if it was.
    pub fn error(&self) -> Option<ErrorClass> {
        match self.map.get(&Key::new(Family::Error, "")) {
            Some(Value::Error(class)) => Some(*class),
            _ => None,
        }
    }

    /// What differs between two modules: key, ours, theirs.
    pub fn differences<'a>(&'a self, other: &'a Self) -> Vec<Difference<'a>> {
        let mut list: Vec<_> = self
            .map
            .iter()
            .filter(|(key, value)| other.map.get(key) != Some(value))
            .map(|(key, value)| Difference { key, left: Some(value), right: other.map.get(key) })
            .collect();
        let missing = other.map.iter().filter(|(key, _)| !self.map.contains_key(key));
        list.extend(missing.map(|(key, value)| Difference { key, left: None, right: Some(value) }));
        list.sort_by_key(|difference| difference.key);
        list
    }
}

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, value) in &self.map {
            writeln!(f, "{key} = {value}")?;
        }
        Ok(())
    }
}

/// One key on which two modules differ.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference<'a> {
    /// The key.
    pub key: &'a Key,
    /// Its value on the left, if any.
    pub left: Option<&'a Value>,
    /// Its value on the right, if any.
    pub right: Option<&'a Value>,
}
