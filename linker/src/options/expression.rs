//! `--defsym` expressions: text to a tree, in the grammar of linker scripts. Constant parts are folded.
//!
//! A leading 0 means octal, as in C and GNU ld; lld reads decimal. Must not know symbols' values.

use self::Expression::{Number, Symbol};

/// Parts of one expression: more is an attack, and trees are walked by recursion.
const MAX_PARTS: usize = 500;

/// An expression over symbols and sections of the output.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expression {
    /// A number.
    Number(u64),
    /// A symbol's address.
    Symbol(String),
    /// `.`: outside of sections, the end of the image, as in lld.
    Dot,
    /// `ADDR(.section)`, `LOADADDR(.section)`.
    AddressOf(String),
    /// `SIZEOF(.section)`; 0 if there is none.
    SizeOf(String),
    /// `ALIGNOF(.section)`.
    AlignOf(String),
    /// `SIZEOF_HEADERS`.
    Headers,
    /// `CONSTANT(MAXPAGESIZE)`, `CONSTANT(COMMONPAGESIZE)`: the largest page, or the common one.
    Page(bool),
    /// `DEFINED(symbol)`.
    Defined(String),
    /// An operator with one operand.
    Unary(Unary, Box<Expression>),
    /// An operator with two.
    Binary(Binary, Box<(Expression, Expression)>),
    /// `a ? b : c`.
    If(Box<(Expression, Expression, Expression)>),
}

/// Operators with one operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Unary {
    Minus,
    Complement,
    Not,
    /// `ABSOLUTE(a)`: the value moves with no section.
    Absolute,
    /// `LOG2CEIL(a)`.
    Log2Ceil,
}

/// Operators with two operands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    Shl,
    Shr,
    And,
    Or,
    Xor,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    AndAnd,
    OrOr,
    Max,
    Min,
    /// `ALIGN(a, b)`.
    Align,
}

impl Unary {
    /// Applies it.
    pub fn apply(self, a: u64) -> u64 {
        match self {
            Self::Minus => a.wrapping_neg(),
            Self::Complement => !a,
            Self::Not => u64::from(a == 0),
            Self::Absolute => a,
            Self::Log2Ceil => {
                a.checked_next_power_of_two().map_or(64, |p| p.trailing_zeros().into())
            }
        }
    }
}

impl Binary {
    /// Applies it; `None` for a division by zero.
    pub fn apply(self, a: u64, b: u64) -> Option<u64> {
        let shift = |f: fn(u64, u32) -> Option<u64>| {
            u32::try_from(b).ok().and_then(|b| f(a, b)).unwrap_or(0)
        };
        Some(match self {
            Self::Add => a.wrapping_add(b),
            Self::Sub => a.wrapping_sub(b),
            Self::Mul => a.wrapping_mul(b),
            Self::Div => a.checked_div(b)?,
            Self::Rem => a.checked_rem(b)?,
            Self::Shl => shift(u64::checked_shl),
            Self::Shr => shift(u64::checked_shr),
            Self::And => a & b,
            Self::Or => a | b,
            Self::Xor => a ^ b,
            Self::Eq => u64::from(a == b),
            Self::Ne => u64::from(a != b),
            Self::Lt => u64::from(a < b),
            Self::Le => u64::from(a <= b),
            Self::Gt => u64::from(a > b),
            Self::Ge => u64::from(a >= b),
            Self::AndAnd => u64::from(a != 0 && b != 0),
            Self::OrOr => u64::from(a != 0 || b != 0),
            Self::Max => a.max(b),
            Self::Min => a.min(b),
            Self::Align if b == 0 => a,
            Self::Align => a.checked_add(b - 1).map_or(0, |sum| sum / b * b),
        })
    }
}

/// Operators, the longer spellings first, with how tightly they bind.
const OPERATORS: &[(&str, Binary, u8)] = &[
    ("<<", Binary::Shl, 8),
    (">>", Binary::Shr, 8),
    ("<=", Binary::Le, 7),
    (">=", Binary::Ge, 7),
    ("==", Binary::Eq, 6),
    ("!=", Binary::Ne, 6),
    ("&&", Binary::AndAnd, 2),
    ("||", Binary::OrOr, 1),
    ("*", Binary::Mul, 10),
    ("/", Binary::Div, 10),
    ("%", Binary::Rem, 10),
    ("+", Binary::Add, 9),
    ("-", Binary::Sub, 9),
    ("<", Binary::Lt, 7),
    (">", Binary::Gt, 7),
    ("&", Binary::And, 5),
    ("^", Binary::Xor, 4),
    ("|", Binary::Or, 3),
];

