//! Fetches blobs: resumes after faults, and checks digest and size while the bytes pass.

use std::sync::Arc;

use bytes::{Buf as _, Bytes, BytesMut};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderValue, RANGE};
use tokio_util::io::StreamReader;

use super::BlobReader;
use super::answer::Answer;
use super::endpoint::Endpoint;
use super::error::Error;
use super::retry::{Fault, Retry, Tries};
use super::transport::{Call, Transport};
use crate::oci::{Descriptor, Digest, Digester, MAX_DOCUMENT_BYTES, Repository};

/// So much of one connection is progress. With less, a registry whose every connection breaks after
/// a few bytes could keep us for ever.
const PROGRESS_BYTES: u64 = 16 * 1024;

/// A download in progress.
#[derive(Debug)]
pub(super) struct Download {
    transport: Arc<Transport>,
    endpoint: Endpoint,
    expected: Digest,
    size: u64,
    /// Bytes that were handed out; all of them went through the digester.
    offset: u64,
    digester: Digester,
    /// The answer being read, and how many of its first bytes were handed out before.
    source: Option<(Answer, u64)>,
    tries: Tries,
    /// Bytes that came since the last fault.
    since_fault: u64,
}

impl Download {
    /// Prepares a download; the first request is made when the first bytes are wanted.
    pub(super) fn new(
        transport: &Arc<Transport>,
        repository: &Repository,
        descriptor: &Descriptor,
    ) -> Self {
        Self {
            transport: Arc::clone(transport),
            endpoint: Endpoint::get_blob(repository, &descriptor.digest),
            expected: descriptor.digest,
            size: descriptor.size,
            offset: 0,
            digester: Digester::default(),
            source: None,
            tries: transport.patience.begin(),
            since_fault: 0,
        }
    }

    /// Opens the download: afterwards it is known that the blob is there.
    pub(super) async fn open(&mut self) -> Result<(), Error> {
        while self.source.is_none() {
            match self.request().await {
                Ok(source) => self.source = Some(source),
                Err(fault) => self.tries.outlast(fault).await?,
            }
        }
        // Nothing has no last byte at which it would be checked.
        if self.size == 0 { self.check() } else { Ok(()) }
    }

    /// The whole blob, at most 4 MiB of it. Wrong bytes are asked for once more: a cache on the
    /// way may have been bad.
    pub(super) async fn whole(
        transport: &Arc<Transport>,
        repository: &Repository,
        descriptor: &Descriptor,
    ) -> Result<Bytes, Error> {
        let mut tries = transport.patience.begin();
        loop {
            let mut download = Self::new(transport, repository, descriptor);
            if descriptor.size > MAX_DOCUMENT_BYTES {
                let (action, limit) = (download.endpoint.action, MAX_DOCUMENT_BYTES);
                return Err(Error::TooLarge { action, limit });
            }
            match download.collect().await {
                Err(error @ (Error::WrongDigest { .. } | Error::WrongSize { .. })) => {
                    tries.outlast(Fault::new(error, Retry::Once)).await?;
                }
                done => return done,
            }
        }
    }

    /// The blob as a stream of bytes.
    pub(super) fn into_reader(self) -> BlobReader {
        let stream = futures_util::stream::try_unfold(self, |mut download| async move {
            let bytes = download.next().await.map_err(std::io::Error::other)?;
            Ok::<_, std::io::Error>(bytes.map(|bytes| (bytes, download)))
        });
        Box::new(StreamReader::new(Box::pin(stream)))
    }

