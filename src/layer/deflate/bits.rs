//! Writes codes of a few bits into bytes, the first bit lowest (RFC 1951, 3.1.1).

/// How many bits may be added between two calls of [`BitWriter::flush`].
pub(super) const ROOM: u32 = 56;

/// Writes into a buffer that has room for all that will come, and eight bytes more.
#[derive(Debug)]
pub(super) struct BitWriter<'a> {
    output: &'a mut [u8],
    length: usize,
    bits: u64,
    count: u32,
}

impl<'a> BitWriter<'a> {
    pub(super) fn new(output: &'a mut [u8]) -> Self {
        Self { output, length: 0, bits: 0, count: 0 }
    }

    /// Adds so many bits, none above them set, at most [`ROOM`] until the next flush.
    #[inline]
    pub(super) fn add(&mut self, bits: u32, count: u32) {
        debug_assert!(u64::from(bits) >> count == 0 && self.count + count < u64::BITS);
        self.bits |= u64::from(bits) << self.count;
        self.count += count;
    }

    /// Moves whole bytes to the output; at most seven bits stay.
    #[inline]
    pub(super) fn flush(&mut self) {
        let room = self.output[self.length..].first_chunk_mut().expect("there is room for more");
        *room = self.bits.to_le_bytes();
        self.length += (self.count / 8) as usize;
        self.bits >>= self.count & !7;
        self.count &= 7;
    }

    /// Adds zeros until a byte is full.
    pub(super) fn align(&mut self) {
        self.count = self.count.next_multiple_of(8);
        self.flush();
    }

    /// Adds bytes at a byte's boundary.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.output[self.length..][..bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    /// Fills the last byte and says how many there are.
    pub(super) fn finish(mut self) -> usize {
        self.align();
        self.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_fill_bytes_from_the_lowest() {
        let mut output = [0xaa; 32];
        let mut bits = BitWriter::new(&mut output);
        bits.add(0b1, 1);
        bits.add(0b01, 2);
        bits.add(0x1f_ffff, 21);
        bits.flush();
        bits.add(0b101, 3);
        bits.align();
        bits.bytes(&[7, 8]);
        bits.add(0, 0);
        bits.add(1, 1);
        assert_eq!(bits.finish(), 7);
        assert_eq!(output[..7], [0b1111_1011, 0xff, 0xff, 0b101, 7, 8, 1]);
    }

    #[test]
    fn as_much_as_there_is_room_for_comes_out_whole() {
        let mut output = [0; 32];
        let mut bits = BitWriter::new(&mut output);
        bits.add(0x7f, 7);
        bits.flush();
        for _ in 0..ROOM / 28 {
            bits.add(0x0abc_def1, 28);
        }
        bits.flush();
        let expected = 0x7f | 0x0abc_def1_u64 << 7 | 0x0abc_def1 << 35;
        assert_eq!(bits.finish(), 8);
        assert_eq!(output[..8], expected.to_le_bytes());
    }
}
