//! One pattern without its `!`: how it is read, and which paths it matches.
//!
//! The rules are those of Go's `filepath.Match` plus `**`, as Docker has them. Two accidents of
//! Docker's own translation to a regular expression are not repeated: there `\d` is any digit and a
//! `*` or `?` inside a class breaks the class; here, as its documentation says, both are literal.

/// Why a pattern cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PatternFault {
    /// `!` with nothing after it.
    #[error("`!` needs a pattern after it")]
    LonelyException,
    /// `[` without its `]`.
    #[error("a `[` is not closed")]
    UnclosedClass,
    /// `[]`, `[-x]`, `[a-]`: a `]` or `-` where a character is due.
    #[error("a class needs a character before `]` and on both sides of `-`")]
    BadClass,
    /// `[z-a]`.
    #[error("a range in a class runs backwards")]
    BackwardsRange,
    /// A `\` at the end.
    #[error("nothing follows the last `\\`")]
    TrailingEscape,
    /// Bytes that are no text.
    #[error("it is not UTF-8")]
    NotUtf8,
}

/// A pattern in the form in which it is matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Glob {
    /// No wildcard: the path itself.
    Exact(String),
    /// `text**`: everything that starts so.
    Prefix(String),
    /// `**text`: everything that ends so.
    Suffix(String),
    /// Anything else.
    Tokens(Tokens),
}

/// A pattern as a row of tokens; matched by keeping every position it can be in at once, so that
/// the time grows with the pattern times the path and never explodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tokens {
    tokens: Vec<Token>,
    /// How many characters a matching path has at least: spares long patterns the work.
    min_characters: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Character(char),
    /// `?`: one character of a name.
    AnyCharacter,
    /// `*`: any part of a name.
    AnyName,
    /// `[…]`; unlike `?` it may match `/`.
    Class {
        is_negated: bool,
        ranges: Vec<(char, char)>,
    },
    /// `**` before something: nothing, or anything that ends in `/`.
    AnyFolders,
    /// `**` at the end: everything.
    Anything,
}

impl Glob {
    pub(super) fn parse(pattern: &str) -> Result<Self, PatternFault> {
        let tokens = tokenize(pattern)?;
        let is_plain =
            |tokens: &[Token]| tokens.iter().all(|token| matches!(token, Token::Character(_)));
        let is_literal = |text: &str| !text.contains(['*', '\\']);
        Ok(match tokens.as_slice() {
            all if is_plain(all) => Self::Exact(characters(all)),
            [Token::Anything] => Self::Suffix(String::new()),
            [Token::AnyFolders, rest @ ..] if is_plain(rest) && is_literal(&pattern[2..]) => {
                Self::Suffix(pattern[2..].to_owned())
            }
            [start @ .., Token::Anything] if is_plain(start) && is_literal(&characters(start)) => {
                Self::Prefix(characters(start))
            }
            _ => {
                let is_one = |token: &&Token| {
                    matches!(token, Token::Character(_) | Token::AnyCharacter | Token::Class { .. })
                };
                let min_characters = tokens.iter().filter(is_one).count();
                Self::Tokens(Tokens { tokens, min_characters })
            }
        })
    }

    /// Whether the pattern matches this very path; parents are the caller's business.
    pub(super) fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(text) => path == text,
            Self::Prefix(text) => path.starts_with(text),
            // `**/foo` matches `foo` too.
            Self::Suffix(text) => path.ends_with(text) || text.strip_prefix('/') == Some(path),
            Self::Tokens(tokens) => tokens.matches(path),
        }
    }

    /// Whether some path below the folder could match.
    pub(super) fn may_match_below(&self, folder: &str) -> bool {
        let start = format!("{folder}/");
        match self {
            Self::Exact(text) => text.starts_with(&start),
            Self::Prefix(text) => text.starts_with(&start) || start.starts_with(text),
            Self::Suffix(_) => true,
            Self::Tokens(tokens) => !tokens.positions_after(&start).is_empty(),
        }
    }
}

