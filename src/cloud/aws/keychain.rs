//! Credentials for Amazon's registries: those that we have at AWS, for a token.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::super::service::{ECR, ECR_PUBLIC};
use super::super::{Answer, Api, Request};
use super::profile;
use crate::oci::Repository;
use crate::registry::{AmazonRegistry, Credential, Keychain, Lookup, Secret};
use crate::sys::{Clock, Environment};

/// Where ECR Public is asked.
const PUBLIC_REGION: &str = "us-east-1";
/// A token is used no longer than this before it ends: what begins with it takes its time, and the clock of
/// a machine may be late.
const MARGIN: Duration = Duration::from_mins(5);
/// What says that somebody here has credentials for AWS, beside the files of a profile.
const SIGNS: [&str; 5] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];

/// ECR in every region and account, and ECR Public.
#[derive(Debug)]
pub(in super::super) struct AmazonRegistries {
    api: Arc<dyn Api>,
    clock: Arc<dyn Clock>,
    has_sign: bool,
}

impl AmazonRegistries {
    /// Asks nobody before a host of Amazon's needs it.
    pub(in super::super) fn new(
        api: Arc<dyn Api>,
        environment: &Environment,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let files = [profile::config_file(environment), profile::credentials_file(environment)];
        let has_sign = SIGNS.iter().any(|name| environment.get(name).is_some())
            || files.iter().flatten().any(|file| file.is_file());
        Self { api, clock, has_sign }
    }

    /// What stands in an answer: the token is `USER:PASSWORD` in Base64.
    fn credential(&self, answer: &Answer) -> Option<Lookup> {
        let data = answer.body.get("authorizationData")?;
        let data = data.get(0).unwrap_or(data);
        let token = BASE64_STANDARD.decode(data.get("authorizationToken")?.as_str()?).ok()?;
        let token = String::from_utf8(token).ok()?;
        let (username, password) = token.split_once(':')?;
        let credential =
            Credential::Password { username: username.to_owned(), password: Secret::new(password) };
        Some(match data.get("expiresAt").and_then(Value::as_f64) {
            Some(end) => {
                // The clock of a machine is right to the second at best.
                #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit")]
                let rest = end - self.clock.unix_seconds() as f64;
                let rest = Duration::try_from_secs_f64(rest).unwrap_or_default();
                Lookup::Lent(credential, rest.saturating_sub(MARGIN))
            }
            None => Lookup::Found(credential),
        })
    }
}

#[async_trait]
impl Keychain for AmazonRegistries {
    fn name(&self, _: &Repository) -> String {
        "AWS".to_owned()
    }

    /// What is public needs no credentials, so that without a sign of any nobody is asked for them: the
    /// last source of them is a host that is only there on machines of Amazon's.
    fn serves(&self, repository: &Repository) -> bool {
        match AmazonRegistry::of(repository.registry()) {
            Some(AmazonRegistry::Private { .. }) => true,
            Some(AmazonRegistry::Public) => self.has_sign,
            None => false,
        }
    }

