use std::io::{Read as _, Write as _};

use super::*;
use crate::event::Event;
use crate::oci::MediaType;

fn descriptor(bytes: &[u8]) -> Descriptor {
    Descriptor::of(MediaType::OciLayer, bytes)
}

/// Every file below a folder, by its path, with its text.
fn files(folder: &Path) -> Vec<(String, String)> {
    fn walk(folder: &Path, prefix: &str, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let name = format!("{prefix}{}", entry.file_name().into_string().unwrap());
            if entry.file_type().unwrap().is_dir() {
                walk(&entry.path(), &format!("{name}/"), found);
            } else {
                found.push((name, fs::read_to_string(entry.path()).unwrap()));
            }
        }
    }
    let mut found = Vec::new();
    walk(folder, "", &mut found);
    found.retain(|(name, _)| name != CACHE_TAG);
    found.sort();
    found
}

fn blob_name(bytes: &[u8]) -> String {
    format!("blobs/sha256/{}", Digest::of(bytes).hex())
}

#[test]
fn keeps_what_was_put_under_its_digest() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("made/on/demand")).unwrap();
    let digest = store.put(b"hello").unwrap();
    store.put(b"hello").unwrap();

    assert_eq!(digest, Digest::of(b"hello"));
    assert_eq!(files(store.root()), [(blob_name(b"hello"), "hello".to_owned())]);
    assert!(store.has(&descriptor(b"hello")));
    assert!(store.verify(&descriptor(b"hello")).unwrap());
    assert_eq!(store.read(&descriptor(b"hello")).unwrap().unwrap(), "hello");
    let mut text = String::new();
    store.open_blob(&descriptor(b"hello")).unwrap().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
}

#[test]
fn what_is_not_there_is_not_an_error() {
    let store = Store::temporary().unwrap();
    assert!(!store.has(&descriptor(b"x")));
    assert!(!store.verify(&descriptor(b"x")).unwrap());
    assert!(store.open_blob(&descriptor(b"x")).unwrap().is_none());
    assert_eq!(store.read(&descriptor(b"x")).unwrap(), None);
    assert_eq!(store.record::<String>("facts", &Digest::of(b"x")), None);
}

#[test]
fn an_abandoned_blob_leaves_nothing() {
    let store = Store::temporary().unwrap();
    let mut writer = store.writer().unwrap();
    writer.write_all(b"half").unwrap();
    assert_eq!(files(store.root()).len(), 1);
    drop(writer);
    assert_eq!(files(store.root()), []);
}

#[test]
fn bytes_that_were_not_promised_are_not_kept() {
    let store = Store::temporary().unwrap();
    let mut writer = store.writer().unwrap();
    writer.write_all(b"evil").unwrap();
    let error = writer.finish_as(&descriptor(b"good")).unwrap_err();
    assert!(matches!(
        error.downcast_ref::<StoreError>(),
        Some(StoreError::Mismatch { expected, actual, expected_bytes: 4, actual_bytes: 4 })
            if *expected == Digest::of(b"good") && *actual == Digest::of(b"evil")
    ));
    assert!(error.is_retryable());
    assert_eq!(files(store.root()), []);

    let mut writer = store.writer().unwrap();
    writer.write_all(b"good").unwrap();
    writer.finish_as(&descriptor(b"good")).unwrap();
    assert_eq!(files(store.root()), [(blob_name(b"good"), "good".to_owned())]);
}

/// L6: every way of reading finds damage, removes it, and says so once.
#[test]
fn a_damaged_blob_is_removed_with_one_warning() {
    type Check = fn(&Store) -> bool;
    let checks: [(&str, &str, &str, Check); 5] = [
        ("open_blob", "hell", "its size is wrong", |store| {
            store.open_blob(&descriptor(b"hello")).unwrap().is_some()
        }),
        ("read", "hellO", "its content is not what its name says", |store| {
            store.read(&descriptor(b"hello")).unwrap().is_some()
        }),
        ("verify", "hellO", "its content is not what its name says", |store| {
            store.verify(&descriptor(b"hello")).unwrap()
        }),
        ("verify", "", "its size is wrong", |store| store.verify(&descriptor(b"hello")).unwrap()),
        ("open_verified", "hellO", "its content is not what its name says", |store| {
            store.open_verified(&descriptor(b"hello")).unwrap().is_some()
        }),
    ];
    for (name, damaged, reason, check) in checks {
        let (events, receiver) = Events::channel();
        let store = Store::temporary().unwrap().with_events(&events);
        store.put(b"hello").unwrap();
        let path = store.blob_path(&Digest::of(b"hello"));
        fs::write(&path, damaged).unwrap();

        assert!(!check(&store), "{name}");
        assert_eq!(files(store.root()), [], "{name}");
        drop((events, store));
        let text = format!("blob `{}` is damaged: {reason}; it was removed", path.display());
        assert_eq!(
            receiver.iter().collect::<Vec<_>>(),
            [Event::Warning { code: "damaged-blob", text, hint: None }],
            "{name}"
        );
    }
}

