//! YAML text becomes a [`Node`] tree, with the place of every key and value.
//!
//! Works on the parser's events rather than on deserialised values: only there an unquoted `0644` is
//! still `0644`, and only there a second key of the same name still has a place. Anchors and merge
//! keys are applied; what they may expand to is bounded, and so is nesting.

mod fault;
mod merge;
mod size;

use std::collections::BTreeMap;
use std::sync::Arc;

use granit_parser::{Event, Marker, Parser, ScalarStyle, StrInput};

use self::fault::{Step, explain, fault, too_deep};
use self::merge::{Member, mergeable, merged};
use self::size::Size;
use super::{Key, Node, Position, Problems, Value};

/// The deepest nesting that is read, aliases included.
const MAX_DEPTH: usize = 64;

/// What all anchors and aliases of a file may expand to; see [`Size`].
const MAX_EXPANDED_BYTES: usize = 16 << 20;

/// A YAML file that was read: its text, its tree, and the keys that stand in it twice.
#[derive(Debug, Clone, PartialEq)]
pub struct ParsedFile {
    /// The text, without a byte order mark.
    pub text: Arc<str>,
    /// The tree; of keys that stand twice it has the last.
    pub root: Node,
    /// Keys that stand twice. Whether that is refused is up to the format of the file.
    pub duplicates: Vec<Duplicate>,
}

/// A key that stands twice in one mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicate {
    /// The second one.
    pub key: Key,
    /// Where the first one stands.
    pub first: Position,
    /// The top-level key under which both stand; the key itself when it is one.
    pub section: String,
}

impl ParsedFile {
    /// Reads a file's text; reports what keeps it from being read.
    pub fn parse(text: &str, file: &Arc<str>, problems: &mut Problems) -> Option<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        problems.add_text(file, text);
        let mut builder = Builder::new(text, file);
        match builder.document() {
            Ok(root) => Some(Self { text: text.into(), root, duplicates: builder.duplicates }),
            Err(fault) => {
                match fault.hint {
                    Some(hint) => problems.report_with_hint(&fault.position, fault.message, hint),
                    None => problems.report(&fault.position, fault.message),
                }
                None
            }
        }
    }

    /// Reports the duplicate keys for which `is_ours` is true of their section.
    pub fn report_duplicates(&self, is_ours: impl Fn(&str) -> bool, problems: &mut Problems) {
        for duplicate in self.duplicates.iter().filter(|duplicate| is_ours(&duplicate.section)) {
            problems.report_with_hint(
                &duplicate.key.position,
                format!("the key `{}` stands here twice", duplicate.key.text.escape_debug()),
                format!("the first one is in line {}: remove one of them", duplicate.first.line),
            );
        }
    }
}

impl Node {
    /// Reads YAML text in which no key may stand twice.
    pub fn parse_yaml(text: &str, file: &str, problems: &mut Problems) -> Option<Self> {
        let parsed = ParsedFile::parse(text, &file.into(), problems)?;
        parsed.report_duplicates(|_| true, problems);
        Some(parsed.root)
    }
}

struct Builder<'text> {
    events: Parser<'text, StrInput<'text>>,
    text: &'text str,
    file: Arc<str>,
    /// What the anchors stand for; one that is missing has not ended yet.
    anchors: BTreeMap<usize, Anchored>,
    expanded_bytes: usize,
    section: String,
    duplicates: Vec<Duplicate>,
}

struct Anchored {
    node: Node,
    size: Size,
}

impl<'text> Builder<'text> {
    fn new(text: &'text str, file: &Arc<str>) -> Self {
        let mut options = granit_parser::options! {
            flow_nesting_limit: MAX_DEPTH,
            block_nesting_limit: MAX_DEPTH,
        };
        options.set_emit_comments(false);
        Self {
            events: Parser::new_from_str_with_options(text, options),
            text,
            file: file.clone(),
            anchors: BTreeMap::new(),
            expanded_bytes: 0,
            section: String::new(),
            duplicates: Vec::new(),
        }
    }