impl Expression {
    /// Reads all of `text`.
    ///
    /// Errors: what is wrong, for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser { rest: text.trim(), parts: 0 };
        if parser.rest.is_empty() {
            return Err("an expression is missing".into());
        }
        let expression = parser.choice()?;
        match parser.rest {
            "" => Ok(expression),
            rest => Err(format!("unexpected `{rest}`")),
        }
    }

    /// Calls `found` with each symbol that must be defined.
    pub fn symbols<'s>(&'s self, found: &mut impl FnMut(&'s str)) {
        match self {
            Symbol(name) => found(name),
            Self::Unary(_, a) => a.symbols(found),
            Self::Binary(_, both) => {
                both.0.symbols(found);
                both.1.symbols(found);
            }
            Self::If(all) => {
                all.0.symbols(found);
                all.1.symbols(found);
                all.2.symbols(found);
            }
            _ => {}
        }
    }

    /// A symbol plus a number, if that is all.
    pub fn as_alias(&self) -> Option<(&str, i64)> {
        match self {
            Symbol(name) => Some((name, 0)),
            Self::Binary(op, both) => match (op, &**both) {
                (Binary::Add, (Symbol(name), Number(n)) | (Number(n), Symbol(name))) => {
                    Some((name, *n as i64))
                }
                (Binary::Sub, (Symbol(name), Number(n))) => Some((name, n.wrapping_neg() as i64)),
                _ => None,
            },
            _ => None,
        }
    }
}

/// Whether `text` can be a symbol's name here.
pub(crate) fn is_name(text: &str) -> bool {
    let first = |c: char| c.is_alphabetic() || "_.$@?".contains(c);
    text.starts_with(first) && text.chars().all(is_name_char) && text != "."
}

fn is_name_char(c: char) -> bool {
    c.is_alphanumeric() || "_.$@".contains(c) || !c.is_ascii()
}

/// A number: decimal, `0x` hexadecimal, `0` octal; with K or M, or `10h` for hexadecimal.
fn number(word: &str) -> Option<u64> {
    let lower = word.to_ascii_lowercase();
    let digits = |text: &str, radix| {
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric());
        if plain { u64::from_str_radix(text, radix).ok() } else { None }
    };
    if let Some(hex) = lower.strip_suffix('h') {
        return digits(hex, 16);
    }
    let (body, unit) = match lower.as_bytes().last()? {
        b'k' => (&lower[..lower.len() - 1], 1 << 10),
        b'm' => (&lower[..lower.len() - 1], 1 << 20),
        _ => (&lower[..], 1),
    };
    let value = match body.strip_prefix("0x") {
        Some(hex) => digits(hex, 16)?,
        None if body.len() > 1 && body.starts_with('0') => digits(&body[1..], 8)?,
        None => digits(body, 10)?,
    };
    value.checked_mul(unit)
}

/// A cursor over the text.
struct Parser<'a> {
    rest: &'a str,
    parts: usize,
}

impl<'a> Parser<'a> {
    fn eat(&mut self, mark: &str) -> bool {
        match self.rest.strip_prefix(mark) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, mark: &str) -> Result<(), String> {
        if self.eat(mark) {
            return Ok(());
        }
        match self.rest {
            "" => Err(format!("expected `{mark}`, found the end")),
            rest => Err(format!("expected `{mark}`, found `{rest}`")),
        }
    }

    fn count(&mut self) -> Result<(), String> {
        self.parts += 1;
        if self.parts > MAX_PARTS { Err("the expression is too long".into()) } else { Ok(()) }
    }

    fn choice(&mut self) -> Result<Expression, String> {
        self.count()?;
        let condition = self.binary(0)?;
        if !self.eat("?") {
            return Ok(condition);
        }
        let yes = self.choice()?;
        self.expect(":")?;
        let no = self.choice()?;
        Ok(match condition {
            Number(0) => no,
            Number(_) => yes,
            _ => Expression::If(Box::new((condition, yes, no))),
        })
    }

