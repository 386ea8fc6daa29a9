//! What the config itself writes into the image: variables, labels and annotations. What the base brings is
//! not ours to judge.

use super::content::scan;
use super::guard::Exception;
use super::{Sort, Verdict};
use crate::config::{Config, Position, Problems, Setting};

/// What the last word of a variable's name is when it holds a secret.
const SECRET_WORDS: [&str; 6] = ["credential", "credentials", "key", "password", "secret", "token"];

/// Reports what looks like a credential; gives what is allowed.
pub(super) fn check(config: &Config, problems: &mut Problems) -> Vec<Exception> {
    let mut allowed = Vec::new();
    for (name, value) in &config.run.env {
        let sort = is_secret_name(name).then_some(Sort::SecretVariable);
        let Some(sort) = sort.filter(|_| !value.is_empty()).or_else(|| sort_of(value)) else {
            continue;
        };
        if config.secrets.allow_env.contains(name) {
            let subject = name.clone();
            allowed.push(Exception { by: "allow_env", subject, lines: Vec::new(), sort });
        } else {
            report(config, (Setting::Variable, name), sort, problems);
        }
    }
    for (setting, texts) in
        [(Setting::Label, &config.labels), (Setting::Annotation, &config.annotations)]
    {
        for (name, value) in texts {
            if let Some(sort) = sort_of(value) {
                report(config, (setting, name), sort, problems);
            }
        }
    }
    allowed
}

/// Whether a variable is called like a secret: `OPENAI_API_KEY`, not `MONKEY` or `KEY_PATH`.
fn is_secret_name(name: &str) -> bool {
    let word = name.rsplit(['_', '-', '.']).next().unwrap_or_default();
    SECRET_WORDS.iter().any(|secret| word.eq_ignore_ascii_case(secret))
}

fn sort_of(value: &str) -> Option<Sort> {
    let Verdict { found, .. } = scan(value.as_bytes());
    found.first().map(|found| found.sort)
}

fn report(config: &Config, (setting, name): (Setting, &str), sort: Sort, problems: &mut Problems) {
    // What the command line says has no place in a file.
    let nowhere = Position::default();
    let position = config.secrets.places.get(&(setting, name.to_owned())).unwrap_or(&nowhere);
    let what = setting.describe();
    let message = format!(
        "the {what} `{}` looks like {}: whoever can pull the image could read it",
        name.escape_debug(),
        sort.describe()
    );
    let is_agents = position.file.as_ref() != config.source.file.to_string_lossy()
        || config.source.format == "holodeck";
    let hint = match setting {
        Setting::Variable => {
            let cure = if is_agents {
                format!(
                    "write `${{{name}}}` as its value: the container is given it when it starts"
                )
            } else {
                "leave it out, and give it to the container when it starts".to_owned()
            };
            let place = if config.source.format == "holodeck" {
                "in a `dockless.yaml` beside it, `agent: agent.yaml` and "
            } else {
                ""
            };
            format!("{cure}; or, when it is no secret, allow it: {place}`allow_env: [{name}]`")
        }
        Setting::Label | Setting::Annotation => "remove it".to_owned(),
    };
    problems.report_secret(position, message, hint);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_of_a_name_tells() {
        for name in
            ["OPENAI_API_KEY", "key", "my_Token", "DB_PASSWORD", "a.secret", "X_CREDENTIALS"]
        {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["MONKEY", "KEY_PATH", "TOKENS", "PASSWORD_FILE", "APIKEY", "HOLODECK_PORT"] {
            assert!(!is_secret_name(name), "{name}");
        }
    }
}