    /// The one document of the file.
    fn document(&mut self) -> Step<Node> {
        let mut root = None;
        loop {
            let (event, position) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(..) if root.is_some() => {
                    return Err(fault(position, "a second document begins here")
                        .hint("keep one document, without `---` between its parts"));
                }
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                event => root = Some(self.node(event, position, 0)?),
            }
        }
        root.filter(|root| root.value != Value::Null).ok_or_else(|| {
            fault(Position { file: self.file.clone(), line: 0, column: 0 }, "the file is empty")
        })
    }

    fn next(&mut self) -> Step<(Event<'text>, Position)> {
        match self.events.next_event() {
            Some(Ok((event, span))) => Ok((event, self.position(&span.start))),
            Some(Err(error)) => Err(explain(&error, self.position(error.marker()), self.text)),
            None => Ok((Event::StreamEnd, Position::default())),
        }
    }

    fn node(&mut self, event: Event<'text>, position: Position, depth: usize) -> Step<Node> {
        if depth > MAX_DEPTH {
            return Err(too_deep(position));
        }
        let tag = event.tag();
        if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) {
            let tag = tag.original();
            return Err(fault(position, format!("the tag `{}` is not known", tag.escape_debug()))
                .hint("remove the tag"));
        }
        let is_text_by_tag = tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str"));
        let anchor = event.anchor_id();
        let value = match event {
            Event::Scalar(text, style, ..) => {
                scalar(text.into_owned(), style == ScalarStyle::Plain && !is_text_by_tag)
            }
            Event::SequenceStart(..) => self.sequence(depth)?,
            Event::MappingStart(..) => self.mapping(depth)?,
            Event::Alias(id) => return self.alias(id, position, depth),
            _ => return Err(fault(position, "a value is missing here")),
        };
        let node = Node { value, position };
        if let Some(id) = anchor {
            let size = Size::of(&node);
            self.spend(size, &node.position)?;
            self.anchors.insert(id, Anchored { node: node.clone(), size });
        }
        Ok(node)
    }

    fn sequence(&mut self, depth: usize) -> Step<Value> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::Sequence(items)),
                (event, position) => items.push(self.node(event, position, depth + 1)?),
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Step<Value> {
        let mut members = Vec::new();
        // Where a key stands in `members`: looking through them would be quadratic.
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        loop {
            let (event, position) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Ok(Value::Mapping(merged(members, &places)));
            }
            let (key, is_merge) = self.key(event, position, depth)?;
            if depth == 0 {
                self.section.clone_from(&key.text);
            }
            let (event, position) = self.next()?;
            let value = self.node(event, position, depth + 1)?;
            let place = places.get(&key.text).copied();
            if let Some(Member::Pair(first, _)) = place.map(|place| &members[place]) {
                self.duplicates.push(Duplicate {
                    key: key.clone(),
                    first: first.position.clone(),
                    section: self.section.clone(),
                });
            }
            let name = key.text.clone();
            let member =
                if is_merge { Member::Merge(mergeable(value)?) } else { Member::Pair(key, value) };
            if let Some(place) = place {
                members[place] = member;
            } else {
                places.insert(name, members.len());
                members.push(member);
            }
        }
    }

    /// A key, and whether it is the merge key.
    fn key(&mut self, event: Event<'text>, position: Position, depth: usize) -> Step<(Key, bool)> {
        let node = self.node(event, position, depth + 1)?;
        let position = node.position;
        match node.value {
            Value::Scalar { text, is_plain } => {
                let is_merge = is_plain && text == "<<";
                Ok((Key { text, position }, is_merge))
            }
            Value::Null => Err(fault(position, "a key is missing here")),
            Value::Sequence(_) | Value::Mapping(_) => {
                Err(fault(position, "a key is a single text, not a list or a mapping")
                    .hint("put it in quotes when it is meant as text"))
            }
        }
    }

    fn alias(&mut self, id: usize, position: Position, depth: usize) -> Step<Node> {
        let Some(Anchored { node, size }) = self.anchors.get(&id) else {
            return Err(fault(position, "the alias stands inside of what it refers to"));
        };
        let (node, size) = (node.clone(), *size);
        if depth + size.depth > MAX_DEPTH {
            return Err(too_deep(position));
        }
        self.spend(size, &position)?;
        Ok(node)
    }

    fn spend(&mut self, size: Size, position: &Position) -> Step<()> {
        self.expanded_bytes += size.bytes;
        if self.expanded_bytes <= MAX_EXPANDED_BYTES {
            return Ok(());
        }
        let message =
            format!("anchors and aliases expand to more than {} MiB", MAX_EXPANDED_BYTES >> 20);
        Err(fault(position.clone(), message).hint("write out what is needed"))
    }

    fn position(&self, marker: &Marker) -> Position {
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Position {
            file: self.file.clone(),
            line: number(marker.line()),
            column: number(marker.col().saturating_add(1)),
        }
    }
}

