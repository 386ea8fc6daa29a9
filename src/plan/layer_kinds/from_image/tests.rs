use std::collections::BTreeMap;

use super::*;
use crate::config::schema::check;
use crate::config::{Position, Problems};
use crate::oci::Digest;
use crate::plan::testing::{config, listing, node, source};
use crate::plan::{FileSource, StoredFile};

fn layer(settings: &str) -> Box<dyn LayerSource> {
    source(&config(&[&format!("{{kind: from-image, {settings}}}")])).unwrap()
}

/// An entry: a folder when the path ends in `/`, a link for `path -> target`.
fn found(path: &str, mode: u32, uid: u64) -> ImageEntry {
    let (path, kind) = if let Some((path, target)) = path.split_once(" -> ") {
        (path, EntryKind::Symlink(target.into()))
    } else if path.is_empty() || path.ends_with('/') {
        (path.trim_end_matches('/'), EntryKind::Directory)
    } else {
        let (path, is_plain) = (path.trim_start_matches('='), !path.starts_with('='));
        let digest = Digest::of(b"x");
        let stored =
            StoredFile { digest, size_bytes: 1, blob: digest, blob_bytes: 1, offset_bytes: 0 };
        let kind = EntryKind::File(FileSource::Stored(stored));
        return ImageEntry {
            path: path.into(),
            kind,
            mode,
            uid,
            gid: uid,
            has_attributes: !is_plain,
        };
    };
    ImageEntry { path: path.into(), kind, mode, uid, gid: uid, has_attributes: false }
}

/// What a layer becomes when its needs have these entries, one list for each.
fn inputs(layer: &dyn LayerSource, trees: Vec<Vec<ImageEntry>>, special: &[&str]) -> Inputs {
    let needs = layer.needs().into_iter().map(|need| match need {
        Need::Image(need) => need,
        other => panic!("{other:?}"),
    });
    let special: Vec<_> = special.iter().map(|path| (*path).to_owned()).collect();
    let tree = |entries| ImageTree { image: Digest::of(b"m"), entries, special: special.clone() };
    let images: BTreeMap<_, _> = needs.zip(trees.into_iter().map(tree)).collect();
    Inputs { images: [(Platform::linux_amd64(), images)].into(), ..Inputs::default() }
}

#[test]
fn files_go_where_the_config_says_and_stay_what_they_are() {
    let program = || {
        vec![found("", 0o755, 0)]
            .into_iter()
            .map(|it| ImageEntry { kind: found("x", 0, 0).kind, ..it })
    };
    let tree = || vec![found("", 0o1777, 4), found("a/", 0o2750, 5), found("a/b", 0o4755, 6)];
    for (copy, entries, expected) in [
        ("src: /bin/node", program().collect(), &["0755 0:0 bin/node"][..]),
        ("src: /bin/node, dest: /opt/n", program().collect(), &["0755 0:0 opt/n"]),
        ("src: /bin/node, dest: /opt/", program().collect(), &["0755 0:0 opt/node"]),
        ("src: /l, dest: /", vec![link("x")], &["0777 3:3 l -> x"]),
        ("src: /t", tree(), &["1777 4:4 t/", "0750 5:5 t/a/", "0755 6:6 t/a/b"]),
        (
            "src: /t, dest: /u/, owner: '7'",
            tree(),
            &["1777 7:7 u/", "0750 7:7 u/a/", "0755 7:7 u/a/b"],
        ),
    ] {
        let layer = layer(&format!("image: node, copy: {{{copy}}}"));
        let inputs = inputs(&*layer, vec![entries], &[]);
        let drafts = layer.content(&inputs, &Platform::linux_amd64()).unwrap();
        assert_eq!(listing(&drafts), expected, "{copy}");
        assert!(drafts.iter().all(|draft| draft.entry.mtime == 7));
        let provenance = layer.provenance(&inputs, &Platform::linux_amd64());
        assert_eq!(provenance, Some(format!("taken from {}", Digest::of(b"m"))));
    }
}

fn link(target: &str) -> ImageEntry {
    ImageEntry { kind: EntryKind::Symlink(target.into()), ..found("", 0o777, 3) }
}

#[test]
fn what_was_not_read_is_no_content() {
    let layer = layer("image: node, copy: {src: /bin/node}");
    let error = layer.content(&Inputs::default(), &Platform::linux_amd64()).unwrap_err();
    assert_eq!(error.message, "`/bin/node` of `node` was not read for linux/amd64");
}

#[test]
fn what_is_lost_on_the_way_is_told() {
    let layer = layer("image: node, copy: [{src: /t}, {src: /e}]");
    let tree = vec![found("", 0o755, 0), found("=cap", 0o755, 0), found("su", 0o4755, 0)];
    let inputs = inputs(&*layer, vec![tree, vec![found("", 0o755, 0)]], &["null"]);
    let told: Vec<_> = layer.warnings(&inputs).into_iter().map(|(_, text, _)| text).collect();
    let of = |text: &str| {
        format!(
            "devices, FIFOs and sockets are left out of what is taken from `node`: `/{text}/null`"
        )
    };
    assert_eq!(
        told,
        [
            "setuid or setgid is cleared of what is taken from `node`: `/t/su`".to_owned(),
            "extended attributes, such as capabilities, are left out of what is taken from `node`: \
             `/t/cap`"
                .to_owned(),
            of("t"),
            of("e"),
            "there is nothing to take from `node`: `/e`".to_owned(),
        ]
    );
}

