//! Reads `WWW-Authenticate` (RFC 9110, 11.6.1) and checks where it sends us.

use std::collections::BTreeSet;

use reqwest::Url;

use super::keychain::Credential;
use super::origin::Origin;

/// How a registry wants to be convinced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User name and password with each request.
    Basic,
    /// A token from the server at `realm` (distribution's token specification).
    Bearer {
        /// Where tokens come from.
        realm: Url,
        /// Whom they are for.
        service: Option<String>,
        /// What the refused request would have needed.
        scopes: BTreeSet<String>,
        /// What is wrong with the token of the refused request (RFC 6750, 3.1).
        error: Option<String>,
    },
}

impl Challenge {
    /// Whether there is anything to send with these credentials: an identity token is for token
    /// servers, and some of those give tokens to everybody.
    pub(super) fn can_be_met(&self, credential: Option<&Credential>) -> bool {
        match self {
            Self::Bearer { .. } => true,
            Self::Basic => {
                matches!(credential, Some(Credential::Password { .. } | Credential::Bearer { .. }))
            }
        }
    }
}

/// Chooses among all challenges of an answer: Bearer before Basic; the rest is not for us.
///
/// A header that cannot be parsed does not spoil the others. `Err` says why nothing can be used.
pub(super) fn choose<'a>(
    registry: &Origin,
    headers: impl IntoIterator<Item = &'a str>,
) -> Result<Challenge, String> {
    let mut is_basic = false;
    let mut why_not = None;
    let headers: Vec<_> = headers.into_iter().collect();
    for header in &headers {
        let header = squeeze(header);
        let challenges = http_auth::parser::ChallengeParser::new(&header).map_while(Result::ok);
        for challenge in challenges {
            if challenge.scheme.eq_ignore_ascii_case("basic") {
                is_basic = true;
            } else if challenge.scheme.eq_ignore_ascii_case("bearer") {
                match bearer(registry, &challenge) {
                    Ok(bearer) => return Ok(bearer),
                    Err(reason) => why_not = Some(reason),
                }
            }
        }
    }
    match why_not {
        _ if is_basic => Ok(Challenge::Basic),
        Some(reason) => Err(reason),
        None if headers.is_empty() => Err("it does not say how to log in".into()),
        None => Err("it offers neither Bearer nor Basic authentication".into()),
    }
}

/// Makes one space of several, and of tabs, outside quotes: the grammar allows them, the parser does not.
fn squeeze(header: &str) -> String {
    let mut squeezed = String::with_capacity(header.len());
    let (mut is_quoted, mut is_escaped) = (false, false);
    for character in header.trim().chars() {
        let is_space = !is_quoted && matches!(character, ' ' | '\t');
        let character = if is_space { ' ' } else { character };
        if is_space && squeezed.ends_with(' ') {
            continue;
        }
        is_quoted ^= character == '"' && !is_escaped;
        is_escaped = is_quoted && character == '\\' && !is_escaped;
        squeezed.push(character);
    }
    squeezed
}

fn bearer(registry: &Origin, challenge: &http_auth::ChallengeRef<'_>) -> Result<Challenge, String> {
    let parameter = |name: &str| {
        let mut all = challenge.params.iter();
        all.find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_unescaped())
    };
    let realm = parameter("realm").ok_or("its Bearer challenge has no realm")?;
    let realm = Url::parse(&realm).map_err(|_| "the realm of its Bearer challenge is not a URL")?;
    check_realm(registry, &realm)?;
    let scopes = parameter("scope").unwrap_or_default();
    Ok(Challenge::Bearer {
        realm,
        service: parameter("service").filter(|service| !service.is_empty()),
        scopes: scopes.split_whitespace().map(str::to_owned).collect(),
        error: parameter("error"),
    })
}

