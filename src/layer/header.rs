//! The header blocks of one entry: ustar (POSIX.1-1988), and PAX records (POSIX.1-2001) only for
//! what ustar cannot say.
//!
//! A function of the entry and nothing else. The rules when PAX is needed are those of Go's
//! `archive/tar`, whose output every runtime reads: a field is moved to a record when it is not
//! ASCII or does not fit, and an entry without such a field has no records. GNU extensions and
//! sparse entries are never written: runtimes refuse them.

use crate::plan::{Entry, EntryKind};

/// The unit of a tar stream.
pub(super) const BLOCK_BYTES: usize = 512;

const NAME_BYTES: usize = 100;
const PREFIX_BYTES: usize = 155;

type Block = [u8; BLOCK_BYTES];

/// The header blocks of an entry, which its content follows.
pub(super) fn header(entry: &Entry) -> Vec<u8> {
    let mut name = entry.path.clone();
    let (type_flag, link_target, size_bytes) = match &entry.kind {
        EntryKind::Directory => {
            name.push('/');
            (b'5', "", 0)
        }
        EntryKind::File(source) => (b'0', "", source.size_bytes()),
        EntryKind::Symlink(target) => (b'2', target.as_str(), 0),
    };

    let mut records = Records::default();
    let mut block = [0; BLOCK_BYTES];
    let (prefix, rest) = split(&name).unwrap_or_else(|| {
        records.add("path", &name);
        ("", &name)
    });
    put_text(&mut block[0..100], rest);
    put_text(&mut block[345..500], prefix);
    if !fits(link_target, NAME_BYTES) {
        records.add("linkpath", link_target);
    }
    put_text(&mut block[157..257], link_target);
    put_octal(&mut block[100..108], u64::from(entry.mode & 0o7777));
    for (field, key, value) in [(108..116, "uid", entry.uid), (116..124, "gid", entry.gid)] {
        put_octal(&mut block[field], value).unwrap_or_else(|| records.add(key, &value.to_string()));
    }
    put_octal(&mut block[124..136], size_bytes)
        .unwrap_or_else(|| records.add("size", &size_bytes.to_string()));
    u64::try_from(entry.mtime)
        .ok()
        .and_then(|mtime| put_octal(&mut block[136..148], mtime))
        .unwrap_or_else(|| records.add("mtime", &entry.mtime.to_string()));
    block[156] = type_flag;
    seal(&mut block);

    let mut blocks = records.blocks(&entry.path);
    blocks.extend_from_slice(&block);
    blocks
}

/// How many zero bytes follow content of this size.
pub(super) fn padding(size_bytes: u64) -> usize {
    let rest = usize::try_from(size_bytes % BLOCK_BYTES as u64).expect("it is less than 512");
    (BLOCK_BYTES - rest) % BLOCK_BYTES
}