impl Tokens {
    fn matches(&self, path: &str) -> bool {
        path.len() >= self.min_characters
            && self.positions_after(path).binary_search(&self.tokens.len()).is_ok()
    }

    /// The positions, sorted, in which the pattern can be when it has read the text.
    fn positions_after(&self, text: &str) -> Vec<usize> {
        let mut positions = Vec::new();
        self.arrive(0, &mut positions);
        let mut next = Vec::new();
        for character in text.chars() {
            for &position in &positions {
                self.step(position, character, &mut next);
            }
            next.sort_unstable();
            next.dedup();
            std::mem::swap(&mut positions, &mut next);
            next.clear();
            if positions.is_empty() {
                break;
            }
        }
        positions
    }

    /// Adds a position and those behind it that need no character.
    fn arrive(&self, position: usize, positions: &mut Vec<usize>) {
        positions.push(position);
        let optional = [Token::AnyName, Token::AnyFolders, Token::Anything];
        if self.tokens.get(position).is_some_and(|token| optional.contains(token)) {
            self.arrive(position + 1, positions);
        }
    }

    fn step(&self, position: usize, character: char, next: &mut Vec<usize>) {
        let Some(token) = self.tokens.get(position) else { return };
        match token {
            Token::Character(expected) if *expected == character => self.arrive(position + 1, next),
            Token::AnyCharacter if character != '/' => self.arrive(position + 1, next),
            Token::Class { is_negated, ranges } => {
                let is_listed =
                    ranges.iter().any(|(low, high)| (*low..=*high).contains(&character));
                if is_listed != *is_negated {
                    self.arrive(position + 1, next);
                }
            }
            Token::AnyName if character != '/' => self.arrive(position, next),
            // `.` of a regular expression, which Docker uses, does not match a line feed.
            Token::Anything if character != '\n' => self.arrive(position, next),
            Token::AnyFolders if character != '\n' => {
                // Inside a folder's name only `/` leads on: no `arrive` here.
                next.push(position);
                if character == '/' {
                    self.arrive(position + 1, next);
                }
            }
            _ => {}
        }
    }
}

fn characters(tokens: &[Token]) -> String {
    let character = |token: &Token| match token {
        Token::Character(character) => Some(*character),
        _ => None,
    };
    tokens.iter().filter_map(character).collect()
}

fn tokenize(pattern: &str) -> Result<Vec<Token>, PatternFault> {
    let mut tokens = Vec::new();
    let mut rest = pattern.chars().peekable();
    while let Some(character) = rest.next() {
        let token = match character {
            '*' if rest.next_if_eq(&'*').is_some() => {
                rest.next_if_eq(&'/');
                if rest.peek().is_none() { Token::Anything } else { Token::AnyFolders }
            }
            '*' => Token::AnyName,
            '?' => Token::AnyCharacter,
            '[' => class(&mut rest)?,
            '\\' => Token::Character(rest.next().ok_or(PatternFault::TrailingEscape)?),
            _ => Token::Character(character),
        };
        if token != Token::AnyFolders || tokens.last() != Some(&token) {
            tokens.push(token);
        }
    }
    Ok(tokens)
}

/// Reads what stands between `[` and `]`.
fn class(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Token, PatternFault> {
    let is_negated = rest.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && rest.next_if_eq(&']').is_some() {
            return Ok(Token::Class { is_negated, ranges });
        }
        let low = class_character(rest)?;
        let high = if rest.next_if_eq(&'-').is_some() { class_character(rest)? } else { low };
        if low > high {
            return Err(PatternFault::BackwardsRange);
        }
        ranges.push((low, high));
    }
}