/// A token server gets our password: it must be as well protected as the registry. Another host
/// than the registry's is legal (`auth.docker.io`); its address is checked when it is called.
fn check_realm(registry: &Origin, realm: &Url) -> Result<(), String> {
    match realm.scheme() {
        "https" => {}
        "http" if registry.is_plain() => {}
        _ => return Err("the realm of its Bearer challenge is not https".into()),
    }
    if !realm.username().is_empty() || realm.password().is_some() {
        return Err("the realm of its Bearer challenge holds a user name or password".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(url: &str) -> Origin {
        Origin::of(&Url::parse(url).unwrap()).unwrap()
    }

    fn chosen(headers: &[&str]) -> Result<Challenge, String> {
        choose(&origin("https://r.io/"), headers.iter().copied())
    }

    fn bearer(realm: &str, service: Option<&str>, scopes: &[&str]) -> Challenge {
        Challenge::Bearer {
            realm: Url::parse(realm).unwrap(),
            service: service.map(Into::into),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            error: None,
        }
    }

    #[test]
    fn takes_bearer_then_basic_from_all_headers() {
        let realm = "https://auth.r.io/token";
        for (headers, expected) in [
            (
                &[
                    r#"Bearer realm="https://auth.r.io/token",service="r.io",scope="repository:a:pull,push repository:b:pull""#,
                ][..],
                Ok(bearer(realm, Some("r.io"), &["repository:a:pull,push", "repository:b:pull"])),
            ),
            (
                &[r#"bearer  Realm="https://auth.r.io/token" , SCOPE="""#],
                Ok(bearer(realm, None, &[])),
            ),
            (
                &[r#"Basic realm="x", Bearer realm="https://auth.r.io/token""#],
                Ok(bearer(realm, None, &[])),
            ),
            (
                &[r#"Basic realm="x""#, r#"Bearer realm="https://auth.r.io/token""#],
                Ok(bearer(realm, None, &[])),
            ),
            (
                &[r#"BEARER realm="https://auth.r.io/token",,error="invalid_token" ,"#],
                Ok(Challenge::Bearer {
                    realm: Url::parse(realm).unwrap(),
                    service: None,
                    scopes: BTreeSet::new(),
                    error: Some("invalid_token".into()),
                }),
            ),
            (
                &["Bearer\trealm=\"https://auth.r.io/token\",\t\tservice=r.io"],
                Ok(bearer(realm, Some("r.io"), &[])),
            ),
            (&[r#"Negotiate, Basic realm="with \" and ,""#], Ok(Challenge::Basic)),
            (&["Bearer realm=", "Basic realm=x"], Ok(Challenge::Basic)),
            (&[r#"Bearer realm="http://auth.r.io/token", Basic realm="x""#], Ok(Challenge::Basic)),
        ] {
            assert_eq!(chosen(headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn says_why_nothing_can_be_used() {
        for (headers, reason) in [
            (&[][..], "it does not say how to log in"),
            (&["Negotiate"], "it offers neither Bearer nor Basic authentication"),
            (&[r#"Bearer service="x""#], "its Bearer challenge has no realm"),
            (&[r#"Bearer realm="/token""#], "the realm of its Bearer challenge is not a URL"),
            (
                &[r#"Bearer realm="http://auth.r.io/""#],
                "the realm of its Bearer challenge is not https",
            ),
            (
                &[r#"Bearer realm="file:///etc/passwd""#],
                "the realm of its Bearer challenge is not https",
            ),
            (
                &[r#"Bearer realm="https://u@auth.r.io/""#],
                "the realm of its Bearer challenge holds a user name or password",
            ),
        ] {
            assert_eq!(chosen(headers), Err(reason.into()), "{headers:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_challenge_gets_a_password_without_tls(parameters in "[ -~]*", realm in "[ -~]*") {
            for header in [parameters, format!("Bearer realm=\"{realm}\"")] {
                if let Ok(Challenge::Bearer { realm, .. }) = chosen(&[&header]) {
                    assert_eq!(realm.scheme(), "https");
                }
            }
        }
    }

    #[test]
    fn a_plain_registry_may_have_a_plain_token_server() {
        let header = [r#"Bearer realm="http://127.0.0.1:5001/token""#];
        let challenge = choose(&origin("http://127.0.0.1:5000/"), header);
        assert_eq!(challenge, Ok(bearer("http://127.0.0.1:5001/token", None, &[])));
    }
}