    fn binary(&mut self, least: u8) -> Result<Expression, String> {
        let mut left = self.unary()?;
        loop {
            let found = OPERATORS.iter().find(|o| self.rest.starts_with(o.0));
            let Some(&(mark, op, level)) = found.filter(|o| o.2 > least) else { return Ok(left) };
            self.eat(mark);
            let right = self.binary(level)?;
            left = join(op, left, right)?;
        }
    }

    fn unary(&mut self) -> Result<Expression, String> {
        self.count()?;
        for (mark, op) in [("-", Unary::Minus), ("~", Unary::Complement), ("!", Unary::Not)] {
            if self.eat(mark) {
                return Ok(apply(op, self.unary()?));
            }
        }
        if self.eat("+") { self.unary() } else { self.primary() }
    }

    fn primary(&mut self) -> Result<Expression, String> {
        if self.eat("(") {
            let inner = self.choice()?;
            self.expect(")")?;
            return Ok(inner);
        }
        if let Some(text) = self.rest.strip_prefix('"') {
            let (name, rest) = text.split_once('"').ok_or("quote without end")?;
            self.rest = rest.trim_start();
            return Ok(Symbol(name.into()));
        }
        let word = self.word();
        match word.chars().next() {
            None if self.rest.is_empty() => Err("expected a value, found the end".into()),
            None => Err(format!("expected a value, found `{}`", self.rest)),
            Some('0'..='9') => {
                number(word).map(Number).ok_or_else(|| format!("malformed number `{word}`"))
            }
            Some(_) if word == "." => Ok(Expression::Dot),
            Some(_) if word == "SIZEOF_HEADERS" => Ok(Expression::Headers),
            Some(_) if self.rest.starts_with('(') => self.call(word),
            Some(_) => Ok(Symbol(word.into())),
        }
    }

    /// The name or number here; empty if there is none.
    fn word(&mut self) -> &'a str {
        let end = self.rest.find(|c| !is_name_char(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        word
    }

    fn call(&mut self, function: &str) -> Result<Expression, String> {
        self.expect("(")?;
        let named: Option<fn(String) -> Expression> = match function {
            "ADDR" | "LOADADDR" => Some(Expression::AddressOf),
            "SIZEOF" => Some(Expression::SizeOf),
            "ALIGNOF" => Some(Expression::AlignOf),
            "DEFINED" => Some(Expression::Defined),
            _ => None,
        };
        let result = match (named, function) {
            (Some(make), _) => {
                let name = self.word();
                if name.is_empty() {
                    return Err(format!("{function} needs a name"));
                }
                make(name.into())
            }
            (None, "CONSTANT") => match self.word() {
                "MAXPAGESIZE" => Expression::Page(true),
                "COMMONPAGESIZE" => Expression::Page(false),
                other => return Err(format!("no constant is called `{other}`")),
            },
            (None, "ABSOLUTE") => apply(Unary::Absolute, self.choice()?),
            (None, "LOG2CEIL") => apply(Unary::Log2Ceil, self.choice()?),
            (None, "ALIGN") => {
                let first = self.choice()?;
                let (from, to) = match self.eat(",") {
                    true => (first, self.choice()?),
                    false => (Expression::Dot, first),
                };
                join(Binary::Align, from, to)?
            }
            (None, "MAX" | "MIN") => {
                let first = self.choice()?;
                self.expect(",")?;
                let op = if function == "MAX" { Binary::Max } else { Binary::Min };
                join(op, first, self.choice()?)?
            }
            _ => return Err(format!("no function is called `{function}`")),
        };
        self.expect(")")?;
        Ok(result)
    }
}

/// `op a`, folded if it can be.
fn apply(op: Unary, a: Expression) -> Expression {
    match a {
        Number(a) => Number(op.apply(a)),
        a => Expression::Unary(op, Box::new(a)),
    }
}

/// `a op b`, folded if it can be.
fn join(op: Binary, a: Expression, b: Expression) -> Result<Expression, String> {
    match (&a, &b) {
        (Number(a), Number(b)) => {
            op.apply(*a, *b).map(Number).ok_or_else(|| "division by zero".into())
        }
        _ => Ok(Expression::Binary(op, Box::new((a, b)))),
    }
}

#[cfg(test)]
mod tests;