#[test]
fn putting_a_damaged_blob_again_heals_it() {
    let store = Store::temporary().unwrap();
    store.put(b"hello").unwrap();
    fs::write(store.blob_path(&Digest::of(b"hello")), "hellO").unwrap();
    store.put(b"hello").unwrap();
    assert_eq!(files(store.root()), [(blob_name(b"hello"), "hello".to_owned())]);
}

#[test]
fn a_read_only_store_is_never_changed() {
    let folder = tempfile::tempdir().unwrap();
    Store::open(folder.path()).unwrap().put(b"hello").unwrap();
    let path = folder.path().join(blob_name(b"hello"));
    fs::write(&path, "hellO").unwrap();

    let store = Store::read_only(folder.path());
    assert!(!store.verify(&descriptor(b"hello")).unwrap());
    store.put_record("facts", &Digest::of(b"x"), &"x");
    assert_eq!(store.put(b"x").unwrap_err().kind().exit_code(), 3);
    assert_eq!(files(folder.path()), [(blob_name(b"hello"), "hellO".to_owned())]);
}

#[test]
fn a_temporary_store_goes_with_its_last_clone() {
    let store = Store::temporary().unwrap();
    let root = store.root().to_owned();
    let clone = store.clone();
    drop(store);
    clone.put(b"x").unwrap();
    drop(clone);
    assert!(!root.exists());
}

/// L4: what a killed process left is swept a day later; what a running one writes is not.
#[test]
fn sweeps_leftovers_that_are_older_than_a_day() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store.put(b"blob").unwrap();
    store.put_record("facts", &Digest::of(b"key"), &"record");
    let blobs = folder.path().join("blobs/sha256");
    let facts = folder.path().join("records/facts");
    let day = Duration::from_hours(24);
    let old = SystemTime::now() - day - Duration::from_mins(1);
    let young = SystemTime::now() - day + Duration::from_mins(10);
    for (path, time) in [
        (blobs.join(".dockless-a.tmp"), old),
        (facts.join(".dockless-a.tmp"), old),
        (blobs.join(".dockless-b.tmp"), young),
        (blobs.join("of-somebody-else.tmp"), old),
        (blobs.join(Digest::of(b"blob").hex()), old),
    ] {
        let file = File::options().create(true).append(true).open(path).unwrap();
        file.set_modified(time).unwrap();
    }
    Store::open(folder.path()).unwrap();

    let mut names: Vec<_> = files(folder.path()).into_iter().map(|(name, _)| name).collect();
    names.sort();
    assert_eq!(
        names,
        [
            "blobs/sha256/.dockless-b.tmp".to_owned(),
            blob_name(b"blob"),
            "blobs/sha256/of-somebody-else.tmp".to_owned(),
            format!("records/facts/{}", Digest::of(b"key").hex()),
        ]
    );
}

#[test]
fn records_are_read_back_or_not_there() {
    let store = Store::temporary().unwrap();
    let key = Digest::of(b"key");
    let record: std::collections::BTreeMap<String, Vec<u64>> = [("ä".into(), vec![1, 2])].into();
    store.put_record("facts", &key, &record);
    assert_eq!(store.record("facts", &key), Some(record.clone()));
    assert_eq!(store.record::<Vec<u64>>("facts", &key), None, "another shape");
    assert_eq!(store.record::<String>("layers", &key), None, "another kind");

    let path = store.root().join(format!("records/facts/{}", key.hex()));
    let text = fs::read_to_string(&path).unwrap();
    for damaged in ["", "{", &text[..text.len() - 1], &text.replace("[1,2]", "[1,3]")] {
        fs::write(&path, damaged).unwrap();
        assert_eq!(store.record::<serde_json::Value>("facts", &key), None, "{damaged}");
    }
    store.put_record("facts", &key, &record);
    assert_eq!(store.record("facts", &key), Some(record));
}

#[test]
fn a_cache_says_that_it_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str| folder.path().join(name);
    Store::open(&open("cache")).unwrap();
    Store::open_output(&open("layout")).unwrap();
    let tag = fs::read_to_string(open("cache").join(CACHE_TAG)).unwrap();
    assert!(tag.starts_with("Signature: 8a477f597d28d172789f06886806bc55\n"), "{tag}");
    assert!(!open("layout").join(CACHE_TAG).exists());
}

/// L2: many writers of the same and of other blobs, readers in between.
#[test]
fn threads_share_a_store() {
    let folder = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let store = Store::open(folder.path()).unwrap();
                for round in 0..20_u8 {
                    let bytes = vec![round; 10_000];
                    store.put(&bytes).unwrap();
                    assert!(store.verify(&descriptor(&bytes)).unwrap());
                }
            });
        }
    });
    let mut expected: Vec<_> = (0..20_u8).map(|round| blob_name(&[round; 10_000])).collect();
    expected.sort();
    let names: Vec<_> = files(folder.path()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, expected);
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error_value() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "").unwrap();
    let error = Store::open(&path).unwrap_err();
    assert_eq!(error.kind().exit_code(), 3);
    assert_eq!(error.lines()[0], format!("cannot keep blobs in `{}`", path.display()));
}
