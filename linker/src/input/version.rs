//! Version scripts: text to nodes, and the answer to "which version has this name".
//!
//! Precedence: an exact name beats a glob, a later version's globs beat an earlier one's, in one version
//! those that export beat those that hide, `*` comes last.

use rustc_hash::FxHashMap;

use super::lex::{Dialect, Lexer};
use super::pattern::{Name, Pattern};
use crate::{Error, ErrorKind, Result};

/// A whole version script.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct VersionScript {
    /// The nodes in order. An anonymous one stands alone.
    pub nodes: Vec<VersionNode>,
}

/// One version: `NAME { global: …; local: …; } PARENTS;`.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct VersionNode {
    /// Its name; `None` for the anonymous node, which gives no version.
    pub name: Option<String>,
    /// The versions it depends on: indexes of earlier nodes.
    pub parents: Vec<usize>,
    /// What it exports.
    pub globals: Vec<Pattern>,
    /// What it hides.
    pub locals: Vec<Pattern>,
}

/// What a script says about a name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Assignment {
    /// It is not exported.
    Local,
    /// It is exported with the version of this node.
    Global(usize),
}

impl VersionScript {
    /// Reads a script, the content of `file`: one that says nothing is none.
    ///
    /// Errors: `bad-script`.
    pub fn parse(bytes: &[u8], file: &str) -> Result<Self> {
        let mut lexer = Lexer::new(bytes, file, Dialect::Version)?;
        let mut script = Self::default();
        script.node(&mut lexer)?;
        while lexer.peek().is_some() {
            script.node(&mut lexer)?;
        }
        script.check(file)?;
        Ok(script)
    }

    /// Adds the nodes of a second script, the content of `file`.
    ///
    /// Errors: `bad-script` if a version is in both.
    pub fn append(&mut self, other: Self, file: &str) -> Result<()> {
        let base = self.nodes.len();
        self.nodes.extend(other.nodes.into_iter().map(|mut node| {
            node.parents.iter_mut().for_each(|parent| *parent += base);
            node
        }));
        self.check(file)
    }

    /// The index of the node called `name`.
    pub fn find(&self, name: &[u8]) -> Option<usize> {
        self.nodes.iter().position(|n| n.name.as_ref().is_some_and(|n| n.as_bytes() == name))
    }

    fn node(&mut self, lexer: &mut Lexer<'_>) -> Result<()> {
        let mut node = VersionNode::default();
        if !lexer.at("{") {
            let name = lexer.word("a version's name or `{`")?;
            if self.find(name.text.as_bytes()).is_some() {
                return Err(lexer.error(name, format!("duplicate version `{}`", name.text)));
            }
            node.name = Some(name.text.into());
        }
        lexer.expect("{")?;
        let mut local = false;
        loop {
            let label = lexer.peek_at(1).is_some_and(|t| !t.quoted && t.text == ":");
            if label && lexer.eat("global") {
                lexer.expect(":")?;
                local = false;
            } else if label && lexer.eat("local") {
                lexer.expect(":")?;
                local = true;
            } else if lexer.at("}") {
                break;
            } else {
                let list = if local { &mut node.locals } else { &mut node.globals };
                patterns(lexer, list)?;
            }
        }
        lexer.expect("}")?;
        while !lexer.at(";") {
            let parent = lexer.word("`;` or a parent version")?;
            let index = self.find(parent.text.as_bytes()).ok_or_else(|| {
                lexer.error(parent, format!("parent version `{}` is not defined", parent.text))
            })?;
            node.parents.push(index);
        }
        lexer.expect(";")?;
        self.nodes.push(node);
        Ok(())
    }

