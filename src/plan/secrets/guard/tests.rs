use super::super::Found;
use super::*;

fn told(path: &str, image_path: &str, verdict: Option<&Verdict>) -> Vec<String> {
    look(path, image_path, verdict).iter().map(Finding::to_string).collect()
}

#[test]
fn names_and_contents_are_weighed_together() {
    let clean = Verdict::default();
    let public = Verdict { is_public: true, ..Verdict::default() };
    let found = |found: &[(Sort, u32)]| Verdict {
        found: found.iter().map(|(sort, line)| Found { sort: *sort, line: *line }).collect(),
        is_public: false,
    };
    let key = found(&[(Sort::PrivateKey, 3)]);
    let keys = found(&[(Sort::PrivateKey, 3), (Sort::AwsKey, 5), (Sort::PrivateKey, 9)]);
    let token = found(&[(Sort::AssignedSecret, 2)]);
    for (path, image_path, verdict, expected) in [
        ("a.py", "app/a.py", Some(&clean), &[][..]),
        ("a.bin", "app/a.bin", None, &[]),
        (
            "a.py",
            "app/a.py",
            Some(&keys),
            &["`a.py`, lines 3, 9: a private key", "`a.py`, line 5: an AWS access key"],
        ),
        ("a.pem", "app/a.pem", Some(&public), &[]),
        ("a.pem", "app/a.pem", Some(&key), &["`a.pem`: a key, by its name, and not a public one"]),
        (
            "a.key",
            "app/a.key",
            Some(&clean),
            &["`a.key`: a key, by its name, and not a public one"],
        ),
        ("a.pem", "app/a.pem", None, &["`a.pem`: a key, by its name, and not a public one"]),
        ("a.crt", "etc/a.pem", Some(&public), &[]),
        (
            "a.crt",
            "etc/a.pem",
            Some(&key),
            &["`a.crt` (in the image `/etc/a.pem`): a key, by its name, and not a public one"],
        ),
        (".npmrc", "app/.npmrc", Some(&clean), &[]),
        (
            ".npmrc",
            "app/.npmrc",
            Some(&token),
            &["`.npmrc`, line 2: a password or token that is set"],
        ),
        (".npmrc", "app/.npmrc", None, &["`.npmrc`: a file of credentials, by its name"]),
        (
            "npm",
            "app/.npmrc",
            Some(&clean),
            &["`npm` (in the image `/app/.npmrc`): a file of credentials, by its name"],
        ),
        ("a/.ssh/x", "app/x", Some(&key), &["`a/.ssh/`: a folder of credentials, by its name"]),
        (
            "x",
            "root/.ssh/x",
            Some(&clean),
            &["`x` (in the image `/root/.ssh/x`): a folder of credentials, by its name"],
        ),
        ("site-packages/tornado/test/test.key", "x/test.key", Some(&key), &[]),
        ("vendor/tornado/test/test.key", "site-packages/tornado/test/test.key", Some(&key), &[]),
        (
            "vendor/a/b.key",
            "site-packages/a/b.key",
            Some(&key),
            &["`vendor/a/b.key`, line 3: a private key"],
        ),
        ("node_modules/a/.env", "app/.env", Some(&clean), &[]),
        (
            "node_modules/a/.env",
            "app/.env",
            Some(&token),
            &["`node_modules/a/.env`, line 2: a password or token that is set"],
        ),
        ("vendor/a/.env", "x/node_modules/a/.env", Some(&clean), &[]),
        (
            "vendor/a/.env",
            "app/a/.env",
            Some(&clean),
            &["`vendor/a/.env`: a file of variables, by its name"],
        ),
    ] {
        assert_eq!(told(path, image_path, verdict), expected, "{path} → {image_path}");
    }
}

#[test]
fn files_of_other_images_are_looked_at_by_name() {
    let told = |path| look_at_name(path).iter().map(Finding::to_string).collect::<Vec<_>>();
    for (path, expected) in [
        ("root/.ssh/id_rsa", &["`/root/.ssh/`: a folder of credentials, by its name"][..]),
        ("app/.env", &["`/app/.env`: a file of variables, by its name"]),
        ("etc/ssl/ca.pem", &[]),
        ("root/.npmrc", &[]),
        ("usr/local/lib/node_modules/a/.env", &[]),
        ("usr/bin/node", &[]),
    ] {
        assert_eq!(told(path), expected, "{path}");
    }
}

#[test]
fn a_long_list_is_described_and_never_cut() {
    let finding = |number: usize| Finding {
        path: format!("data/{number:02}/.env"),
        lines: Vec::new(),
        sort: Sort::EnvironmentFile,
        image_path: None,
        bringer: Bringer::Folder,
    };
    let findings: Vec<_> = (0..40).map(finding).collect();
    assert_eq!(
        proposal("ignore", &findings[..4].iter().collect::<Vec<_>>()),
        r#"`ignore: ["data/00/.env", "data/01/.env", "data/02/.env", "data/03/.env"]`"#
    );
    assert_eq!(
        proposal("ignore", &findings.iter().collect::<Vec<_>>()),
        "`ignore:` and below it, for each of the paths, a line `- PATH`"
    );
}

#[test]
fn what_is_proposed_means_the_file_alone() {
    let finding = |path: &str| Finding {
        path: path.into(),
        lines: Vec::new(),
        sort: Sort::KeyFile,
        image_path: None,
        bringer: Bringer::Folder,
    };
    for (path, pattern) in [
        ("a/b.key", "a/b.key"),
        ("a/.ssh/", "a/.ssh"),
        ("/app/x", "app/x"),
        ("a[1]*?\\", "a\\[1]\\*\\?\\\\"),
    ] {
        assert_eq!(finding(path).pattern(), pattern);
    }
}
