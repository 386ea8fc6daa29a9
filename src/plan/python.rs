//! The Python of a base: its version, where packages go, and which of those that matter are there.

use std::collections::BTreeMap;

use super::question::Python;
use super::{RootNode, RootTree};

/// Names that lead to a Python, the surer one first.
const PROGRAMS: [&str; 2] = ["python3", "python"];

/// Where Debian's own packages lie, whatever the version.
const DEBIAN: &str = "usr/lib/python3/dist-packages";

/// The Python that these folders lead to, and which of the wanted distributions it has.
pub(super) fn find(tree: &RootTree, search: &[String], wanted: &[String]) -> Option<Python> {
    let program = PROGRAMS.iter().find_map(|name| tree.find_program(name, search))?;
    let real = tree.resolve_quietly(&program)?;
    // As Python does: where the link lies decides whether it is that of a virtual environment (PEP 405).
    let beside = tree.resolve_quietly(&prefix_of(&program)?)?;
    let is_virtual = tree.nodes.get(&format!("{beside}/pyvenv.cfg")) == Some(&RootNode::File);
    let prefix = if is_virtual { beside } else { prefix_of(&real)? };
    let version = version(tree, &real, &prefix)?;
    let folders = if is_virtual {
        vec![format!("{prefix}/lib/python{version}/site-packages")]
    } else {
        system_folders(tree, &prefix, &version)
    };
    let mut distributions = BTreeMap::new();
    for folder in folders.iter().filter_map(|folder| tree.resolve_quietly(folder)) {
        let found = tree.names_in(&folder).filter_map(distribution);
        for (name, version) in found.filter(|(name, _)| wanted.contains(name)) {
            // What is imported first hides the others.
            distributions.entry(name).or_insert_with(|| version.to_owned());
        }
    }
    Some(Python { version, site_packages: format!("/{}", folders[0]), distributions })
}

/// The folders that a system's Python imports packages from; new ones go to the first.
fn system_folders(tree: &RootTree, prefix: &str, version: &str) -> Vec<String> {
    let site_packages =
        ["lib", "lib64"].map(|lib| format!("{prefix}/{lib}/python{version}/site-packages"));
    if prefix == "usr" && tree.nodes.contains_key(DEBIAN) {
        return vec![format!("usr/local/lib/python{version}/dist-packages"), DEBIAN.to_owned()];
    }
    site_packages.into()
}

/// The folder that `bin` lies in.
fn prefix_of(program: &str) -> Option<String> {
    let (bin, _) = program.rsplit_once('/')?;
    bin.rsplit_once('/').map(|(prefix, _)| prefix.to_owned())
}

/// From the program's name (`python3.12`), or from the only folder for packages that there is.
fn version(tree: &RootTree, program: &str, prefix: &str) -> Option<String> {
    let (_, name) = program.rsplit_once('/')?;
    version_in(name).map(str::to_owned).or_else(|| {
        let lib = tree.resolve_quietly(&format!("{prefix}/lib"))?;
        let mut versions = tree.names_in(&lib).filter_map(version_in);
        let version = versions.next()?.to_owned();
        versions.next().is_none().then_some(version)
    })
}

/// `3.12` in `python3.12`.
fn version_in(name: &str) -> Option<&str> {
    let version = name.strip_prefix("python")?;
    let (major, minor) = version.split_once('.')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_number(major) && is_number(minor)).then_some(version)
}

/// Name and version from `NAME-VERSION.dist-info` or `NAME-VERSION-py3.12.egg-info`.
pub(super) fn distribution(name: &str) -> Option<(String, &str)> {
    let stem = name.strip_suffix(".dist-info").or_else(|| {
        let stem = name.strip_suffix(".egg-info")?;
        Some(stem.split_once("-py").map_or(stem, |(stem, _)| stem))
    })?;
    let (name, version) = stem.split_once('-')?;
    Some((normalised(name), version))
}