/// PAX records, `<length> <key>=<value>\n`, by key.
#[derive(Default)]
struct Records(Vec<(&'static str, String)>);

impl Records {
    fn add(&mut self, key: &'static str, value: &str) {
        // The length counts itself: one digit more may make it one digit longer.
        let rest = key.len() + value.len() + " =\n".len();
        let mut length = rest;
        while length != rest + length.to_string().len() {
            length = rest + length.to_string().len();
        }
        self.0.push((key, format!("{length} {key}={value}\n")));
    }

    /// The extended header of the entry with this path; nothing when there are no records.
    fn blocks(mut self, path: &str) -> Vec<u8> {
        if self.0.is_empty() {
            return Vec::new();
        }
        self.0.sort_unstable();
        let data: String = self.0.into_iter().map(|(_, record)| record).collect();

        let mut block = [0; BLOCK_BYTES];
        let base = path.rsplit('/').next().unwrap_or_default();
        let name: String = format!("PaxHeaders.0/{base}").chars().filter(char::is_ascii).collect();
        put_text(&mut block[0..100], name.trim_end_matches('/'));
        // Mode, owner and time of the records themselves: always zero.
        for field in [100..108, 108..116, 116..124, 136..148] {
            put_octal(&mut block[field], 0);
        }
        put_octal(&mut block[124..136], data.len() as u64);
        block[156] = b'x';
        seal(&mut block);

        let mut blocks = block.to_vec();
        blocks.extend_from_slice(data.as_bytes());
        blocks.resize(blocks.len() + padding(data.len() as u64), 0);
        blocks
    }
}

/// Whether a field holds the text as it is.
fn fits(text: &str, field_bytes: usize) -> bool {
    text.is_ascii() && text.len() <= field_bytes
}

/// Divides a name into ustar's `prefix` and `name`; `None` when that cannot be done.
fn split(name: &str) -> Option<(&str, &str)> {
    if fits(name, NAME_BYTES) {
        return Some(("", name));
    }
    if !name.is_ascii() {
        return None;
    }
    // The `/` between the parts is implied; the one at the end of a folder's name is not.
    let search = name.strip_suffix('/').unwrap_or(name);
    let search = &search[..search.len().min(PREFIX_BYTES + 1)];
    let (prefix, _) = search.rsplit_once('/')?;
    let rest = &name[prefix.len() + 1..];
    (!prefix.is_empty() && rest.len() <= NAME_BYTES).then_some((prefix, rest))
}

/// Writes text; what is not ASCII or does not fit is left out, since a record says it in full.
fn put_text(field: &mut [u8], text: &str) {
    let ascii = text.bytes().filter(u8::is_ascii);
    field.iter_mut().zip(ascii).for_each(|(byte, value)| *byte = value);
}

/// Writes a number with leading zeros and a NUL; zeros and `None` when it does not fit.
fn put_octal(field: &mut [u8], value: u64) -> Option<()> {
    let (end, digits) = field.split_last_mut().expect("no field is empty");
    *end = 0;
    let mut rest = value;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest & 7).expect("it is less than 8");
        rest >>= 3;
    }
    if rest == 0 {
        return Some(());
    }
    digits.fill(b'0');
    None
}