    async fn find(&self, repository: &Repository) -> Lookup {
        let (service, region) = match AmazonRegistry::of(repository.registry()) {
            Some(AmazonRegistry::Private { region, .. }) => (&ECR, region),
            Some(AmazonRegistry::Public) => (&ECR_PUBLIC, PUBLIC_REGION),
            None => return Lookup::Nothing("it is no registry of Amazon's".to_owned()),
        };
        let question = Request::call(service, region, "GetAuthorizationToken", json!({}));
        match self.api.call(&question.that_reads()).await {
            Ok(answer) => self
                .credential(&answer)
                .unwrap_or_else(|| Lookup::Broken(format!("{} gave no token", service.title))),
            Err(error) => Lookup::Nothing(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{CallError, Cloud, ErrorClass};
    use super::*;
    use crate::sys::ManualClock;

    /// Answers every call in the same way.
    #[derive(Debug)]
    struct Fixed(Result<Value, ErrorClass>);

    #[async_trait]
    impl Api for Fixed {
        async fn call(&self, request: &Request) -> Result<Answer, CallError> {
            let title = format!("{} in {}", request.title(), request.region);
            match &self.0 {
                Ok(body) => Ok(Answer { status: 200, body: body.clone(), ..Answer::default() }),
                Err(class) => Err(CallError {
                    message: "no".into(),
                    ..CallError::new(request.service, title, *class)
                }),
            }
        }

        async fn identity(&self, _: Cloud) -> Result<String, CallError> {
            Ok(String::new())
        }

        async fn account(&self) -> Result<String, CallError> {
            Ok(String::new())
        }
    }

    fn keychain(answer: Result<Value, ErrorClass>, environment: &Environment) -> AmazonRegistries {
        AmazonRegistries::new(Arc::new(Fixed(answer)), environment, Arc::new(ManualClock::at(1000)))
    }

    const PRIVATE: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/a";

    #[tokio::test]
    async fn a_token_is_lent_until_it_ends() {
        let password = |password: &str| Credential::Password {
            username: "AWS".into(),
            password: Secret::new(password),
        };
        let data =
            json!({"authorizationToken": BASE64_STANDARD.encode("AWS:a:b"), "expiresAt": 44_200.5});
        let mut ends_soon = data.clone();
        ends_soon["expiresAt"] = 1200.into();
        for (answer, expected) in [
            (
                json!({"authorizationData": [data]}),
                Lookup::Lent(password("a:b"), Duration::from_millis(42_900_500)),
            ),
            (
                json!({"authorizationData": data}),
                Lookup::Lent(password("a:b"), Duration::from_millis(42_900_500)),
            ),
            (
                json!({"authorizationData": [{"authorizationToken": BASE64_STANDARD.encode("AWS:c")}]}),
                Lookup::Found(password("c")),
            ),
            (
                json!({"authorizationData": [ends_soon]}),
                Lookup::Lent(password("a:b"), Duration::ZERO),
            ),
            (json!({"authorizationData": []}), Lookup::Broken("ECR gave no token".into())),
            (
                json!({"authorizationData": [{"authorizationToken": "%"}]}),
                Lookup::Broken("ECR gave no token".into()),
            ),
        ] {
            let keychain = keychain(Ok(answer), &Environment::of([]));
            assert_eq!(keychain.find(&PRIVATE.parse().unwrap()).await, expected);
        }
    }

    #[tokio::test]
    async fn the_region_is_that_of_the_host() {
        let keychain = keychain(Err(ErrorClass::Denied), &Environment::of([]));
        for (repository, reason) in [
            (PRIVATE, "ecr:GetAuthorizationToken in eu-west-1: no"),
            (
                "1.dkr.ecr-fips.us-gov-west-1.amazonaws.com/a",
                "ecr:GetAuthorizationToken in us-gov-west-1: no",
            ),
            (
                "1.dkr.ecr.cn-north-1.amazonaws.com.cn/a",
                "ecr:GetAuthorizationToken in cn-north-1: no",
            ),
            (
                "1.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn/a",
                "ecr:GetAuthorizationToken in cn-north-1: no",
            ),
            (
                "1.dkr.ecr.eusc-de-east-1.amazonaws.eu/a",
                "ecr:GetAuthorizationToken in eusc-de-east-1: no",
            ),
            ("1.dkr-ecr.eu-west-2.on.aws/a", "ecr:GetAuthorizationToken in eu-west-2: no"),
            ("public.ecr.aws/alias/a", "ecr-public:GetAuthorizationToken in us-east-1: no"),
            ("r.io/a", "it is no registry of Amazon's"),
        ] {
            let found = keychain.find(&repository.parse().unwrap()).await;
            assert_eq!(found, Lookup::Nothing(reason.into()), "{repository}");
        }
    }

    #[test]
    fn only_hosts_of_amazons_are_served_and_the_public_one_where_there_is_a_sign() {
        let none = Environment::of([]);
        let keys = Environment::of([("AWS_ACCESS_KEY_ID", "AKID")]);
        for (repository, environment, expected) in [
            (PRIVATE, &none, true),
            ("public.ecr.aws/a/b", &none, false),
            ("public.ecr.aws/a/b", &keys, true),
            ("r.io/a", &keys, false),
            ("1.dkr.ecr.eu-west-1.amazonaws.com.evil.com/a", &keys, false),
        ] {
            let keychain = keychain(Ok(Value::Null), environment);
            assert_eq!(keychain.serves(&repository.parse().unwrap()), expected, "{repository}");
        }
    }
}
