//! How large a layer may be before reading it is given up.

/// Bounds on one layer that comes from strangers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Entries of the tar.
    pub entries: u64,
    /// Bytes of all names and link targets together, and of the folders that the names lead through.
    pub name_bytes: u64,
    /// Bytes of one name or link target: no system unpacks more than 4096.
    pub path_bytes: u64,
    /// Bytes of the extended headers of one entry (PAX, GNU long name); Go's reader has the same limit for
    /// each of them.
    pub extension_bytes: u64,
    /// Bytes of the unpacked tar.
    pub unpacked_bytes: u64,
    /// Unpacked bytes per packed byte. DEFLATE cannot pass 1032, so this catches zstd bombs and no
    /// honest gzip layer.
    pub ratio: u64,
    /// Unpacked bytes below which the ratio is not asked.
    pub ratio_from_bytes: u64,
}

const MIB: u64 = 1024 * 1024;

impl Limits {
    /// Far above what any real layer has.
    pub const GENEROUS: Self = Self {
        entries: 1_000_000,
        name_bytes: 128 * MIB,
        path_bytes: 4096,
        extension_bytes: MIB,
        unpacked_bytes: 100 * 1024 * MIB,
        ratio: 1100,
        ratio_from_bytes: 64 * MIB,
    };
}
