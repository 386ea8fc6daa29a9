//! The unpacked bytes of a layer blob, with the blob's digest taken on the way and bombs refused.

use std::io::{self, BufReader, Chain, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

use super::error::ArchiveError;
use super::limits::Limits;
use crate::oci::{Digest, Digester};

/// zstd frames may ask for windows of up to 2 GiB; 128 MiB is what its command line grants.
const MAX_ZSTD_WINDOW_LOG: u32 = 27;

/// The packed bytes that are held at once.
const PACKED_BYTES: usize = 64 * 1024;

/// The unpacked bytes that are held at once: decompressors are slow where their output ends.
const UNPACKED_BYTES: usize = 128 * 1024;

/// Reads the unpacked bytes of a blob.
///
/// The content says how it is packed, as for containerd and Docker: media types are often wrong.
#[expect(missing_debug_implementations, reason = "decompressors have none")]
pub struct LayerReader<R: Read>(BufReader<Unpacked<R>>);

struct Unpacked<R: Read> {
    unpacker: Unpacker<R>,
    size_bytes: u64,
    limits: Limits,
}

#[expect(clippy::large_enum_variant, reason = "there is one per layer that is being read")]
enum Unpacker<R: Read> {
    Plain(BufReader<Tap<R>>),
    /// Layers of several gzip members exist: eStargz, pigz.
    Gzip(MultiGzDecoder<BufReader<Tap<R>>>),
    Zstd(zstd::Decoder<'static, BufReader<Tap<R>>>),
}

/// What passed through a [`LayerReader`] on the packed side.
#[derive(Debug)]
pub struct Packed {
    /// The digest of the blob, unless its source vouches for it.
    pub digest: Option<Digest>,
    /// Its size.
    pub size_bytes: u64,
    /// Why the blob could not be read to its end.
    pub failure: Option<io::Error>,
}

impl<R: Read> LayerReader<R> {
    /// Looks at the first bytes and chooses how to unpack them.
    pub fn try_new(blob: R, limits: Limits) -> io::Result<Self> {
        Self::open(blob, limits, Some(Digester::default()))
    }

    /// As [`LayerReader::try_new`], for a source that fails when the blob is not the promised one: it is
    /// not hashed a second time.
    pub fn try_verified(blob: R, limits: Limits) -> io::Result<Self> {
        Self::open(blob, limits, None)
    }

    fn open(mut blob: R, limits: Limits, digester: Option<Digester>) -> io::Result<Self> {
        let mut magic = Vec::with_capacity(4);
        let failure = (&mut blob).take(4).read_to_end(&mut magic).err();
        let blob = Cursor::new(magic.clone()).chain(blob);
        let tap = Tap { blob, digester, size_bytes: 0, failure };
        let packed = BufReader::with_capacity(PACKED_BYTES, tap);
        let unpacker = match magic[..] {
            [0x1f, 0x8b, ..] => Unpacker::Gzip(MultiGzDecoder::new(packed)),
            // A frame, or one of the sixteen kinds of skippable frames.
            [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => {
                let mut decoder = zstd::Decoder::with_buffer(packed)?;
                decoder.window_log_max(MAX_ZSTD_WINDOW_LOG)?;
                Unpacker::Zstd(decoder)
            }
            _ => Unpacker::Plain(packed),
        };
        let unpacked = Unpacked { unpacker, size_bytes: 0, limits };
        Ok(Self(BufReader::with_capacity(UNPACKED_BYTES, unpacked)))
    }

    /// Why the blob could not be read on, when it was the blob and not what is in it.
    pub fn failure(&self) -> Option<&io::Error> {
        self.0.get_ref().tap().failure.as_ref()
    }

    /// Reads the rest of the blob without unpacking it, and says what the blob was.
    pub fn finish(self) -> Packed {
        let mut packed = match self.0.into_inner().unpacker {
            Unpacker::Plain(packed) => packed,
            Unpacker::Gzip(decoder) => decoder.into_inner(),
            Unpacker::Zstd(decoder) => decoder.finish(),
        };
        if packed.get_ref().failure.is_none() {
            // The tap keeps the failure.
            let _ = io::copy(&mut packed, &mut io::sink());
        }
        let Tap { digester, size_bytes, failure, .. } = packed.into_inner();
        Packed { digest: digester.map(Digester::finish), size_bytes, failure }
    }
}

impl<R: Read> Read for LayerReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<R: Read> Unpacked<R> {
    fn tap(&self) -> &Tap<R> {
        let packed = match &self.unpacker {
            Unpacker::Plain(packed) => packed,
            Unpacker::Gzip(decoder) => decoder.get_ref(),
            Unpacker::Zstd(decoder) => decoder.get_ref(),
        };
        packed.get_ref()
    }

    fn check(&self) -> Result<(), ArchiveError> {
        let Limits { unpacked_bytes, ratio, ratio_from_bytes, .. } = self.limits;
        if self.size_bytes > unpacked_bytes {
            return Err(ArchiveError::TooLarge(format!("{unpacked_bytes} bytes unpacked")));
        }
        let most = self.tap().size_bytes.saturating_mul(ratio).max(ratio_from_bytes);
        if self.size_bytes > most {
            return Err(ArchiveError::TooLarge(format!(
                "{ratio} bytes unpacked for each packed one"
            )));
        }
        Ok(())
    }
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match &mut self.unpacker {
            Unpacker::Plain(packed) => packed.read(buffer),
            Unpacker::Gzip(decoder) => decoder.read(buffer),
            Unpacker::Zstd(decoder) => decoder.read(buffer),
        }?;
        self.size_bytes += count as u64;
        self.check().map_err(ArchiveError::into_io)?;
        Ok(count)
    }
}

/// Hashes and counts what is read, and remembers a failure of the source: decompressors do not
/// tell it from damaged data.
struct Tap<R> {
    blob: Chain<Cursor<Vec<u8>>, R>,
    digester: Option<Digester>,
    size_bytes: u64,
    failure: Option<io::Error>,
}

impl<R: Read> Read for Tap<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.failure.is_some() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        match self.blob.read(buffer) {
            Ok(count) => {
                if let Some(digester) = &mut self.digester {
                    digester.update(&buffer[..count]);
                }
                self.size_bytes += count as u64;
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                self.failure = Some(error);
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn unpack(blob: &[u8], limits: Limits) -> (Result<Vec<u8>, ArchiveError>, Packed) {
        let mut reader = LayerReader::try_new(blob, limits).unwrap();
        let mut bytes = Vec::new();
        let result = reader.read_to_end(&mut bytes).map(|_| bytes).map_err(ArchiveError::from);
        (result, reader.finish())
    }

    #[test]
    fn the_content_says_how_it_is_packed() {
        let members = [gzip(b"one "), gzip(b"two")].concat();
        let zstd = zstd::encode_all(&b"one two"[..], 3).unwrap();
        let frames = [
            &[0x5a, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 9][..],
            &zstd::encode_all(&b"one "[..], 3).unwrap(),
            &zstd::encode_all(&b"two"[..], 3).unwrap(),
        ]
        .concat();
        for blob in [&b"one two"[..], &gzip(b"one two"), &members, &zstd, &frames] {
            let (bytes, packed) = unpack(blob, Limits::GENEROUS);
            assert_eq!(bytes.unwrap(), b"one two");
            assert_eq!(
                (packed.digest, packed.size_bytes),
                (Some(Digest::of(blob)), blob.len() as u64)
            );
        }
        assert_eq!(unpack(b"", Limits::GENEROUS).0.unwrap(), b"");
    }

    #[test]
    fn the_digest_is_of_the_whole_blob_even_when_unpacking_stops() {
        let blob = [gzip(b"one"), b"rubbish behind".to_vec()].concat();
        let mut reader = LayerReader::try_new(&blob[..], Limits::GENEROUS).unwrap();
        reader.read_exact(&mut [0; 3]).unwrap();
        let packed = reader.finish();
        assert_eq!(
            (packed.digest, packed.size_bytes),
            (Some(Digest::of(&blob)), blob.len() as u64)
        );
    }

    #[test]
    fn bombs_are_refused_by_size_and_by_ratio() {
        let zeros = vec![0; 1 << 20];
        let limits = Limits { unpacked_bytes: 1 << 19, ..Limits::GENEROUS };
        let (result, _) = unpack(&gzip(&zeros), limits);
        assert_eq!(result.unwrap_err().to_string(), "it has more than 524288 bytes unpacked");

        let limits = Limits { ratio_from_bytes: 1 << 16, ..Limits::GENEROUS };
        let (result, _) = unpack(&zstd::encode_all(&zeros[..], 3).unwrap(), limits);
        assert_eq!(
            result.unwrap_err().to_string(),
            "it has more than 1100 bytes unpacked for each packed one"
        );
        let (result, _) = unpack(&gzip(&zeros), limits);
        assert_eq!(result.unwrap(), zeros);
    }

    #[test]
    fn a_failing_source_is_told_from_damaged_data() {
        struct Failing(io::Cursor<Vec<u8>>);
        impl Read for Failing {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                match self.0.read(buffer)? {
                    0 => Err(io::Error::other("reset by peer")),
                    count => Ok(count),
                }
            }
        }
        let mut blob = gzip(&[7; 5000]);
        blob.truncate(20);
        let mut reader =
            LayerReader::try_new(Failing(io::Cursor::new(blob.clone())), Limits::GENEROUS).unwrap();
        reader.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(reader.finish().failure.unwrap().to_string(), "reset by peer");

        let (result, packed) = unpack(&blob, Limits::GENEROUS);
        assert!(matches!(result, Err(ArchiveError::Io(_))));
        assert!(packed.failure.is_none());
    }
}
