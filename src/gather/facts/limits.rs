//! How large a layer may be before reading it is given up.

/// Bounds on one layer; a base comes from strangers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Entries of the tar.
    pub(super) entries: u64,
    /// Bytes of all names and link targets together.
    pub(super) name_bytes: u64,
    /// Bytes of one extended header (PAX, GNU long name); Go's reader has the same limit.
    pub(super) extension_bytes: u64,
    /// Bytes of the unpacked tar.
    pub(super) unpacked_bytes: u64,
    /// Unpacked bytes per packed byte. DEFLATE cannot pass 1032, so this catches zstd bombs and no
    /// honest gzip layer.
    pub(super) ratio: u64,
    /// Unpacked bytes below which the ratio is not asked.
    pub(super) ratio_from_bytes: u64,
}

const MIB: u64 = 1024 * 1024;

impl Limits {
    /// Far above what any real base has.
    pub(super) const GENEROUS: Self = Self {
        entries: 2_000_000,
        name_bytes: 512 * MIB,
        extension_bytes: MIB,
        unpacked_bytes: 100 * 1024 * MIB,
        ratio: 1100,
        ratio_from_bytes: 64 * MIB,
    };
}
