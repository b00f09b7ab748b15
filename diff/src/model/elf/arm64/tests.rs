//! The table against `object`'s constants.

use super::*;

/// Every relocation of the psABI that a static linker meets has a row with the name that others use.
#[test]
fn every_relocation_has_a_row() {
    let names = object::elf::machine_names(object::elf::Machine(183)).r;
    for number in (0..700).chain(1024..1040) {
        let name = names.name(object::elf::RelocationType(number));
        let Some(name) = name.filter(|name| !name.contains("_P32_")) else { continue };
        let told = dynamic(number).is_some_and(|(kind, _)| kind != Kind::Unknown);
        match row(number) {
            Some(row) if number == 0 || number == 256 => assert_eq!(row.form, Form::None),
            Some(row) => assert_eq!(row.name, name, "{number}"),
            None => assert!(told, "{name} = {number} has no row"),
        }
    }
}
