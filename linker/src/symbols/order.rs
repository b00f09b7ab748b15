//! `--defsym`s → which definition each mention of a name stands for, and an order to compute them in.
//!
//! A name given twice is two definitions: a mention is of the last one before it, else, as GNU ld and lld
//! have it after enough passes, of the last one behind it. It must not know values.

use rustc_hash::FxHashMap;

use crate::error::{Error, ErrorKind};
use crate::options::{Defsym, Options};

/// The definitions of a link by name.
pub(crate) struct Order<'o> {
    by_name: FxHashMap<&'o str, Vec<usize>>,
    /// Each after those that it mentions.
    pub(crate) all: Vec<usize>,
}

impl<'o> Order<'o> {
    /// The definitions of `options`.
    ///
    /// Errors: `usage` for one that is made of itself.
    pub(crate) fn new(options: &'o Options) -> Result<Self, Error> {
        let mut by_name: FxHashMap<&str, Vec<usize>> = FxHashMap::default();
        for (at, defsym) in options.defsyms.iter().enumerate() {
            by_name.entry(&defsym.name).or_default().push(at);
        }
        let mut order = Self { by_name, all: Vec::with_capacity(options.defsyms.len()) };
        order.sort(&options.defsyms)?;
        Ok(order)
    }

    /// The definition that `name` stands for in definition `at`; `None` if it is another symbol.
    pub(crate) fn seen(&self, at: usize, name: &str) -> Option<usize> {
        let list = self.by_name.get(name)?;
        let before = list.partition_point(|&other| other < at);
        list.get(before.checked_sub(1).unwrap_or(list.len() - 1)).copied()
    }

    /// The definitions that definition `at` mentions.
    fn mentioned(&self, defsyms: &[Defsym], at: usize) -> Vec<usize> {
        let mut found = Vec::new();
        defsyms[at].value.symbols(&mut |name| found.extend(self.seen(at, name)));
        found
    }

    /// Fills in `all`, depth first without recursion: chains may be long.
    fn sort(&mut self, defsyms: &[Defsym]) -> Result<(), Error> {
        #[derive(Clone, Copy, PartialEq)]
        enum State {
            New,
            Open,
            Done,
        }
        let mut states = vec![State::New; defsyms.len()];
        for start in 0..defsyms.len() {
            let mut stack = vec![(start, None)];
            while let Some((at, rest)) = stack.last_mut() {
                let at = *at;
                if states[at] == State::Done {
                    stack.pop();
                    continue;
                }
                states[at] = State::Open;
                let rest: &mut Vec<usize> = rest.get_or_insert_with(|| self.mentioned(defsyms, at));
                match rest.pop() {
                    None => {
                        states[at] = State::Done;
                        self.all.push(at);
                    }
                    Some(next) if states[next] == State::Open => {
                        let (name, other) = (&defsyms[next].name, &defsyms[at].name);
                        let text = match next == at {
                            true => format!("--defsym {name}: the value is the symbol itself"),
                            false => format!("--defsym {name}: made of itself, by way of {other}"),
                        };
                        return Err(Error::new(ErrorKind::Usage, text));
                    }
                    Some(next) => stack.push((next, None)),
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryFiles;

    fn order(line: &[String]) -> Result<Vec<usize>, String> {
        let args: Vec<String> = line.iter().map(|d| format!("--defsym={d}")).collect();
        let args = [&["a.o".to_owned()][..], &args].concat();
        let options = Options::parse(&args, &MemoryFiles::new()).expect("options");
        Order::new(&options).map(|o| o.all).map_err(|error| error.text().to_owned())
    }

    fn given(line: &str) -> Result<Vec<usize>, String> {
        order(&line.split(' ').map(String::from).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_mentioned_comes_first() {
        assert_eq!(given("a=b b=c+1 c=5"), Ok(vec![2, 1, 0]));
        assert_eq!(given("a=1 b=a a=2 c=a"), Ok(vec![0, 1, 2, 3]));
        assert_eq!(given("b=a a=1 a=2"), Ok(vec![2, 0, 1]));
        assert_eq!(given("a=b a=a+1"), Ok(vec![0, 1]));
    }

    #[test]
    fn circles_are_one_error() {
        let itself = Err("--defsym a: the value is the symbol itself".to_owned());
        assert_eq!(given("a=a"), itself);
        assert_eq!(given("a=1+a*2"), itself);
        assert!(given("a=b b=c c=a").unwrap_err().contains("made of itself"));
    }

    /// Both ways, so deep that recursion would not come back.
    #[test]
    fn chains_have_no_end() {
        let count = 100_000;
        let ahead: Vec<String> = (0..count).map(|i| format!("a{i}=a{}", i + 1)).collect();
        assert_eq!(order(&ahead).unwrap()[0], count - 1);
        let back: Vec<String> = (0..count).map(|i| format!("a{}=a{i}", i + 1)).collect();
        assert_eq!(order(&back).unwrap()[0], 0);
    }
}
