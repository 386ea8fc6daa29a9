//! The members of a tar archive as a stranger wrote it.
//!
//! The fields of a header are decoded by the crate `tar`. The walk from header to header is ours:
//! the crate reads extended headers of any size into memory, takes a newline in a binary attribute
//! for the end of a PAX record, and then misses the name or the size behind it.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Read};

use tar::{EntryType, Header};

use super::error::ArchiveError;
use super::limits::Limits;
use crate::oci::{Digest, Digester};

const BLOCK_BYTES: u64 = 512;

/// So much of what nobody asks for is read at once.
const SKIPPED_BYTES: usize = 128 * 1024;

/// One member, as its headers describe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// As written: a folder's may end in `/`.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: MemberKind,
    /// Permission bits.
    pub mode: u32,
    /// The user that owns it.
    pub uid: u64,
    /// The group that owns it.
    pub gid: u64,
    /// When its content was changed: seconds since 1970, with a fraction where one is written.
    pub mtime: String,
    /// The size of its content.
    pub size_bytes: u64,
    /// What else extended headers say, such as `SCHILY.xattr.security.capability`.
    pub attributes: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The digest of all its headers, which say more than what is told here: names of owners.
    pub headers: Digest,
}

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberKind {
    /// A folder.
    Directory,
    /// With its target.
    Symlink(Vec<u8>),
    /// With the path of the member it is another name of.
    HardLink(Vec<u8>),
    /// A file.
    File,
    /// A device, a FIFO, or something that nobody knows: its type flag.
    Other(u8),
}

impl Member {
    /// Its path and its target.
    fn names(&self) -> [&[u8]; 2] {
        let target = match &self.kind {
            MemberKind::Symlink(target) | MemberKind::HardLink(target) => &target[..],
            MemberKind::Directory | MemberKind::File | MemberKind::Other(_) => &[],
        };
        [&self.path, target]
    }
}

/// Reads the members of a tar archive one by one, skipping their content.
#[derive(Debug)]
pub struct Members<R> {
    reader: R,
    limits: Limits,
    /// What is left of the previous member, padding included.
    unread_bytes: u64,
    /// What is left of its content.
    content_bytes: u64,
    /// Of the headers of the next member.
    headers: Digester,
    /// The size of its extended headers.
    extension_bytes: u64,
    /// The members so far.
    entries: u64,
    /// The bytes of their names, and of the folders that these lead through.
    name_bytes: u64,
    /// The folders that are counted.
    folders: HashSet<Vec<u8>>,
    /// Where bytes go that nobody asks for.
    skipped: Box<[u8]>,
}