/// Small letters, and one `-` for what stands between words (PEP 503).
fn normalised(name: &str) -> String {
    let words = name.split(['-', '_', '.']).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::testing::tree;

    #[test]
    fn the_python_of_the_search_path_is_found() {
        let official = [
            "usr/local/bin/python -> python3",
            "usr/local/bin/python3 -> python3.10",
            "usr/local/bin/python3.10",
            "usr/local/lib/python3.10/site-packages/Flask_Login-0.6.dist-info/METADATA",
            "usr/local/lib/python3.10/site-packages/zope.interface-5.4-py3.10.egg-info",
            "usr/local/lib/python3.10/site-packages/flask/__init__.py",
        ];
        let debian = [
            "bin -> usr/bin",
            "usr/bin/python3 -> python3.11",
            "usr/bin/python3.11",
            "usr/lib/python3/dist-packages/six-1.16.0.egg-info",
            "usr/lib/python3/dist-packages/certifi-1.dist-info/METADATA",
            "usr/local/lib/python3.11/dist-packages/certifi-2.dist-info/METADATA",
        ];
        let virtual_environment = [
            "app/.venv/pyvenv.cfg",
            "app/.venv/bin/python -> /usr/local/bin/python3",
            "app/.venv/bin/python3 -> python",
            "app/.venv/lib/python3.10/site-packages/uvicorn-0.3.dist-info/METADATA",
        ];
        let unnamed = [
            "opt/python/bin/python3",
            "opt/python/lib/python3.13/site-packages/a-1.dist-info/METADATA",
        ];
        let venv = [&official[..], &virtual_environment].concat();
        for (paths, search, expected) in [
            (
                &official[..],
                "/usr/local/bin:/usr/bin",
                Some(
                    "3.10 /usr/local/lib/python3.10/site-packages flask-login=0.6 zope-interface=5.4",
                ),
            ),
            (
                &debian,
                "/usr/local/bin:/bin",
                Some("3.11 /usr/local/lib/python3.11/dist-packages certifi=2 six=1.16.0"),
            ),
            (
                &[&official[..], &debian].concat(),
                "/usr/bin:/usr/local/bin",
                Some("3.11 /usr/local/lib/python3.11/dist-packages certifi=2 six=1.16.0"),
            ),
            (
                &venv,
                "/app/.venv/bin:/usr/local/bin",
                Some("3.10 /app/.venv/lib/python3.10/site-packages uvicorn=0.3"),
            ),
            (
                &venv,
                "/usr/local/bin:/app/.venv/bin",
                Some(
                    "3.10 /usr/local/lib/python3.10/site-packages flask-login=0.6 zope-interface=5.4",
                ),
            ),
            (&unnamed, "/opt/python/bin", Some("3.13 /opt/python/lib/python3.13/site-packages")),
            (&virtual_environment, "/app/.venv/bin", None),
            (&official, "/usr/bin", None),
            (&[], "/usr/bin", None),
        ] {
            let search: Vec<_> = search.split(':').map(str::to_owned).collect();
            let wanted = ["flask-login", "zope-interface", "certifi", "six", "uvicorn", "flask"];
            let found = find(&tree(paths), &search, &wanted.map(str::to_owned)).map(|python| {
                let Python { version, site_packages, distributions } = python;
                let installed =
                    distributions.iter().map(|(name, version)| format!(" {name}={version}"));
                format!("{version} {site_packages}{}", installed.collect::<String>())
            });
            assert_eq!(found.as_deref(), expected, "{paths:?}");
        }
    }

    #[test]
    fn names_of_distributions_are_normalised() {
        for (file, expected) in [
            ("Jinja2-3.1.dist-info", Some(("jinja2", "3.1"))),
            ("ruamel.yaml_clib--x-1.dist-info", Some(("ruamel-yaml-clib", "-x-1"))),
            ("a_b-1.0-py2.py3.egg-info", Some(("a-b", "1.0"))),
            ("develop.egg-info", None),
            ("flask", None),
        ] {
            let expected = expected.map(|(name, version)| (name.to_owned(), version));
            assert_eq!(distribution(file), expected, "{file}");
        }
    }
}
