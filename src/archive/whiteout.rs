//! Names that take something away from the layers below (image-spec, layer.md, "Whiteouts").

/// Marks a path of a lower layer as removed.
const WHITEOUT: &[u8] = b".wh.";
/// In a folder: everything that lower layers have in it is removed.
const OPAQUE: &[u8] = b".wh..wh..opq";

/// What a member of a layer means by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role<'a> {
    /// It is a file, folder or link of the layer.
    Entry,
    /// Of its folder, only this layer's content stays.
    Opaque,
    /// What has this name in its folder is removed with everything below.
    Removes(&'a [u8]),
    /// Nothing: it is bookkeeping of aufs, or lies below a removed path.
    Nothing,
}

impl<'a> Role<'a> {
    /// What the member of this name in this folder means.
    pub fn of(folder: &[u8], name: &'a [u8]) -> Self {
        if folder.split(|byte| *byte == b'/').any(|part| part.starts_with(WHITEOUT)) {
            return Self::Nothing;
        }
        if name == OPAQUE {
            return Self::Opaque;
        }
        match name.strip_prefix(WHITEOUT) {
            None => Self::Entry,
            // `.wh..wh.` begins the bookkeeping of aufs; no file has one of the other names.
            Some(hidden) if hidden.starts_with(WHITEOUT) => Self::Nothing,
            Some(b"" | b"." | b"..") => Self::Nothing,
            Some(hidden) => Self::Removes(hidden),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_is_taken_away() {
        for (folder, name, role) in [
            ("", "a", Role::Entry),
            ("a/b", ".wh", Role::Entry),
            ("a", ".wh.b", Role::Removes(b"b")),
            ("", ".wh..b", Role::Removes(b".b")),
            ("a", ".wh..wh..opq", Role::Opaque),
            ("", ".wh..wh.plnk", Role::Nothing),
            ("a", ".wh.", Role::Nothing),
            ("a", ".wh..", Role::Nothing),
            ("a", ".wh...", Role::Nothing),
            ("a/.wh.b", "c", Role::Nothing),
            (".wh..wh.plnk", ".wh.c", Role::Nothing),
        ] {
            assert_eq!(Role::of(folder.as_bytes(), name.as_bytes()), role, "{folder}/{name}");
        }
    }
}