/// What extended headers say about the member behind them.
#[derive(Default)]
struct Extensions {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<Vec<u8>>,
    further: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl<R: Read> Members<R> {
    /// Begins at the first header.
    pub fn new(reader: R, limits: Limits) -> Self {
        Self {
            reader,
            limits,
            unread_bytes: 0,
            content_bytes: 0,
            headers: Digester::default(),
            extension_bytes: 0,
            entries: 0,
            name_bytes: 0,
            folders: HashSet::new(),
            skipped: vec![0; SKIPPED_BYTES].into(),
        }
    }

    /// What is read from, wherever it stands.
    pub fn into_inner(self) -> R {
        self.reader
    }

    /// The next member; `None` at the end of the archive.
    ///
    /// # Errors
    ///
    /// [`ArchiveError`] when it cannot be read, is no tar archive, or passes a limit.
    #[expect(clippy::should_implement_trait, reason = "an iterator has no errors of its own")]
    pub fn next(&mut self) -> Result<Option<Member>, ArchiveError> {
        let mut extensions = Extensions::default();
        self.extension_bytes = 0;
        loop {
            let Some(header) = self.header()? else { return Ok(None) };
            let kind = header.entry_type();
            let size = match extensions.size {
                Some(size) if !is_extension(kind) => size,
                _ => header.entry_size().map_err(|_| MALFORMED_NUMBER)?,
            };
            match kind {
                EntryType::XHeader => extensions.add_pax(&self.content(size)?)?,
                EntryType::GNULongName => {
                    extensions.path = Some(until_nul(self.content(size)?));
                }
                EntryType::GNULongLink => {
                    extensions.link = Some(until_nul(self.content(size)?));
                }
                // Defaults for the archive: no runtime heeds them.
                EntryType::XGlobalHeader => self.unread_bytes = padded(size)?,
                // Docker, containerd and podman all refuse it.
                EntryType::GNUSparse => {
                    return Err(ArchiveError::Malformed(
                        "it holds a sparse file, which no runtime unpacks",
                    ));
                }
                _ => {
                    let size = if has_content(kind) { size } else { 0 };
                    (self.content_bytes, self.unread_bytes) = (size, padded(size)?);
                    let headers = std::mem::take(&mut self.headers).finish();
                    let member = member(&header, extensions, size, headers)?;
                    self.count(&member)?;
                    return Ok(Some(member));
                }
            }
        }
    }

    /// Reads the content of the member that came last, in pieces; 0 at its end.
    ///
    /// # Errors
    ///
    /// [`ArchiveError`] when it cannot be read, or the archive ends in the middle of it.
    pub fn read_content(&mut self, buffer: &mut [u8]) -> Result<usize, ArchiveError> {
        let most = usize::try_from(self.content_bytes).unwrap_or(usize::MAX).min(buffer.len());
        self.reader.read_exact(&mut buffer[..most]).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => CUT,
            _ => error.into(),
        })?;
        self.content_bytes -= most as u64;
        self.unread_bytes -= most as u64;
        Ok(most)
    }

    fn count(&mut self, member: &Member) -> Result<(), ArchiveError> {
        let Limits { entries, name_bytes, path_bytes, .. } = self.limits;
        self.entries += 1;
        if self.entries > entries {
            return Err(ArchiveError::TooLarge(format!("{entries} entries")));
        }
        for name in member.names() {
            if name.len() as u64 > path_bytes {
                return Err(ArchiveError::TooLarge(format!("{path_bytes} bytes in a path")));
            }
            self.name_bytes += name.len() as u64;
        }
        // A path of many parts makes as many folders, though the archive has none of them.
        let mut folder = &member.path[..];
        while let Some(end) = folder.iter().rposition(|byte| *byte == b'/')
            && self.name_bytes <= name_bytes
        {
            folder = &folder[..end];
            if self.folders.contains(folder) {
                break;
            }
            self.folders.insert(folder.to_owned());
            self.name_bytes += folder.len() as u64;
        }
        if self.name_bytes > name_bytes {
            return Err(ArchiveError::TooLarge(format!("{name_bytes} bytes of names")));
        }
        Ok(())
    }

    /// Passes over what is left of the previous member.
    fn skip(&mut self) -> Result<(), ArchiveError> {
        self.content_bytes = 0;
        while self.unread_bytes > 0 {
            let wanted = usize::try_from(self.unread_bytes).unwrap_or(usize::MAX);
            let most = wanted.min(SKIPPED_BYTES);
            match self.reader.read(&mut self.skipped[..most]) {
                Ok(0) => return Err(CUT),
                Ok(count) => self.unread_bytes -= count as u64,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The next header that is not all zeros; the first that is ends the archive.
    fn header(&mut self) -> Result<Option<Header>, ArchiveError> {
        self.skip()?;
        let mut header = Header::new_old();
        let mut block = (&mut self.reader).take(BLOCK_BYTES);
        let mut bytes = Vec::with_capacity(512);
        match block.read_to_end(&mut bytes)? {
            // Many writers leave the two zero blocks out.
            0 => return Ok(None),
            512 => header.as_mut_bytes().copy_from_slice(&bytes),
            _ => return Err(CUT),
        }
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        if !is_sum_right(&header) {
            return Err(ArchiveError::Malformed("it is no tar archive"));
        }
        self.headers.update(&bytes);
        Ok(Some(header))
    }

    /// The content of an extended header.
    fn content(&mut self, size: u64) -> Result<Vec<u8>, ArchiveError> {
        self.extension_bytes = self.extension_bytes.saturating_add(size);
        if self.extension_bytes > self.limits.extension_bytes {
            let limit = self.limits.extension_bytes;
            return Err(ArchiveError::TooLarge(format!("{limit} bytes in extended headers")));
        }
        let mut bytes = Vec::new();
        (&mut self.reader).take(size).read_to_end(&mut bytes)?;
        if (bytes.len() as u64) < size {
            return Err(CUT);
        }
        self.headers.update(&bytes);
        self.unread_bytes = padded(size)? - size;
        Ok(bytes)
    }
}

const CUT: ArchiveError = ArchiveError::Malformed("its tar archive is cut off");
const MALFORMED_NUMBER: ArchiveError =
    ArchiveError::Malformed("a number in a tar header is malformed");
const MALFORMED_PAX: ArchiveError = ArchiveError::Malformed("a PAX header is malformed");

fn is_extension(kind: EntryType) -> bool {
    matches!(
        kind,
        EntryType::XHeader
            | EntryType::XGlobalHeader
            | EntryType::GNULongName
            | EntryType::GNULongLink
    )
}

/// Whether blocks of content follow the header. Writers put sizes into headers of links and
/// folders too: no reader heeds those.
fn has_content(kind: EntryType) -> bool {
    !matches!(
        kind,
        EntryType::Link
            | EntryType::Symlink
            | EntryType::Char
            | EntryType::Block
            | EntryType::Directory
            | EntryType::Fifo
    )
}

fn padded(size: u64) -> Result<u64, ArchiveError> {
    size.checked_next_multiple_of(BLOCK_BYTES).ok_or(MALFORMED_NUMBER)
}

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
        bytes.truncate(end);
    }
    bytes
}