fn scalar(text: String, is_plain: bool) -> Value {
    match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" if is_plain => Value::Null,
        _ => Value::Scalar { text, is_plain },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The tree in one line: quotes show what was quoted, `@` where it stands.
    fn show(node: &Node) -> String {
        let at = format!("@{}:{}", node.position.line, node.position.column);
        match &node.value {
            Value::Null => format!("null{at}"),
            Value::Scalar { text, is_plain: true } => format!("{text}{at}"),
            Value::Scalar { text, is_plain: false } => format!("{text:?}{at}"),
            Value::Sequence(items) => {
                format!("[{}]{at}", items.iter().map(show).collect::<Vec<_>>().join(", "))
            }
            Value::Mapping(members) => {
                let member = |(key, value): &(Key, Node)| {
                    let Position { line, column, .. } = key.position;
                    format!("{}@{line}:{column}: {}", key.text, show(value))
                };
                format!("{{{}}}{at}", members.iter().map(member).collect::<Vec<_>>().join(", "))
            }
        }
    }

    fn read(text: &str) -> Result<String, String> {
        let mut problems = Problems::new();
        let node = Node::parse_yaml(text, "f", &mut problems);
        match node {
            Some(node) if problems.is_empty() => Ok(show(&node)),
            _ => Err(problems
                .list()
                .into_iter()
                .map(|problem| {
                    let hint = problem.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
                    format!("{}: {}{hint}", problem.position, problem.message)
                })
                .collect::<Vec<_>>()
                .join("\n")),
        }
    }

    #[test]
    fn every_key_and_value_has_its_place_and_its_text() {
        for (text, tree) in [
            ("a: 0644\nb: \"0644\"\n", r#"{a@1:1: 0644@1:4, b@2:1: "0644"@2:4}@1:1"#),
            ("a: !!str 80", r#"{a@1:1: "80"@1:10}@1:1"#),
            ("- 1e3\n- ~\n-\n- 'null'", r#"[1e3@1:3, null@2:3, null@3:2, "null"@4:3]@1:1"#),
            ("\u{feff}a: b", "{a@1:1: b@1:4}@1:1"),
            ("a: b\r\nc: d\r\n", "{a@1:1: b@1:4, c@2:1: d@2:4}@1:1"),
            ("# note\n---\na: {b: [c]}\n...\n", "{a@3:1: {b@3:5: [c@3:9]@3:8}@3:4}@3:1"),
            (
                "é: ü: x\n",
                "f:1:5: this is not valid YAML: mapping values are not allowed in this context; look at the brackets, quotes and indentation at and before this place",
            ),
            ("a: |\n  x\n  y\n", r#"{a@1:1: "x\ny\n"@2:3}@1:1"#),
            ("a: yes # a word", "{a@1:1: yes@1:4}@1:1"),
        ] {
            assert_eq!(read(text).unwrap_or_else(|problems| problems), tree, "{text}");
        }
    }

    #[test]
    fn anchors_and_merge_keys_are_applied() {
        for (text, tree) in [
            ("a: &x 1\nb: *x", "{a@1:1: 1@1:7, b@2:1: 1@1:7}@1:1"),
            (
                "x: &x {a: 1, b: 2}\ny:\n  <<: *x\n  b: 3",
                "{x@1:1: {a@1:8: 1@1:11, b@1:14: 2@1:17}@1:7, \
                  y@2:1: {a@1:8: 1@1:11, b@4:3: 3@4:6}@3:3}@1:1",
            ),
            (
                "- &a {k: 1}\n- &b {k: 2, l: 3}\n- <<: [*a, *b]",
                "[{k@1:7: 1@1:10}@1:6, {k@2:7: 2@2:10, l@2:13: 3@2:16}@2:6, \
                  {k@1:7: 1@1:10, l@2:13: 3@2:16}@3:3]@1:1",
            ),
            ("\"<<\": x", "{<<@1:1: x@1:7}@1:1"),
        ] {
            assert_eq!(read(text).unwrap_or_else(|problems| problems), tree, "{text}");
        }
    }

    #[test]
    fn says_what_it_cannot_read_and_where() {
        for (text, problem) in [
            ("", "f: the file is empty"),
            ("# only a note\n", "f: the file is empty"),
            (
                "a: 1\nb: 2\na: 3",
                "f:3:1: the key `a` stands here twice; the first one is in line 1: remove one of them",
            ),
            ("a:\n\tb: 1", "f:2:1: a tab cannot indent YAML; replace the tab by spaces"),
            (
                "a:\n  - b: c\n  \td: e\n",
                "f:3:3: a tab cannot indent YAML; replace the tab by spaces",
            ),
            (
                "a:\n  b: c\n\td: e\nf: g\n",
                "f:3:1: a tab cannot indent YAML; replace the tab by spaces",
            ),
            (
                "a: 1\n---\nb: 2",
                "f:2:1: a second document begins here; keep one document, without `---` between its parts",
            ),
            (
                "[a]: 1",
                "f:1:1: a key is a single text, not a list or a mapping; put it in quotes when it is meant as text",
            ),
            (
                "? {a: b}\n: 1",
                "f:1:3: a key is a single text, not a list or a mapping; put it in quotes when it is meant as text",
            ),
            ("~: 1", "f:1:1: a key is missing here"),
            ("a: *b", "f:1:4: the alias refers to no anchor above it"),
            ("a: &a [*a]", "f:1:8: the alias stands inside of what it refers to"),
            ("a: !Ref b", "f:1:9: the tag `!Ref` is not known; remove the tag"),
            (
                "a: {<<: 1}",
                "f:1:9: `<<` takes a mapping, or a list of mappings; name an anchor: `<<: *defaults`",
            ),
        ] {
            assert_eq!(read(text).unwrap_err(), problem, "{text}");
        }
    }

    #[test]
    fn what_a_file_expands_to_is_bounded() {
        let bomb = (1..12).fold("a0: &a0 [x]\n".to_owned(), |text, level| {
            let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
            format!("{text}a{level}: &a{level} [{aliases}]\n")
        });
        assert!(read(&bomb).unwrap_err().contains("expand to more than 16 MiB"));

        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(read(&deep(60)).is_ok());
        assert_eq!(read(&deep(70)).unwrap_err(), "f:1:65: the nesting is deeper than 64 levels");
        let tower = (1..40).fold("a0: &a0 [[x]]\n".to_owned(), |text, level| {
            format!("{text}a{level}: &a{level} [[*a{}]]\n", level - 1)
        });
        assert!(read(&tower).unwrap_err().contains("deeper than 64 levels"));
    }

    #[test]
    fn many_keys_are_read_in_no_time() {
        let lines: Vec<_> = (0..100_000).map(|number| format!("k{number}: 1\n")).collect();
        let text = lines.concat();
        assert!(read(&text).is_ok());
    }

    proptest! {
        #[test]
        fn never_panics_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn never_panics_on_anything_like_yaml(text in "([a-c ]|[-:?,&*!<>|'\"%@`{}\\[\\]#~\n\t\r]|<<: |- |: |\\*a|&a ){0,80}") {
            let _ = read(&text);
        }
    }
}
