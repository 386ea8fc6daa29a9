use super::*;
use crate::plan::testing::{config, line, source, text};

/// Renders a template of the project with a config that says everything.
fn render(content: &str, more: &str) -> Result<String, PlanError> {
    let mut config = config(&[&format!("{{kind: template, file: t/x.j2, dest: /app/x{more}}}")]);
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    config.run = RunSettings {
        user: Some("65532".into()),
        workdir: Some("/app".into()),
        env: vec![("B".into(), "1".into()), ("A".into(), "<&>".into())],
        entrypoint: Some(texts(&["python", "it's"])),
        cmd: None,
        ports: texts(&["8080/tcp", "53/udp"]),
        health: Some(crate::config::Health { path: Some("/h".into()), port: None, check: None }),
        ..RunSettings::default()
    };
    config.labels = [("team".to_owned(), "search".to_owned())].into();
    let layer = source(&config).unwrap();
    let bytes = Bytes::copy_from_slice(content.as_bytes());
    let inputs = Inputs { files: [("t/x.j2".to_owned(), bytes)].into(), ..Inputs::default() };
    let drafts = layer.content(&inputs, &"linux/arm/v6".parse().unwrap())?;
    Ok(text(&drafts[0]).to_owned())
}

#[test]
fn templates_see_what_the_config_says() {
    for (content, expected) in [
        ("{{ name }} {{ dest }}\n", "agent /app/x\n"),
        ("{{ platform }} {{ os }} {{ architecture }}", "linux/arm/v6 linux arm"),
        ("{{ port }} {{ ports | join(',') }}", "8080 8080/tcp,53/udp"),
        ("{{ workdir }} {{ user }}", "/app 65532"),
        ("{{ env.A }}{{ env['B'] }} {{ labels.team }}", "<&>1 search"),
        ("{% for name, value in env | items %}{{ name }}={{ value }};{% endfor %}", "A=<&>;B=1;"),
        ("{{ entrypoint | shell }}", r"python 'it'\''s'"),
        ("{{ entrypoint | json }} {{ port | json }}", r#"["python","it's"] 8080"#),
        ("{{ '' | shell }} {{ 'a b' | shell }} {{ port | shell }}", "'' 'a b' 8080"),
        ("{{ health.path }} {{ health.port is defined }}", "/h False"),
        ("{{ 'cmd' if cmd is defined else 'no cmd' }}", "no cmd"),
        ("{{ mine }}", "80"),
        ("a\n{% if true %}\nb\n{% endif %}\nc\n", "a\nb\nc\n"),
        ("${HOME} $(id) {\n", "${HOME} $(id) {\n"),
    ] {
        let rendered = render(content, ", variables: {mine: 80}");
        assert_eq!(rendered.as_deref(), Ok(expected), "{content}");
    }
}

#[test]
fn what_cannot_be_rendered_names_its_line() {
    let defined = "defined here are `architecture`, `dest`, `entrypoint`, `env`, `health`, \
                   `labels`, `name`, `os`, `platform`, `port`, `ports`, `user`, `workdir`";
    for (content, message, hint) in [
        (
            "a\n{{ cmd }}",
            "in line 2: `cmd` is not defined",
            Some("the config does not say `cmd`: write `{% if cmd is defined %}`"),
        ),
        (
            "{{ cmd | shell }}",
            "in line 1: `cmd` is not defined",
            Some("the config does not say `cmd`: write `{% if cmd is defined %}`"),
        ),
        (
            "{{ dest }} {{ workdri }}",
            "in line 1: `workdri` is not defined",
            Some("did you mean `workdir`?"),
        ),
        ("{{ env.C }}", "in line 1: `env.C` is not defined", Some(defined)),
        ("{{ other }}", "in line 1: `other` is not defined", Some(defined)),
        ("\n\n{% if %}", "in line 3: syntax error: unexpected end of block", None),
        (
            "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}",
            "in line 1: engine ran out of fuel",
            Some("it loops over too much"),
        ),
        ("{% include 'other' %}", "in line 1: syntax error: unknown statement include", None),
        ("{{ name | shel }}", "in line 1: unknown filter: filter shel is unknown", None),
    ] {
        let error = render(content, "").unwrap_err();
        assert_eq!(
            (error.message, error.hint.as_deref()),
            (format!("the template `t/x.j2` cannot be rendered {message}"), hint),
            "{content}"
        );
    }
}

#[test]
fn what_is_no_text_is_refused() {
    let layer = source(&config(&["{kind: template, file: x, dest: /x}"])).unwrap();
    let content = |files: &[(String, Bytes)]| {
        let inputs = Inputs { files: files.iter().cloned().collect(), ..Inputs::default() };
        layer.content(&inputs, &Platform::linux_amd64()).unwrap_err().to_string()
    };
    let binary = ("x".to_owned(), Bytes::from_static(b"\xff"));
    assert_eq!(content(&[binary]), ": the template `x` is not UTF-8");
    assert_eq!(content(&[]), ": the template `x` was not read");
}

#[test]
fn scripts_are_executable() {
    for (settings, content, expected) in [
        ("dest: /a.sh", "x", "0755 0:0 a.sh"),
        ("dest: /a", "#!/bin/sh\n", "0755 0:0 a"),
        ("dest: /a.conf", "x", "0644 0:0 a.conf"),
        ("dest: /.sh", "x", "0644 0:0 .sh"),
        ("dest: /d/", "x", "0644 0:0 d/t.conf"),
        ("dest: /a.sh, mode: '0600', owner: 5", "x", "0600 5:5 a.sh"),
    ] {
        let yaml = format!("{{kind: template, file: x/t.conf.j2, {settings}}}");
        let layer = source(&config(&[&yaml])).unwrap();
        let file = ("x/t.conf.j2".to_owned(), Bytes::copy_from_slice(content.as_bytes()));
        let inputs = Inputs { files: [file].into(), ..Inputs::default() };
        let drafts = layer.content(&inputs, &Platform::linux_amd64()).unwrap();
        assert_eq!(line(&drafts[0].entry), expected, "{settings}");
    }
}

#[test]
fn the_embedded_templates_give_these_scripts() {
    let script = |name: &str, entrypoint: Option<&str>| {
        let yaml = format!("{{kind: template, template: {name}, dest: /app/entrypoint.sh}}");
        let mut config = config(&[&yaml]);
        config.run.entrypoint = entrypoint.map(|word| vec![word.to_owned(), "a b".to_owned()]);
        let layer = source(&config).unwrap();
        assert_eq!(layer.needs(), []);
        let drafts = layer.content(&Inputs::default(), &Platform::linux_amd64()).unwrap();
        assert_eq!(line(&drafts[0].entry), "0755 0:0 app/entrypoint.sh");
        text(&drafts[0]).to_owned()
    };
    let head = "#!/bin/sh\n\
        # Becomes the agent's program: `exec` keeps it process 1, so that signals reach it.\n\
        set -eu\n\n";
    let forwards = format!(
        "{head}if [ \"$#\" -eq 0 ]; then\n    \
         echo \"$0: no command: set cmd in the config, or give one to the container\" >&2\n    \
         exit 64\nfi\nexec \"$@\"\n"
    );
    assert_eq!(script("entrypoint.sh", None), forwards);
    assert_eq!(script("entrypoint.sh", Some("/app/entrypoint.sh")), forwards);
    assert_eq!(
        script("entrypoint.sh", Some("python")),
        format!("{head}exec python 'a b' \"$@\"\n")
    );
    assert_eq!(
        script("holodeck-entrypoint.sh", None),
        "#!/bin/bash\nset -e\n\n# Start the HoloDeck agent server\n\
         exec holodeck serve /app/agent.yaml \\\n    --host 0.0.0.0 \\\n    \
         --port \"${HOLODECK_PORT:-8080}\" \\\n    --protocol \"${HOLODECK_PROTOCOL:-rest}\"\n"
    );
}

#[test]
fn everything_wrong_is_reported() {
    for (settings, expected) in [
        (
            "dest: /x, template: entrypoint",
            vec![
                "there is no template `entrypoint`; did you mean `entrypoint.sh`?; one of the \
                 project is named with `file:`",
            ],
        ),
        (
            "dest: /x",
            vec![
                "neither `template` nor `file` says what is rendered; add `template: \
                 entrypoint.sh`, or `file:` with a template of the project",
            ],
        ),
        (
            "dest: /x, template: entrypoint.sh, file: x",
            vec!["both `template` and `file` say what is rendered; remove one of them"],
        ),
        (
            "dest: /x, file: x, variables: {port: 1, a-b: 2, 3x: 4, fine: 5}",
            vec![
                "`3x` is no name for a variable; choose another name, of letters, digits and `_`",
                "`a-b` is no name for a variable; choose another name, of letters, digits and `_`",
                "`port` is a variable of every template; choose another name, of letters, \
                 digits and `_`",
            ],
        ),
    ] {
        let yaml = format!("{{kind: template, {settings}}}");
        let mut found = source(&config(&[&yaml])).unwrap_err();
        found.sort();
        assert_eq!(found, expected, "{settings}");
    }
}

#[test]
fn every_documented_variable_exists_and_every_template_is_documented() {
    let readme = include_str!("../../../../templates/README.md");
    for name in VARIABLES.iter().chain(TEMPLATES.iter().map(|template| &template.name)) {
        assert!(readme.contains(&format!("`{name}`")), "{name}");
    }
}