/// Checks the header's sum; old writers added up signed bytes.
fn is_sum_right(header: &Header) -> bool {
    let bytes = header.as_bytes();
    let summed = || bytes[..148].iter().chain(&[b' '; 8]).chain(&bytes[156..]);
    let unsigned: i64 = summed().map(|byte| i64::from(*byte)).sum();
    let signed: i64 = summed().map(|byte| i64::from(byte.cast_signed())).sum();
    header.cksum().is_ok_and(|sum| [unsigned, signed].contains(&i64::from(sum)))
}

fn member(
    header: &Header,
    extensions: Extensions,
    size_bytes: u64,
    headers: Digest,
) -> Result<Member, ArchiveError> {
    let path = extensions.path.unwrap_or_else(|| header.path_bytes().into_owned());
    let link = extensions
        .link
        .or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned))
        .unwrap_or_default();
    let kind = match header.entry_type() {
        EntryType::Directory => MemberKind::Directory,
        EntryType::Symlink => MemberKind::Symlink(link),
        EntryType::Link => MemberKind::HardLink(link),
        // Before POSIX there was no type for folders.
        EntryType::Regular if path.ends_with(b"/") => MemberKind::Directory,
        EntryType::Regular | EntryType::Continuous => MemberKind::File,
        other => MemberKind::Other(other.as_byte()),
    };
    let mtime = match extensions.mtime {
        Some(text) => String::from_utf8_lossy(&text).into_owned(),
        // No time is no reason to refuse a layer: who only asks for owners does not need it.
        None => header.mtime().map_or_else(|_| "malformed".to_owned(), |time| time.to_string()),
    };
    Ok(Member {
        path,
        kind,
        mode: header.mode().map_err(|_| MALFORMED_NUMBER)? & 0o7777,
        uid: extensions.uid.map_or_else(|| header.uid(), Ok).map_err(|_| MALFORMED_NUMBER)?,
        gid: extensions.gid.map_or_else(|| header.gid(), Ok).map_err(|_| MALFORMED_NUMBER)?,
        mtime,
        size_bytes,
        attributes: extensions.further,
        headers,
    })
}

impl Extensions {
    /// Reads PAX records: `length key=value\n`, where the length alone says where a record ends.
    fn add_pax(&mut self, mut records: &[u8]) -> Result<(), ArchiveError> {
        while !records.is_empty() {
            let space = records.iter().position(|byte| *byte == b' ').ok_or(MALFORMED_PAX)?;
            let length = number(&records[..space]).ok_or(MALFORMED_PAX)?;
            let length = usize::try_from(length).map_err(|_| MALFORMED_PAX)?;
            let record = records.get(space + 1..length).ok_or(MALFORMED_PAX)?;
            let record = record.strip_suffix(b"\n").ok_or(MALFORMED_PAX)?;
            let equals = record.iter().position(|byte| *byte == b'=').ok_or(MALFORMED_PAX)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            let parsed = || number(value).map(Some).ok_or(MALFORMED_PAX);
            match key {
                b"path" => self.path = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => self.size = parsed()?,
                b"uid" => self.uid = parsed()?,
                b"gid" => self.gid = parsed()?,
                b"mtime" => self.mtime = Some(value.to_vec()),
                _ => {
                    self.further.insert(key.to_vec(), value.to_vec());
                }
            }
            records = &records[length..];
        }
        Ok(())
    }
}

/// Decimal digits and nothing else: no sign, no white space.
fn number(text: &[u8]) -> Option<u64> {
    let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| is_number)?.parse().ok()
}
