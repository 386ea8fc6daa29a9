//! What is different about two layers: the first member, and which field of it.

use std::fmt;
use std::io::{self, Read};

use super::error::ArchiveError;
use super::limits::Limits;
use super::members::{Member, MemberKind, Members};
use crate::oci::{Digest, Digester};

/// The most that is shown of a text of a stranger, in characters.
const MAX_SHOWN_CHARACTERS: usize = 200;

/// The first thing in which a given layer differs from one of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// Only the given layer has this member.
    OnlyGiven {
        /// Its path.
        path: String,
    },
    /// Only our layer has this member.
    OnlyOurs {
        /// Its path.
        path: String,
    },
    /// The given layer has this member twice, or not where it belongs.
    Order {
        /// Its path.
        path: String,
    },
    /// A field of a member.
    Field {
        /// The member's path.
        path: String,
        /// Which one.
        field: &'static str,
        /// Its value in the given layer.
        given: String,
        /// Its value in ours.
        ours: String,
    },
    /// The content of a file, of the same size.
    Content {
        /// Its path.
        path: String,
        /// The first byte that differs, counted from 0.
        offset: u64,
    },
    /// What the fields say is the same, and said in another way: names of owners, kinds of headers.
    Header {
        /// The member's path.
        path: String,
    },
    /// Every member is the same; what is between or behind them is not.
    Form,
}

impl Difference {
    /// The member, where it is about one.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::OnlyGiven { path }
            | Self::OnlyOurs { path }
            | Self::Order { path }
            | Self::Field { path, .. }
            | Self::Content { path, .. }
            | Self::Header { path } => Some(path),
            Self::Form => None,
        }
    }

    /// In what it differs, in a word.
    pub fn field(&self) -> &'static str {
        match self {
            Self::OnlyGiven { .. } | Self::OnlyOurs { .. } => "presence",
            Self::Order { .. } => "order",
            Self::Field { field, .. } => field,
            Self::Content { .. } => "content",
            Self::Header { .. } => "header",
            Self::Form => "form",
        }
    }

    /// The values of that field, the given one first, where it has two that can be told.
    pub fn values(&self) -> Option<(&str, &str)> {
        match self {
            Self::Field { given, ours, .. } => Some((given, ours)),
            _ => None,
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = self.path() {
            write!(formatter, "`{}` ", shown(path))?;
        }
        match self {
            Self::OnlyGiven { .. } => formatter.write_str("is only in the image"),
            Self::OnlyOurs { .. } => formatter.write_str("is only in what is built here"),
            Self::Order { .. } => formatter.write_str("comes twice in the image, or out of order"),
            Self::Field { field, given, ours, .. } => {
                let (given, ours) = (shown(given), shown(ours));
                write!(formatter, "has {field} {given} in the image, {ours} built here")
            }
            Self::Content { offset, .. } => {
                write!(formatter, "has other content in the image, from byte {offset} on")
            }
            Self::Header { .. } => {
                formatter.write_str("is the same, its header is written in another way")
            }
            Self::Form => formatter
                .write_str("every member is the same, the tar between or behind them is not"),
        }
    }
}

/// Why two layers cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The given layer is no layer, or cannot be read.
    #[error("{0}")]
    Given(ArchiveError),
    /// Our own layer cannot be read.
    #[error("the layer that was built cannot be read again: {0}")]
    Ours(ArchiveError),
}

/// Compares two unpacked layers; `None` when they have the same bytes. Ours has its members in the order of
/// their paths, each once.
///
/// # Errors
///
/// [`CompareError`] when one of them cannot be read to where the answer is known.
pub fn difference(
    given: impl Read,
    ours: impl Read,
    limits: Limits,
) -> Result<Option<Difference>, CompareError> {
    let mut given = Members::new(Hashed::new(given), limits);
    let mut ours = Members::new(Hashed::new(ours), limits);
    if let Some(found) = difference_of_members(&mut given, &mut ours)? {
        return Ok(Some(found));
    }
    let (given, ours) = (given.into_inner(), ours.into_inner());
    let (ours, rest_bytes) =
        ours.finish(u64::MAX).map_err(|error| CompareError::Ours(error.into()))?;
    // One byte more shows that there is more: a stranger may send zeros for ever.
    let (given, _) = given
        .finish(rest_bytes.saturating_add(1))
        .map_err(|error| CompareError::Given(error.into()))?;
    Ok((given != ours).then_some(Difference::Form))
}

