use super::*;
use crate::config::Position;
use crate::plan::testing::{config, disk_file, found, listing, source};

fn need(source: &str) -> TreeNeed {
    TreeNeed {
        source: source.into(),
        include: Vec::new(),
        exclude: Vec::new(),
        links: Links::Keep,
        has_dockerignore: true,
        position: Position::default(),
    }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn says_what_must_be_listed() {
    let layer = source(&config(&[r#"
        kind: files
        copy:
          - {src: ./data/, dest: /srv/data, exclude: ["**/*.tmp"], include: "*.md"}
          - {src: "docs/*.md", dest: /docs}
          - {src: [a, b], dest: /both/, links: follow, ignore_file: false}
        directories: [{path: /var/lib/x}]
    "#]))
    .unwrap();
    let (include, exclude) = (texts(&["*.md"]), texts(&["**/*.tmp"]));
    let followed =
        |source| TreeNeed { links: Links::Follow, has_dockerignore: false, ..need(source) };
    assert_eq!(
        layer.needs(),
        [
            TreeNeed { include: include.clone(), exclude, ..need("data") },
            TreeNeed { include, ..need("docs") },
            followed("a"),
            followed("b"),
        ]
        .map(Need::Tree)
    );
    assert_eq!(
        layer.describe(),
        "files data → /srv/data, docs/*.md → /docs, a → /both/, b → /both/, /var/lib/x/"
    );
    let named = config(&["{kind: files, name: the code, copy: {src: ., dest: /}}"]);
    assert_eq!(source(&named).unwrap().describe(), "the code");
}

/// The entries of one item of `copy` for a listed tree, and the warnings.
fn copied(item: &str, entries: &[TreeEntry]) -> (Vec<String>, Vec<String>) {
    let layer = source(&config(&[&format!("{{kind: files, copy: [{item}]}}")])).unwrap();
    let needs = layer.needs().into_iter().filter_map(|need| match need {
        Need::Tree(need) => Some((need, Tree { entries: entries.to_vec() })),
        Need::File { .. } | Need::Image(_) => None,
    });
    let inputs = Inputs { trees: needs.collect(), ..Inputs::default() };
    let drafts = layer.content(&inputs, &Platform::linux_amd64()).unwrap();
    assert!(drafts.iter().all(|draft| draft.entry.mtime == 7));
    assert!(drafts.iter().all(|draft| draft.existing == Existing::Keep));
    let warnings = layer.warnings(&inputs).into_iter().map(|(code, text, _)| {
        assert!(["empty-copy", "special-mode-bits"].contains(&code));
        text
    });
    (listing(&drafts), warnings.collect())
}

#[test]
fn every_source_lands_where_it_should() {
    let folder = || vec![found("", 0o700), found("b/", 0o2777), found("b/c", 0o600)];
    let file = || vec![TreeEntry { path: String::new(), ..found("run.sh", 0o700) }];
    let link = || vec![found(" -> target", 0o777)];
    for (item, entries, expected) in [
        ("{src: a, dest: /x}", folder(), vec!["0755 0:0 x/", "0755 0:0 x/b/", "0644 0:0 x/b/c"]),
        ("{src: a, dest: /}", folder(), vec!["0755 0:0 /", "0755 0:0 b/", "0644 0:0 b/c"]),
        ("{src: t/run.sh, dest: /x/go}", file(), vec!["0755 0:0 x/go"]),
        ("{src: t/run.sh, dest: /x/}", file(), vec!["0755 0:0 x/run.sh"]),
        ("{src: run.sh, dest: /}", file(), vec!["0755 0:0 run.sh"]),
        ("{src: t/ln, dest: /x/}", link(), vec!["0777 0:0 x/ln -> target"]),
        ("{src: ln, dest: /x, mode: '0600'}", link(), vec!["0777 0:0 x -> target"]),
        (
            "{src: a, dest: /x, mode: '4711', dir_mode: '2750', owner: '5:6'}",
            folder(),
            vec!["2750 5:6 x/", "2750 5:6 x/b/", "4711 5:6 x/b/c"],
        ),
        (
            "{src: a, dest: /x, read_only: true}",
            folder(),
            vec!["0555 0:0 x/", "0555 0:0 x/b/", "0444 0:0 x/b/c"],
        ),
        ("{src: run.sh, dest: /x, read_only: true}", file(), vec!["0555 0:0 x"]),
    ] {
        assert_eq!(copied(item, &entries).0, expected, "{item}");
    }
}

#[test]
fn bits_are_cleared_and_empty_copies_made_with_a_warning() {
    let special = || {
        let mut entries = vec![found("", 0o755), found("d/", 0o1777)];
        entries.extend(["a", "b", "c"].map(|name| found(&format!("d/{name}"), 0o4755)));
        entries
    };
    for (item, entries, expected) in [
        (
            "{src: s, dest: /x}",
            special(),
            vec!["setuid, setgid or sticky is cleared: `s/d`, `s/d/a`, `s/d/b`, and 1 more"],
        ),
        (
            "{src: ., dest: /x, mode: '4755'}",
            special(),
            vec!["setuid, setgid or sticky is cleared: `d`"],
        ),
        ("{src: s, dest: /x, mode: '0755', dir_mode: '0755'}", special(), vec![]),
        (
            "{src: s, dest: /x}",
            vec![found("", 0o755)],
            vec!["nothing of `s` is copied: there is no file in it, or all are left out"],
        ),
    ] {
        assert_eq!(copied(item, &entries).1, expected, "{item}");
    }
}

#[test]
fn directories_replace_what_the_base_says() {
    let layer = source(&config(&[
        "{kind: files, directories: [{path: /var/x/, mode: 1777, owner: 5}, {path: /y}]}",
    ]))
    .unwrap();
    let drafts = layer.content(&Inputs::default(), &Platform::linux_amd64()).unwrap();
    assert_eq!(listing(&drafts), ["1777 5:5 var/x/", "0755 0:0 y/"]);
    assert!(drafts.iter().all(|draft| draft.existing == Existing::Replace));
}

#[test]
fn everything_wrong_is_reported() {
    for (item, expected) in [
        (
            "{src: ../x, dest: x, mode: rw, owner: a/b}",
            vec![
                "`dest` is an absolute path in the image, not `x`; write `/x`",
                "`mode` is permission bits in octal, not `rw`; write `0644` for files or `0755` \
                 for programs and folders",
                "`owner` is `user` or `user:group`, not `a/b`; write numbers, as in `1000:50`, or \
                 names that the base knows; `agent|1000:1000` is 1000:1000 on a base that does not \
                 know `agent`",
                "`src` contains `..`: `../x`; everything in an image comes from the project's \
                 folder: write a path below it, such as `src`, or `.` for all of it",
            ],
        ),
        (
            "{src: 'a/*', dest: /x, include: b}",
            vec![
                "`a/*` is a pattern, and there is `include` too; name the folder in `src` and \
                 all patterns in `include`",
            ],
        ),
        (
            "{src: [a, b], dest: /x}",
            vec!["`dest` of several sources is no folder: `/x`; write `/x/`"],
        ),
        ("{src: [], dest: /x}", vec!["`src` names nothing; add `src: .`"]),
        (
            "{source: a, dest: /x}",
            vec![
                "unknown key `source` in an item of `copy`; did you mean `src`?",
                "`src` is missing in an item of `copy`; add `src: …`, a text, or a list, each \
                 item a text",
            ],
        ),
    ] {
        let layer = format!("{{kind: files, copy: [{item}]}}");
        assert_eq!(source(&config(&[&layer])).unwrap_err(), expected, "{item}");
    }
    assert_eq!(
        source(&config(&["{kind: files, directories: [{path: /}]}"])).unwrap_err(),
        ["the root folder is the base's; name a folder below it"]
    );
    assert_eq!(
        source(&config(&["{kind: files, copy: []}"])).unwrap_err(),
        ["a layer of kind `files` with nothing in it; add `copy: [{src: …, dest: …}]`"]
    );
}

#[test]
fn a_file_of_the_project_stays_where_it_is_until_it_is_packed() {
    let layer = source(&config(&["{kind: files, copy: {src: a, dest: /b}}"])).unwrap();
    let tree = Tree { entries: vec![TreeEntry { path: String::new(), ..found("a", 0o644) }] };
    let inputs = Inputs { trees: [(need("a"), tree)].into(), ..Inputs::default() };
    let drafts = layer.content(&inputs, &Platform::linux_amd64()).unwrap();
    let kinds: Vec<_> = drafts.into_iter().map(|draft| draft.entry.kind).collect();
    assert_eq!(kinds, [EntryKind::File(FileSource::Disk(disk_file("a")))]);
}