    /// The next bytes; `None` when all have come. The last ones are handed out when all are what the
    /// descriptor says: whoever passes them on does not ask for the end, and must not have sent a whole
    /// blob that is wrong.
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            self.open().await?;
            let Some((answer, skip)) = &mut self.source else { continue };
            let fault = match answer.chunk().await {
                Ok(Some(mut bytes)) => {
                    let known = usize::try_from(*skip).unwrap_or(usize::MAX).min(bytes.len());
                    bytes.advance(known);
                    *skip -= known as u64;
                    if bytes.is_empty() {
                        continue;
                    }
                    return self.take(bytes).map(Some);
                }
                // Every byte has come: how the connection ends does not matter any more.
                _ if self.offset == self.size => return Ok(None),
                Ok(None) => Fault::transient(Error::WrongSize {
                    action: self.endpoint.action.clone(),
                    expected: self.size,
                    actual: self.offset,
                }),
                Err(fault) => fault,
            };
            self.source = None;
            self.since_fault = 0;
            self.tries.outlast(fault).await?;
        }
    }

    /// Asks for the bytes from the offset on. Where the registry sends all of them instead, those
    /// that were handed out are skipped, never handed out again.
    async fn request(&self) -> Result<(Answer, u64), Fault> {
        let mut headers = HeaderMap::new();
        // A range that starts at the end is answered with nonsense by some registries.
        let is_partial = self.offset > 0 && self.offset < self.size;
        if is_partial {
            let range = format!("bytes={}-", self.offset);
            let range = HeaderValue::try_from(range).expect("digits are fit for a header");
            headers.insert(RANGE, range);
        }
        let answer = self.transport.once(Call::plain(&self.endpoint, &headers)).await?;
        if let Some(encoding) = answer.header("content-encoding")
            && !encoding.eq_ignore_ascii_case("identity")
        {
            return Err(Fault::permanent(
                answer.nonsense("it encodes a blob that it must not touch"),
            ));
        }
        match answer.status() {
            StatusCode::OK => Ok((answer, self.offset)),
            StatusCode::PARTIAL_CONTENT if is_partial => {
                let range = answer.header("content-range").and_then(range_start);
                if range != Some((self.offset, self.size)) {
                    // Its place at the registry may be the only one.
                    drop(answer);
                    return self.request_all().await;
                }
                Ok((answer, 0))
            }
            StatusCode::RANGE_NOT_SATISFIABLE if is_partial => {
                drop(answer);
                self.request_all().await
            }
            _ => Err(self.transport.refusal(&self.endpoint, answer).await),
        }
    }

    async fn request_all(&self) -> Result<(Answer, u64), Fault> {
        let headers = HeaderMap::new();
        let answer = self.transport.once(Call::plain(&self.endpoint, &headers)).await?;
        if answer.status() == StatusCode::OK {
            return Ok((answer, self.offset));
        }
        Err(self.transport.refusal(&self.endpoint, answer).await)
    }

    fn take(&mut self, bytes: Bytes) -> Result<Bytes, Error> {
        self.offset += bytes.len() as u64;
        if self.offset > self.size {
            return Err(Error::WrongSize {
                action: self.endpoint.action.clone(),
                expected: self.size,
                actual: self.size + 1,
            });
        }
        self.digester.update(&bytes);
        self.since_fault += bytes.len() as u64;
        let is_last = self.offset == self.size;
        if is_last {
            self.check()?;
        }
        if is_last || self.since_fault >= PROGRESS_BYTES {
            self.transport.patience.confirm_progress();
            self.tries = self.transport.patience.begin();
        }
        Ok(bytes)
    }

    fn check(&mut self) -> Result<(), Error> {
        let actual = std::mem::take(&mut self.digester).finish();
        if actual == self.expected {
            return Ok(());
        }
        let action = self.endpoint.action.clone();
        Err(Error::WrongDigest { action, expected: self.expected, actual })
    }

    async fn collect(&mut self) -> Result<Bytes, Error> {
        let mut all = BytesMut::new();
        while let Some(bytes) = self.next().await? {
            all.extend_from_slice(&bytes);
        }
        Ok(all.freeze())
    }
}

/// Start and total of `bytes 5-9/10`, when the range goes to the end.
pub(super) fn range_start(header: &str) -> Option<(u64, u64)> {
    let (range, total) = header.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (start, end) = range.split_once('-')?;
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let (start, end, total) = (number(start)?, number(end)?, number(total)?);
    (start <= end && end.checked_add(1) == Some(total)).then_some((start, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn a_range_starts_below_its_end(header in "bytes [0-9]{1,20}-[0-9]{1,20}/[0-9]{1,20}") {
            assert!(range_start(&header).is_none_or(|(start, total)| start < total));
        }
    }

    #[test]
    fn only_a_range_up_to_the_end_counts() {
        for (header, expected) in [
            ("bytes 5-9/10", Some((5, 10))),
            (" bytes 0-0/1", Some((0, 1))),
            ("bytes 5-8/10", None),
            ("bytes 9-5/10", None),
            ("bytes 5-9/*", None),
            ("bytes */10", None),
            ("bytes 0-18446744073709551615/0", None),
            ("items 5-9/10", None),
            ("", None),
        ] {
            assert_eq!(range_start(header), expected, "{header}");
        }
    }
}
