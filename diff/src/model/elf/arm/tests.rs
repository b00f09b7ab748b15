use super::*;

#[test]
fn rows_have_the_numbers_of_the_abi() {
    // `object` has the names of AAELF32 by number.
    let names = object::elf::machine_names(object::elf::Machine(40)).r;
    for number in 0..=255 {
        let Some((name, ..)) = entry(number) else { continue };
        let wanted = names.name(object::elf::RelocationType(number));
        // Those have names from before AAELF32 there.
        let old = [4, 10, 11, 13, 15, 16, 24, 25, 26, 54, 97, 102, 103, 129];
        if let Some(wanted) = wanted.filter(|_| !old.contains(&number)) {
            assert_eq!(name, wanted, "{number}");
        }
    }
}