/// Writes what all headers have in common, the checksum last. Owners' names stay empty.
fn seal(block: &mut Block) {
    block[257..265].copy_from_slice(b"ustar\x0000");
    put_octal(&mut block[329..337], 0);
    put_octal(&mut block[337..345], 0);
    block[148..156].fill(b' ');
    let sum = block.iter().map(|byte| u64::from(*byte)).sum();
    // Six digits, NUL and space; the largest sum is 512 times 255.
    put_octal(&mut block[148..155], sum).expect("a sum of 512 bytes has at most six digits");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{DiskFile, FileSource, FileStamp};

    fn entry(path: &str, kind: EntryKind) -> Entry {
        Entry { path: path.into(), kind, mode: 0o644, uid: 0, gid: 0, mtime: 0 }
    }

    fn file(path: &str, size_bytes: u64) -> Entry {
        let stamp = FileStamp { size_bytes, ..FileStamp::default() };
        let file = DiskFile { path: path.into(), stamp };
        entry(path, EntryKind::File(FileSource::Disk(file)))
    }

    fn link(path: &str, target: &str) -> Entry {
        entry(path, EntryKind::Symlink(target.into()))
    }

    /// Blocks as text: runs of NUL become `·`, blocks are separated by a line break.
    fn show(blocks: &[u8]) -> String {
        let mut shown = String::new();
        for block in blocks.chunks(BLOCK_BYTES) {
            let mut last = b'x';
            for byte in block.iter().copied() {
                match byte {
                    0 if last == 0 => {}
                    0 => shown.push('·'),
                    b'\n' => shown.push('¶'),
                    _ => shown.push(char::from(byte)),
                }
                last = byte;
            }
            shown.push('\n');
        }
        shown
    }

    #[test]
    fn headers_byte_for_byte() {
        let long = format!("{}/{}", "d".repeat(100), "f".repeat(60));
        let cases = [
            (
                file("app/main.py", 5),
                "app/main.py·0000644·0000000·0000000·00000000005·00000000000·011256· 0·ustar·00·0000000·0000000·\n"
                    .to_owned(),
            ),
            (
                Entry { mode: 0o41777, uid: 65532, gid: 7, mtime: 1, ..entry("tmp", EntryKind::Directory) },
                "tmp/·0001777·0177774·0000007·00000000000·00000000001·010063· 5·ustar·00·0000000·0000000·\n"
                    .to_owned(),
            ),
            (
                link("bin/sh", "./a//b"),
                "bin/sh·0000644·0000000·0000000·00000000000·00000000000·011100· 2./a//b·ustar·00·0000000·0000000·\n"
                    .to_owned(),
            ),
            (
                file(&long, 0),
                format!(
                    "{}·0000644·0000000·0000000·00000000000·00000000000·046565· 0·ustar·00·0000000·0000000·{}·\n",
                    "f".repeat(60),
                    "d".repeat(100)
                ),
            ),
            (
                file("é", 0),
                "PaxHeaders.0·0000000·0000000·0000000·00000000013·00000000000·011376· x·ustar·00·0000000·0000000·\n\
                 11 path=Ã©¶·\n\
                 ·0000644·0000000·0000000·00000000000·00000000000·007175· 0·ustar·00·0000000·0000000·\n"
                    .to_owned(),
            ),
        ];
        for (entry, expected) in cases {
            assert_eq!(show(&header(&entry)), expected, "{}", entry.path);
        }
    }

    /// The records of an entry, `None` for a plain ustar header.
    fn records(entry: &Entry) -> Option<String> {
        let blocks = header(entry);
        assert_eq!(blocks.len() % BLOCK_BYTES, 0);
        if blocks.len() == BLOCK_BYTES {
            return None;
        }
        let data = &blocks[BLOCK_BYTES..blocks.len() - BLOCK_BYTES];
        Some(String::from_utf8(data.to_vec()).unwrap().trim_end_matches('\0').to_owned())
    }

    /// L12, L23, L26, L28: the last value that ustar holds, and the first that it does not.
    #[test]
    fn records_are_written_only_when_needed() {
        let some = |text: &str| Some(text.to_owned());
        let a = |count| "a".repeat(count);
        let directory = |path: String| entry(&path, EntryKind::Directory);
        let owned = |uid, gid| Entry { uid, gid, ..file("a", 0) };
        let timed = |mtime| Entry { mtime, ..file("a", 0) };
        let with_name = |name: &str, length: usize| format!("{length} path={name}\n");
        let cases = [
            (file(&a(100), 0), None),
            (file(&a(101), 0), Some(with_name(&a(101), 111))),
            (directory(a(99)), None),
            (directory(a(100)), Some(with_name(&format!("{}/", a(100)), 111))),
            (file(&format!("{}/{}", a(155), a(100)), 0), None),
            (
                file(&format!("{}/{}", a(156), a(100)), 0),
                Some(with_name(&format!("{}/{}", a(156), a(100)), 267)),
            ),
            (file(&format!("a/{}", a(101)), 0), Some(with_name(&format!("a/{}", a(101)), 113))),
            (directory(format!("{}/{}", a(155), a(99))), None),
            (file("tab\tnew\nline\\:", 0), None),
            (link("a", &a(100)), None),
            (link("a", &a(101)), Some(format!("115 linkpath={}\n", a(101)))),
            (link("a", "ö"), some("15 linkpath=ö\n")),
            (file("a", (1 << 33) - 1), None),
            (file("a", 1 << 33), some("19 size=8589934592\n")),
            (owned(2_097_151, 2_097_151), None),
            (owned(2_097_152, u64::from(u32::MAX)), some("18 gid=4294967295\n15 uid=2097152\n")),
            (timed((1 << 33) - 1), None),
            (timed(1 << 33), some("20 mtime=8589934592\n")),
            (timed(-1), some("12 mtime=-1\n")),
            (
                Entry { uid: 1 << 21, mtime: -1, ..link("ü", "ö") },
                some("15 linkpath=ö\n12 mtime=-1\n11 path=ü\n15 uid=2097152\n"),
            ),
        ];
        for (entry, expected) in cases {
            assert_eq!(records(&entry), expected, "{entry:?}");
        }
    }

    #[test]
    fn a_record_counts_its_own_length_where_that_grows_a_digit() {
        for length in 0..1200 {
            let mut records = Records::default();
            records.add("path", &"a".repeat(length));
            let (number, _) = records.0[0].1.split_once(' ').unwrap();
            assert_eq!(number.parse::<usize>().unwrap(), records.0[0].1.len());
        }
    }

    #[test]
    fn padding_fills_the_last_block() {
        for (size, expected) in [(0, 0), (1, 511), (511, 1), (512, 0), (513, 511)] {
            assert_eq!(padding(size), expected, "{size}");
        }
    }
}