    fn check(&self, file: &str) -> Result<()> {
        let bad = |text: String| Err(Error::new(ErrorKind::BadScript, text).in_file(file));
        let mut seen = rustc_hash::FxHashSet::default();
        for node in &self.nodes {
            match &node.name {
                None if self.nodes.len() > 1 => {
                    return bad("an anonymous version can't be combined with others".into());
                }
                Some(name) if !seen.insert(name) => {
                    return bad(format!("duplicate version `{name}`"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Reads patterns up to a label or `}`; a block `extern "C" { … }` counts as its patterns.
pub(super) fn patterns(lexer: &mut Lexer<'_>, list: &mut Vec<Pattern>) -> Result<()> {
    loop {
        let label = lexer.peek_at(1).is_some_and(|t| !t.quoted && t.text == ":");
        if lexer.at("}") || (label && (lexer.at("global") || lexer.at("local"))) {
            return Ok(());
        }
        let token = lexer.word("a name, a pattern or `}`")?;
        let block = lexer.peek().is_some_and(|t| t.quoted);
        if token.text == "extern" && !token.quoted && block {
            let language = lexer.word("a language")?;
            let is_cxx = match language.text {
                "C" => false,
                "C++" => true,
                other => {
                    let text = format!("extern \"{other}\": only C and C++ names are known");
                    return Err(lexer.error(language, text));
                }
            };
            lexer.expect("{")?;
            while !lexer.at("}") {
                let token = lexer.word("a name, a pattern or `}`")?;
                let pattern = Pattern::from_token(lexer, token)?;
                list.push(if is_cxx { pattern.cxx() } else { pattern });
                if !lexer.eat(";") && !lexer.at("}") {
                    return Err(lexer.unexpected("`;` or `}`"));
                }
            }
            lexer.expect("}")?;
        } else {
            list.push(Pattern::from_token(lexer, token)?);
        }
        if !lexer.eat(";") && !lexer.at("}") {
            return Err(lexer.unexpected("`;` or `}`"));
        }
    }
}

/// A script made ready to be asked for every symbol.
#[derive(Clone, Debug)]
pub struct VersionMatcher<'a> {
    exact: FxHashMap<&'a [u8], Assignment>,
    /// By demangled name.
    exact_cxx: FxHashMap<&'a [u8], Assignment>,
    /// Globs other than `*`, the strongest first.
    globs: Vec<(&'a Pattern, Assignment)>,
    star: Option<Assignment>,
}

impl<'a> VersionMatcher<'a> {
    /// Prepares `script`.
    pub fn new(script: &'a VersionScript) -> Self {
        let mut matcher = Self {
            exact: FxHashMap::default(),
            exact_cxx: FxHashMap::default(),
            globs: Vec::new(),
            star: None,
        };
        for (index, node) in script.nodes.iter().enumerate() {
            // Turned around below: in one version, what it exports comes first.
            for (list, to) in
                [(&node.locals, Assignment::Local), (&node.globals, Assignment::Global(index))]
            {
                for pattern in list {
                    matcher.add(pattern, to);
                }
            }
        }
        matcher.globs.reverse();
        matcher
    }

    fn add(&mut self, pattern: &'a Pattern, to: Assignment) {
        if pattern.is_star() {
            // As with exact names: `global: *; local: *;` exports.
            if to != Assignment::Local || self.star.is_none() {
                self.star = Some(to);
            }
        } else if pattern.is_glob() {
            self.globs.push((pattern, to));
        } else {
            // Exported somewhere beats hidden somewhere; the first version keeps the name.
            let exact = if pattern.is_cxx { &mut self.exact_cxx } else { &mut self.exact };
            let old = exact.entry(pattern.text.as_bytes()).or_insert(to);
            if *old == Assignment::Local {
                *old = to;
            }
        }
    }

    /// What the script says about `name`; `None` if nothing matches.
    pub fn assign(&self, name: &[u8]) -> Option<Assignment> {
        if let Some(&to) = self.exact.get(name) {
            return Some(to);
        }
        let name = Name::new(name);
        if !self.exact_cxx.is_empty()
            && let Some(&to) = self.exact_cxx.get(name.written())
        {
            return Some(to);
        }
        let glob = self.globs.iter().find(|(pattern, _)| pattern.matches(&name));
        glob.map(|&(_, to)| to).or(self.star)
    }
}