fn class_character(
    rest: &mut std::iter::Peekable<std::str::Chars<'_>>,
) -> Result<char, PatternFault> {
    match rest.next() {
        None => Err(PatternFault::UnclosedClass),
        Some('-' | ']') => Err(PatternFault::BadClass),
        Some('\\') => rest.next().ok_or(PatternFault::UnclosedClass),
        Some(character) => Ok(character),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Patterns, paths they match, and paths they do not match.
    const TABLE: &[(&str, &[&str], &[&str])] = &[
        // No wildcard: the whole path, and characters that mean something elsewhere mean nothing.
        ("notes.md", &["notes.md"], &["notesXmd", "a/notes.md", "notes.md/x", "Notes.md", "notes"]),
        ("a/b", &["a/b"], &["a", "b", "x/a/b", "a/b/c"]),
        ("w(1)+{x}|$.^", &["w(1)+{x}|$.^"], &["w1", "w(1)+{x}|$."]),
        ("]", &["]"], &["["]),
        ("ключ-☃", &["ключ-☃"], &["ключ-"]),
        // `*` stays within a name and may be nothing.
        ("*", &["a", ".env", "a\nb", "☃"], &["a/b"]),
        ("*.tmp", &["x.tmp", ".tmp"], &["d/x.tmp", "x.tmp2", "xtmp"]),
        ("a*", &["a", "ab"], &["a/b", "ba"]),
        ("a*/b", &["a/b", "axx/b"], &["a/c/b", "a/b/c"]),
        ("*a*b*c*", &["abc", "xaxbxcx", "aabbcc"], &["acb", "ab", "a/b/c"]),
        ("p*q?r*s", &["pq1rs", "pxxqyrzzs"], &["pqrs", "pxxqyrzz"]),
        // `?` is one character of a name.
        ("a?c", &["abc", "a☃c", "a?c"], &["ac", "a/c", "abbc"]),
        ("???", &["abc", "яяя"], &["ab", "abcd", "a/b"]),
        // Classes.
        ("v[0-9]", &["v0", "v9"], &["v", "va", "v10"]),
        ("v[^0-9]", &["va", "v☃", "v/"], &["v1", "v"]),
        ("[a-cx-z]", &["b", "y"], &["d", "w"]),
        ("[α-ω]*", &["β", "βeta"], &["beta"]),
        ("[\\]x]", &["]", "x"], &["\\", "y"]),
        ("[\\-a]", &["-", "a"], &["b"]),
        ("[!a]", &["!", "a"], &["b"]),
        ("[a^]", &["a", "^"], &["b"]),
        ("[*?.]", &["*", "?", "."], &["x", "**"]),
        ("[[]", &["["], &["]"]),
        // Escapes.
        ("a\\*b", &["a*b"], &["ab", "axb", "a\\*b"]),
        ("a\\\\", &["a\\"], &["a", "a\\\\"]),
        ("\\d", &["d"], &["1", "\\d"]),
        ("\\[x\\]", &["[x]"], &["x"]),
        ("**/\\!x", &["!x", "a/!x"], &["x", "b!x"]),
        // `**` in front: any depth, none included; without `/` it is a mere ending.
        ("**", &["a", "a/b", ".x/y/z", "a\nb/c"], &[]),
        ("**/x", &["x", "a/x", "a/b/x"], &["ax", "x/a", "a/bx"]),
        ("**x", &["x", "ax", "a/b/cx"], &["xa", "x/a"]),
        ("**/x/y", &["x/y", "a/x/y", "a/b/x/y"], &["x", "y", "ax/y", "x/y/z"]),
        ("**/.env", &[".env", "a/.env"], &["x.env", ".env2", "a/x.env"]),
        ("**/*.pyc", &["a.pyc", "a/b.pyc", "a/b/c.pyc"], &["a.py", "a.pyc/b"]),
        ("**x*", &["x", "xy", "a/xy"], &["ax", "b/ax"]),
        ("**/**/x*", &["x", "xy", "a/b/xy"], &["yx"]),
        ("***", &["a", "a/b"], &[]),
        // `**` at the end: what is below, not the folder itself.
        ("a/**", &["a/b", "a/b/c", "a/"], &["a", "ab", "b/a"]),
        ("a**", &["a", "ab", "a/b", "ab/c"], &["b", "ba"]),
        ("*/**", &["a/b", "a/b/c"], &["a"]),
        ("**/a/**", &["a/b", "x/a/b/c"], &["a", "x/a", "xa/b"]),
        ("**/**", &["a", "a/b"], &[]),
        // `**` in the middle: whole names or nothing.
        ("a/**/b", &["a/b", "a/x/b", "a/x/y/b"], &["ab", "a/xb", "b", "a/b/c"]),
        ("a**/b", &["a/b", "ab", "ax/b", "a/x/b"], &["axb", "b"]),
        ("a**/*.t", &["a/x.t", "a.t", "a/b/x.t", "ax/y.t"], &["b.t", "a/x.u"]),
        ("a/*.t**", &["a/x.t", "a/x.tt", "a/x.t/y"], &["a/b/x.t"]),
    ];

    #[test]
    fn matches_as_docker_does() {
        for (pattern, matching, others) in TABLE {
            let glob = Glob::parse(pattern).unwrap();
            for path in *matching {
                assert!(glob.matches(path), "`{pattern}` matches {path:?}");
            }
            for path in *others {
                assert!(!glob.matches(path), "`{pattern}` does not match {path:?}");
            }
        }
    }

    #[test]
    fn refuses_what_docker_refuses() {
        use PatternFault::{BackwardsRange, BadClass, TrailingEscape, UnclosedClass};
        let table = [
            ("[", UnclosedClass),
            ("a[", UnclosedClass),
            ("[^", UnclosedClass),
            ("[^bc", UnclosedClass),
            ("[a-", UnclosedClass),
            ("x*[a", UnclosedClass),
            ("[a\\", UnclosedClass),
            ("[]", BadClass),
            ("[]a]", BadClass),
            ("[^]a]", BadClass),
            ("[-]", BadClass),
            ("[-x]", BadClass),
            ("[x-]", BadClass),
            ("[a-b-c]", BadClass),
            ("[z-a]", BackwardsRange),
            ("\\", TrailingEscape),
            ("a/b\\", TrailingEscape),
        ];
        for (pattern, fault) in table {
            assert_eq!(Glob::parse(pattern), Err(fault), "`{pattern}`");
        }
    }

    #[test]
    fn knows_below_which_folders_it_may_match() {
        let table: &[(&str, &[&str], &[&str])] = &[
            ("a/b/c", &["a", "a/b"], &["a/b/c", "b", "a/x"]),
            ("a/**", &["a", "a/b"], &["b"]),
            ("a**", &["a", "ab"], &["b"]),
            ("**/x", &["a", "a/b"], &[]),
            ("*/x", &["a"], &["a/b", "a/x"]),
            ("a/**/x/*.t", &["a", "a/q/r", "a/x"], &["b"]),
            ("a?/[b-d]/e", &["ax", "ax/c"], &["a", "ax/e", "axy"]),
        ];
        for (pattern, folders, others) in table {
            let glob = Glob::parse(pattern).unwrap();
            for folder in *folders {
                assert!(glob.may_match_below(folder), "`{pattern}` below `{folder}`");
            }
            for folder in *others {
                assert!(!glob.may_match_below(folder), "`{pattern}` not below `{folder}`");
            }
        }
    }

    #[test]
    fn hard_patterns_and_long_lines_cost_little() {
        let path = "a".repeat(1000);
        let hard = format!("{}b", "*a".repeat(300));
        assert!(!Glob::parse(&hard).unwrap().matches(&path));
        let folders = format!("{}b", "**/*a/".repeat(100));
        assert!(!Glob::parse(&folders).unwrap().matches(&"a/".repeat(200)));
        for piece in ["x", "?", "*", "**/", "*a", "[a-z]"] {
            let long = piece.repeat(1024 * 1024 / piece.len());
            let glob = Glob::parse(&format!("{long}b*")).unwrap();
            assert!(!glob.matches(&path), "{piece}");
            assert_eq!(glob.may_match_below("no/such"), piece.starts_with("**") || piece == "*");
        }
    }
}