fn difference_of_members<G: Read, O: Read>(
    given: &mut Members<G>,
    ours: &mut Members<O>,
) -> Result<Option<Difference>, CompareError> {
    let mut last: Option<Vec<u8>> = None;
    // Says little, so whatever comes behind it is more telling.
    let mut header = None;
    loop {
        let theirs = given.next().map_err(CompareError::Given)?;
        let own = ours.next().map_err(CompareError::Ours)?;
        let (theirs, own) = match (theirs, own) {
            (None, None) => return Ok(header),
            (None, Some(own)) => {
                return Ok(Some(Difference::OnlyOurs { path: text(name(&own.path)) }));
            }
            // Nothing of ours sorts behind it: it is new, unless it came before.
            (Some(theirs), None) => return Ok(Some(only_given(&theirs, last.as_deref()))),
            (Some(theirs), Some(own)) => (theirs, own),
        };
        let path = name(&own.path);
        if name(&theirs.path) < path {
            return Ok(Some(only_given(&theirs, last.as_deref())));
        }
        if name(&theirs.path) > path {
            let is_later = has_member(given, path).map_err(CompareError::Given)?;
            let path = text(path);
            return Ok(Some(if is_later {
                Difference::Order { path }
            } else {
                Difference::OnlyOurs { path }
            }));
        }
        if let Some(found) = difference_of_fields(&theirs, &own) {
            return Ok(Some(found));
        }
        if let Some(offset) = difference_of_content(given, ours)? {
            return Ok(Some(Difference::Content { path: text(path), offset }));
        }
        if theirs.headers != own.headers {
            header = header.or_else(|| Some(Difference::Header { path: text(path) }));
        }
        last = Some(path.to_vec());
    }
}

/// A member that ours does not have here. Whatever sorts before the last one had its place before.
fn only_given(member: &Member, last: Option<&[u8]>) -> Difference {
    let path = text(name(&member.path));
    if last.is_some_and(|last| name(&member.path) <= last) {
        Difference::Order { path }
    } else {
        Difference::OnlyGiven { path }
    }
}