#[test]
fn a_layer_is_called_by_what_it_takes() {
    for (settings, expected) in [
        ("image: node, copy: {src: /a}", "from-image node /a"),
        ("image: node, copy: [{src: /a, dest: /b/}, {src: /c}]", "from-image node /a → /b/, /c"),
        (
            "image: 'a:1', copy: [{src: /a}, {src: /b}, {src: /c}, {src: /d}, {src: /e}]",
            "from-image a:1 /a, /b, /c, and 2 more",
        ),
        ("recipe: node", "from-image node:22-bookworm-slim (recipe node)"),
        ("recipe: node, image: 'node:24'", "from-image node:24 (recipe node)"),
        ("recipe: uv, name: tools", "tools"),
    ] {
        assert_eq!(layer(settings).describe(), expected);
    }
}

#[test]
fn a_recipe_is_what_its_settings_say_and_more_can_be_added() {
    let sources = |settings: &str| -> Vec<String> {
        let source = |need| match need {
            Need::Image(need) => format!("{} /{}", need.name, need.source),
            other => panic!("{other:?}"),
        };
        layer(settings).needs().into_iter().map(source).collect()
    };
    let uv = "ghcr.io/astral-sh/uv:0.13";
    assert_eq!(sources("recipe: uv"), [format!("{uv} /uv"), format!("{uv} /uvx")]);
    assert_eq!(
        sources("recipe: uv, image: 'oci:uv', copy: {src: /LICENSE}"),
        ["oci:uv /uv", "oci:uv /uvx", "oci:uv /LICENSE"]
    );
}

#[test]
fn every_recipe_is_whole_and_documented() {
    let readme = include_str!("../../../../base-layers/README.md");
    let field = SHAPE.fields.iter().find(|field| field.name == "recipe").unwrap();
    let names: Vec<_> = RECIPES.iter().map(|recipe| recipe.name).collect();
    assert!(matches!(field.kind, Kind::Choice(words) if words == names), "{names:?}");
    for name in names {
        assert!(readme.contains(&format!("| `{name}` |")), "{name}");
        assert!(field.doc.contains(&format!("`{name}` is")), "{name}");
        let recipe = RECIPES.iter().find(|recipe| recipe.name == name).unwrap();
        let mut settings = node(&format!("{{kind: from-image, recipe: {name}}}"));
        let mut problems = Problems::new();
        check(&settings, &SHAPE, &mut problems);
        settings = recipe.settings(&Position::default());
        let image = settings.get_text("image").unwrap();
        assert!(readme.contains(image) && field.doc.contains(image), "{image}");
        for item in settings.get("copy").unwrap().one_or_many() {
            check(item, &COPY, &mut problems);
        }
        assert!(problems.is_empty(), "{name}: {problems}");
        assert!(layer(&format!("recipe: {name}")).describe().contains(image));
    }
}

#[test]
fn everything_wrong_is_reported() {
    for (settings, expected) in [
        (
            "copy: {src: /a}",
            "a layer of kind `from-image` without an image; add `image: name:tag`, or one of the \
             recipes: `recipe: node`, `recipe: uv`",
        ),
        (
            "image: node",
            "a layer of kind `from-image` with nothing in it; add `copy: [{src: \
             /path/in/that/image}]`",
        ),
        (
            "image: scratch, copy: {src: /a}",
            "`scratch` is no image to copy from; name one in a registry, or an `oci:DIR`; what is \
             embedded here comes with a layer of kind `builtin`",
        ),
        (
            "image: node, copy: {src: a}",
            "`src` is an absolute path in the image, not `a`; write `/a`",
        ),
        (
            "image: node, copy: {src: /a, owner: 'a:b:c'}",
            "`owner` is `user` or `user:group`, not `a:b:c`; write numbers, as in `1000:50`, or names \
             that the base knows; `agent|1000:1000` is 1000:1000 on a base that does not know `agent`",
        ),
        ("recipe: nod", "`nod` is no value of `recipe`; did you mean `node`?"),
    ] {
        let yaml = format!("{{kind: from-image, {settings}}}");
        assert_eq!(source(&config(&[&yaml])).unwrap_err(), [expected], "{settings}");
    }
    for settings in
        ["image: 'Node:22', copy: {src: /a}", "image: node, copy: {src: /a, exclude: '[a'}"]
    {
        let yaml = format!("{{kind: from-image, {settings}}}");
        assert_eq!(source(&config(&[&yaml])).unwrap_err().len(), 1, "{settings}");
    }
}
