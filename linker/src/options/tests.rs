//! The table, spelled every way.
