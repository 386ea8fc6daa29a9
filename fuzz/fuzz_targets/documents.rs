//! A manifest or index that is accepted has the bytes' digest, and is not both.
#![no_main]

use dockless::oci::{Digest, Document, ImageConfig, Index, Manifest, MediaType};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let copy = || bytes.to_vec().into();
    let manifest = Document::<Manifest>::parse_manifest(copy(), MediaType::OciManifest);
    let index = Document::<Index>::parse_index(copy(), MediaType::OciIndex);
    assert!(manifest.is_err() || index.is_err(), "a document is not both");
    if let Ok(document) = manifest {
        assert_eq!(document.descriptor.digest, Digest::of(bytes));
    }
    let _ = Document::<ImageConfig>::parse(copy(), MediaType::OciConfig);
});