/// Whether a member with this path is still to come.
fn has_member<R: Read>(members: &mut Members<R>, path: &[u8]) -> Result<bool, ArchiveError> {
    while let Some(member) = members.next()? {
        if name(&member.path) == path {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A field as it is shown.
type Show = fn(&Member) -> String;

fn difference_of_fields(given: &Member, ours: &Member) -> Option<Difference> {
    let fields: [(&str, Show); 7] = [
        ("type", kind),
        ("mode", |member| format!("{:04o}", member.mode)),
        ("owner", |member| format!("{}:{}", member.uid, member.gid)),
        ("time", |member| member.mtime.clone()),
        ("size", |member| member.size_bytes.to_string()),
        ("target", target),
        ("attributes", attributes),
    ];
    fields.into_iter().find_map(|(field, value)| {
        let path = || text(name(&ours.path));
        let (given, ours) = (value(given), value(ours));
        (given != ours).then(|| Difference::Field { path: path(), field, given, ours })
    })
}

pub(super) fn kind(member: &Member) -> String {
    match member.kind {
        MemberKind::Directory => "folder".to_owned(),
        MemberKind::File => "file".to_owned(),
        MemberKind::Symlink(_) => "symbolic link".to_owned(),
        MemberKind::HardLink(_) => "hard link".to_owned(),
        MemberKind::Other(b'3') => "character device".to_owned(),
        MemberKind::Other(b'4') => "block device".to_owned(),
        MemberKind::Other(b'6') => "FIFO".to_owned(),
        MemberKind::Other(flag) => char::from(flag).to_string(),
    }
}

pub(super) fn target(member: &Member) -> String {
    match &member.kind {
        MemberKind::Symlink(target) | MemberKind::HardLink(target) => format!("`{}`", text(target)),
        MemberKind::Directory | MemberKind::File | MemberKind::Other(_) => String::new(),
    }
}

/// The attributes with the digests of their values, which are binary.
pub(super) fn attributes(member: &Member) -> String {
    let pair = |(key, value): (&Vec<u8>, &Vec<u8>)| {
        format!("{} ({})", text(key), Digest::of(value).short())
    };
    let pairs: Vec<_> = member.attributes.iter().map(pair).collect();
    if pairs.is_empty() { "none".to_owned() } else { pairs.join(", ") }
}

/// Where the contents of two files of the same size part.
fn difference_of_content<G: Read, O: Read>(
    given: &mut Members<G>,
    ours: &mut Members<O>,
) -> Result<Option<u64>, CompareError> {
    let (mut theirs, mut own) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let mut offset = 0;
    loop {
        let count = given.read_content(&mut theirs).map_err(CompareError::Given)?;
        ours.read_content(&mut own).map_err(CompareError::Ours)?;
        let pairs = theirs[..count].iter().zip(&own[..count]);
        if let Some(place) = pairs.into_iter().position(|(theirs, own)| theirs != own) {
            return Ok(Some(offset + place as u64));
        }
        if count == 0 {
            return Ok(None);
        }
        offset += count as u64;
    }
}

/// A path without the `/` that ends a folder's.
fn name(path: &[u8]) -> &[u8] {
    path.strip_suffix(b"/").unwrap_or(path)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The text on one line, without what steers a terminal, not too long.
fn shown(text: &str) -> String {
    let mut line = text.chars().take(MAX_SHOWN_CHARACTERS).collect::<String>();
    line = line.escape_debug().to_string();
    if text.chars().nth(MAX_SHOWN_CHARACTERS).is_some() {
        line.push('…');
    }
    line
}

/// Hashes what is read.
struct Hashed<R> {
    inner: R,
    digester: Digester,
}

impl<R: Read> Hashed<R> {
    fn new(inner: R) -> Self {
        Self { inner, digester: Digester::default() }
    }

    /// Reads the rest, up to a number of bytes; gives the digest of everything, and how much that was.
    fn finish(mut self, most_bytes: u64) -> io::Result<(Digest, u64)> {
        let rest_bytes = io::copy(&mut (&mut self).take(most_bytes), &mut io::sink())?;
        Ok((self.digester.finish(), rest_bytes))
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.digester.update(&buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use tar::{Builder, EntryType, Header};

    use super::*;

    /// A member of a tar: path, type, and what its header and content say.
    #[derive(Clone)]
    struct Made {
        path: &'static str,
        header: Header,
        content: &'static [u8],
        attribute: Option<(&'static str, &'static [u8])>,
    }

    fn made(path: &'static str, kind: EntryType, content: &'static [u8]) -> Made {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        if kind == EntryType::Symlink {
            header.set_link_name("target").unwrap();
        }
        Made { path, header, content, attribute: None }
    }

    fn ours() -> Vec<Made> {
        vec![
            made("srv/", EntryType::Directory, b""),
            made("srv/a", EntryType::Regular, b"content"),
            made("srv/b", EntryType::Symlink, b""),
        ]
    }

    fn tar(members: &[Made]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for Made { path, header, content, attribute } in members {
            builder.append_pax_extensions(*attribute).unwrap();
            let mut header = header.clone();
            header.set_path(path).unwrap();
            header.set_cksum();
            builder.append(&header, *content).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn compare(given: &[u8]) -> Result<Option<Difference>, CompareError> {
        difference(given, &tar(&ours())[..], Limits::GENEROUS)
    }

    type Change = fn(&mut Vec<Made>);

    #[test]
    fn the_first_member_that_differs_is_named_with_its_field() {
        let cases: [(Change, Option<(&str, &str)>); 21] = [
            (|_| {}, None),
            (
                |given| given.insert(2, made("srv/aa", EntryType::Regular, b"")),
                Some(("presence", "`srv/aa` is only in the image")),
            ),
            (
                |given| given.push(made("z\u{1b}[2J", EntryType::Regular, b"")),
                Some(("presence", "`z\\u{1b}[2J` is only in the image")),
            ),
            (
                |given| given.retain(|made| made.path != "srv/a"),
                Some(("presence", "`srv/a` is only in what is built here")),
            ),
            (
                |given| given.truncate(2),
                Some(("presence", "`srv/b` is only in what is built here")),
            ),
            (|given| given.clear(), Some(("presence", "`srv` is only in what is built here"))),
            (
                |given| given.swap(1, 2),
                Some(("order", "`srv/a` comes twice in the image, or out of order")),
            ),
            (
                |given| given.insert(2, given[1].clone()),
                Some(("order", "`srv/a` comes twice in the image, or out of order")),
            ),
            (
                |given| given.push(given[0].clone()),
                Some(("order", "`srv` comes twice in the image, or out of order")),
            ),
            (
                |given| given[2] = made("srv/b", EntryType::Regular, b""),
                Some(("type", "`srv/b` has type file in the image, symbolic link built here")),
            ),
            (
                |given| given[1] = made("srv/a", EntryType::Char, b""),
                Some(("type", "`srv/a` has type character device in the image, file built here")),
            ),
            (
                |given| given[1].header.set_mode(0o4755),
                Some(("mode", "`srv/a` has mode 4755 in the image, 0644 built here")),
            ),
            (
                |given| given[1].header.set_uid(7),
                Some(("owner", "`srv/a` has owner 7:0 in the image, 0:0 built here")),
            ),
            (
                |given| given[0].header.set_gid(8),
                Some(("owner", "`srv` has owner 0:8 in the image, 0:0 built here")),
            ),
            (
                |given| given[1].header.set_mtime(9),
                Some(("time", "`srv/a` has time 9 in the image, 0 built here")),
            ),
            (
                |given| given[1] = made("srv/a", EntryType::Regular, b"content and more"),
                Some(("size", "`srv/a` has size 16 in the image, 7 built here")),
            ),
            (
                |given| given[2].header.set_link_name("/etc/passwd").unwrap(),
                Some((
                    "target",
                    "`srv/b` has target `/etc/passwd` in the image, `target` built here",
                )),
            ),
            (
                |given| given[1].attribute = Some(("SCHILY.xattr.security.capability", b"\x01\n")),
                Some((
                    "attributes",
                    "`srv/a` has attributes SCHILY.xattr.security.capability (c04b5bb1a5b2) in the \
                     image, none built here",
                )),
            ),
            (
                |given| given[1].content = b"conTent",
                Some(("content", "`srv/a` has other content in the image, from byte 3 on")),
            ),
            (
                |given| given[1].header.as_ustar_mut().unwrap().uname[0] = b'x',
                Some(("header", "`srv/a` is the same, its header is written in another way")),
            ),
            (
                |given| given[2].attribute = Some(("mtime", b"0")),
                Some(("header", "`srv/b` is the same, its header is written in another way")),
            ),
        ];
        for (number, (change, expected)) in cases.into_iter().enumerate() {
            let mut given = ours();
            change(&mut given);
            let found = compare(&tar(&given)).unwrap();
            let found = found.map(|found| (found.field(), found.to_string()));
            let expected = expected.map(|(field, text)| (field, text.to_owned()));
            assert_eq!(found, expected, "case {number}");
        }
    }

    #[test]
    fn bytes_between_and_behind_the_members_count() {
        let mut padded = tar(&ours());
        padded.extend([0; 512]);
        assert_eq!(compare(&padded).unwrap(), Some(Difference::Form));
        // Behind the content of the file, which is the second member.
        let mut between = tar(&ours());
        between[1024 + 7] = b'x';
        assert_eq!(compare(&between).unwrap(), Some(Difference::Form));
    }

    #[test]
    fn what_is_no_layer_is_an_error() {
        let tar = tar(&ours());
        for (given, expected) in [
            (&b"no tar at all"[..], "its tar archive is cut off"),
            (&[b'x'; 1024], "it is no tar archive"),
            (&tar[..1024 + 3], "its tar archive is cut off"),
        ] {
            assert_eq!(compare(given).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn a_long_text_is_cut() {
        assert_eq!(shown(&"a".repeat(200)).chars().count(), 200);
        assert_eq!(shown(&"a".repeat(201)).chars().count(), 201);
        assert!(shown(&"a".repeat(201)).ends_with('…'));
    }
}
