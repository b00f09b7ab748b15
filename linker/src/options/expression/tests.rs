//! Expressions of `--defsym` and their values.

use super::*;

fn value(text: &str) -> u64 {
    match Expression::parse(text) {
        Ok(Number(n)) => n,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn constants_fold_as_in_c() {
    for (text, wanted) in [
        ("-1", u64::MAX),
        ("~0", u64::MAX),
        ("!0 + !5", 1),
        ("1<<4", 16),
        ("1 << 64", 0),
        ("2+3*4", 14),
        ("(2+3)*4", 20),
        ("10-3-2", 5),
        ("1|6&3^1", 3),
        ("1==1 && 2<1 || 3>=3", 1),
        ("0 ? 1/1 : 2 ? 3 : 4", 3),
        ("010", 8),
        ("0x10", 16),
        ("10h", 16),
        ("1K", 1024),
        ("0x10M", 16 << 20),
        ("MAX(3, 4) - MIN(3,4)", 1),
        ("ALIGN(5, 8)", 8),
        ("LOG2CEIL(9)", 4),
        ("7 % 4", 3),
        ("0xffffffffffffffff", u64::MAX),
    ] {
        assert_eq!(value(text), wanted, "{text}");
    }
}

#[test]
fn symbols_are_left_for_later() {
    let alias = |text| Expression::parse(text).unwrap().as_alias().map(|a| (a.0.to_owned(), a.1));
    let named = |name: &str, n| Some((name.to_owned(), n));
    assert_eq!(alias("x"), named("x", 0));
    assert_eq!(alias("\"a b\""), named("a b", 0));
    assert_eq!(alias("(x+4)"), named("x", 4));
    assert_eq!(alias("4+x"), named("x", 4));
    assert_eq!(alias("x - 4"), named("x", -4));
    assert_eq!(alias("x+0x10*2"), named("x", 32));
    assert_eq!(alias("4-x"), None);
    let mut names = Vec::new();
    let tree = Expression::parse("(a & ~0xfff) + b*DEFINED(c) ? d : .").unwrap();
    tree.symbols(&mut |name| names.push(name));
    assert_eq!(names, ["a", "b", "d"]);
}

#[test]
fn what_is_no_expression_is_one_error() {
    for (text, wanted) in [
        ("", "an expression is missing"),
        ("1+", "expected a value, found the end"),
        ("1 2", "unexpected `2`"),
        ("a=3", "unexpected `=3`"),
        ("(1", "expected `)`, found the end"),
        ("1/0", "division by zero"),
        ("09", "malformed number `09`"),
        ("1x", "malformed number `1x`"),
        ("FOO(1)", "no function is called `FOO`"),
        ("\"a", "quote without end"),
        ("1 ? 2", "expected `:`, found the end"),
        ("CONSTANT(X)", "no constant is called `X`"),
        ("0x10000000000000000", "malformed number `0x10000000000000000`"),
    ] {
        assert_eq!(Expression::parse(text).unwrap_err(), wanted, "{text}");
    }
}

#[test]
fn long_and_deep_expressions_end() {
    for text in ["(".repeat(100_000), "-".repeat(100_000), "a+".repeat(100_000) + "1"] {
        assert_eq!(Expression::parse(&text).unwrap_err(), "the expression is too long");
    }
}
