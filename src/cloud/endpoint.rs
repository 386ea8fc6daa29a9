//! Where a service is, and whether a URL belongs to it.

use std::fmt::Write as _;

use reqwest::Url;

use super::azure::AzureCloud;
use super::request::{Authority, Location, Request};
use super::service::{
    CONTAINER_APPS_LOGS, Cloud, ECR, ECR_PUBLIC, IAM, LOGS, RESOURCE_MANAGER, STS, Service,
};
use crate::registry::is_loopback;
use crate::sys::Environment;

/// Why there is no place that a request may go to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoPlace {
    pub(super) message: String,
    /// What to do about it.
    pub(super) hint: Option<String>,
}

/// What AWS calls a group of regions with accounts of their own.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Partition {
    /// How the names of its regions begin.
    prefix: &'static str,
    /// The end of its host names.
    suffix: &'static str,
    /// Where services are that have no region, such as IAM.
    pub(super) home: &'static str,
    /// The host of IAM.
    iam: &'static str,
}

/// The most special first.
const PARTITIONS: &[Partition] = &[
    Partition {
        prefix: "cn-",
        suffix: "amazonaws.com.cn",
        home: "cn-north-1",
        iam: "iam.cn-north-1.amazonaws.com.cn",
    },
    Partition {
        prefix: "us-gov-",
        suffix: "amazonaws.com",
        home: "us-gov-west-1",
        iam: "iam.us-gov.amazonaws.com",
    },
    Partition {
        prefix: "eusc-",
        suffix: "amazonaws.eu",
        home: "eusc-de-east-1",
        iam: "iam.eusc-de-east-1.amazonaws.eu",
    },
    Partition { prefix: "", suffix: "amazonaws.com", home: "us-east-1", iam: "iam.amazonaws.com" },
];

impl NoPlace {
    fn because(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }
}

impl Partition {
    /// The partition of a region; the usual one for no region.
    pub(super) fn of(region: &str) -> &'static Self {
        let mut all = PARTITIONS.iter();
        all.find(|one| region.starts_with(one.prefix)).expect("the last one has every region")
    }
}

/// The region that a request to AWS is signed for.
#[cfg(any(feature = "aws", test))]
pub(super) fn signing_region(request: &Request) -> &str {
    let region = request.region.as_str();
    if region.is_empty() || request.service == &IAM { Partition::of(region).home } else { region }
}

/// Where a request goes, with its query.
pub(super) fn url(request: &Request, environment: &Environment) -> Result<Url, NoPlace> {
    let named = named(request.service, environment);
    let root = match named {
        Some((variable, text)) => Some(parsed(text).ok_or_else(|| NoPlace {
            message: format!("`{variable}` is no URL"),
            hint: Some(format!("write `{variable}=https://HOST`, or unset it")),
        })?),
        None => built(request, environment)?,
    };
    let mut url = match (&request.location, root) {
        (Location::Path(path), Some(mut root)) => {
            let base = root.path().trim_end_matches('/').to_owned();
            root.set_path(&format!("{base}{path}"));
            root
        }
        (Location::Path(_), None) => return Err(NoPlace::because("nobody has told where it is")),
        (Location::Url(text), root) => {
            let url =
                parsed(text).ok_or_else(|| NoPlace::because(format!("`{text}` is no URL")))?;
            if !belongs(&url, root.as_ref(), request) {
                let host = url.host_str().unwrap_or_default();
                let reason = format!("it wants us to go on at `{host}`, which is not its own host");
                return Err(NoPlace::because(reason));
            }
            url
        }
    };
    let host = url.host_str().unwrap_or_default();
    if url.scheme() == "http" && named.is_none() && !is_loopback(host) {
        return Err(NoPlace::because(format!("`{host}` is not reached by `https://`")));
    }
    if !request.query.is_empty() {
        let pairs = request.query.iter();
        let pairs = pairs.map(|(name, value)| format!("{}={}", encode(name), encode(value)));
        let before = url.query().filter(|query| !query.is_empty()).map(str::to_owned);
        let query: Vec<_> = before.into_iter().chain(pairs).collect();
        url.set_query(Some(&query.join("&")));
    }
    Ok(url)
}

/// Encodes all but what never needs it (RFC 3986, 2.3), as signatures of AWS want it.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a string takes everything");
        }
    }
    encoded
}

/// The endpoint that a variable names.
fn named<'a>(service: &Service, environment: &'a Environment) -> Option<(&'static str, &'a str)> {
    let read = |variable: &'static str| Some((variable, environment.get(variable)?));
    if service.cloud != Cloud::Aws {
        return read(service.endpoint_variable);
    }
    if environment.is_on("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") {
        return None;
    }
    read(service.endpoint_variable).or_else(|| read("AWS_ENDPOINT_URL"))
}

/// The vendor's own endpoint; none for services whose hosts are told by others.
fn built(request: &Request, environment: &Environment) -> Result<Option<Url>, NoPlace> {
    let service = request.service;
    let host = match service.cloud {
        Cloud::Aws => {
            let is_fips = environment.is_on("AWS_USE_FIPS_ENDPOINT");
            aws_host(service, &request.region, is_fips)?
        }
        Cloud::Google => format!("{}.googleapis.com", service.name),
        Cloud::Azure if service == &RESOURCE_MANAGER => resource_manager(environment).to_owned(),
        Cloud::Azure => return Ok(None),
    };
    let url = Url::parse(&format!("https://{host}/"));
    url.map(Some).map_err(|_| NoPlace::because(format!("`{host}` is no host")))
}

fn aws_host(service: &Service, region: &str, is_fips: bool) -> Result<String, NoPlace> {
    // A region becomes a part of the host that gets our signature: nothing else may come of it.
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !region.bytes().all(is_letter) {
        return Err(NoPlace::because(format!("`{region}` is no region")));
    }
    let partition = Partition::of(region);
    if service == &IAM {
        let is_special = is_fips && partition.prefix.is_empty();
        let host = if is_special { "iam-fips.amazonaws.com" } else { partition.iam };
        return Ok(host.to_owned());
    }
    let region = match region {
        "" if service == &STS => partition.home,
        "" => {
            return Err(NoPlace {
                message: "no region is given".into(),
                hint: Some("set `AWS_REGION`, or the region of your profile".into()),
            });
        }
        region => region,
    };
    // There the usual endpoints of these are FIPS endpoints.
    let is_always_fips = partition.prefix == "us-gov-" && (service == &STS || service == &LOGS);
    let name = match (service, is_fips && !is_always_fips) {
        (service, _) if service == &ECR_PUBLIC => format!("api.{}", service.name),
        (service, true) => format!("{}-fips", service.name),
        (service, false) if service == &ECR => "api.ecr".to_owned(),
        (service, false) => service.name.to_owned(),
    };
    Ok(format!("{name}.{region}.{}", partition.suffix))
}

/// The host of the Resource Manager in the cloud that the environment means.
fn resource_manager(environment: &Environment) -> &'static str {
    match AzureCloud::of(environment) {
        AzureCloud::Public => "management.azure.com",
        AzureCloud::Government => "management.usgovcloudapi.net",
        AzureCloud::China => "management.chinacloudapi.cn",
    }
}

/// Whether a URL that a service has given may be called: its own origin with our credentials, any host
/// only with a token that was made for it.
fn belongs(url: &Url, root: Option<&Url>, request: &Request) -> bool {
    if root.is_some_and(|root| root.origin() == url.origin()) {
        return true;
    }
    request.service == &CONTAINER_APPS_LOGS && matches!(request.authority, Authority::Bearer(_))
}

fn parsed(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    Some(url).filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

#[cfg(test)]
mod tests {
    use super::super::Method;
    use super::super::service::{
        API_GATEWAY, APP_RUNNER, CLOUD_RUN, LAMBDA, SECRET_MANAGER, SECRETS_MANAGER,
    };
    use super::*;
    use crate::registry::Secret;

    const NONE: [(&str, &str); 0] = [];

    fn request(service: &'static Service, region: &str) -> Request {
        Request::rest(service, region, "Op", Method::Get, "/a/b%2Fc")
    }

    fn place<const N: usize>(request: &Request, variables: [(&str, &str); N]) -> String {
        match url(request, &Environment::of(variables)) {
            Ok(url) => url.to_string(),
            Err(nowhere) => nowhere.message,
        }
    }

    #[test]
    fn each_service_has_its_host_in_each_partition() {
        for (service, region, host) in [
            (&APP_RUNNER, "eu-west-1", "apprunner.eu-west-1.amazonaws.com"),
            (&ECR, "eu-west-1", "api.ecr.eu-west-1.amazonaws.com"),
            (&ECR, "cn-north-1", "api.ecr.cn-north-1.amazonaws.com.cn"),
            (&ECR_PUBLIC, "us-east-1", "api.ecr-public.us-east-1.amazonaws.com"),
            (&API_GATEWAY, "us-gov-west-1", "apigateway.us-gov-west-1.amazonaws.com"),
            (&LAMBDA, "eusc-de-east-1", "lambda.eusc-de-east-1.amazonaws.eu"),
            (&IAM, "eu-west-1", "iam.amazonaws.com"),
            (&IAM, "", "iam.amazonaws.com"),
            (&IAM, "cn-northwest-1", "iam.cn-north-1.amazonaws.com.cn"),
            (&IAM, "us-gov-east-1", "iam.us-gov.amazonaws.com"),
            (&STS, "", "sts.us-east-1.amazonaws.com"),
            (&STS, "cn-north-1", "sts.cn-north-1.amazonaws.com.cn"),
            (&CLOUD_RUN, "europe-west1", "run.googleapis.com"),
            (&SECRET_MANAGER, "", "secretmanager.googleapis.com"),
            (&RESOURCE_MANAGER, "", "management.azure.com"),
        ] {
            let expected = format!("https://{host}/a/b%2Fc");
            assert_eq!(place(&request(service, region), NONE), expected);
        }
    }

    #[test]
    fn fips_has_hosts_of_its_own_where_the_usual_ones_are_none() {
        for (service, region, host) in [
            (&ECR, "us-east-1", "ecr-fips.us-east-1.amazonaws.com"),
            (&LAMBDA, "us-gov-west-1", "lambda-fips.us-gov-west-1.amazonaws.com"),
            (&STS, "us-gov-west-1", "sts.us-gov-west-1.amazonaws.com"),
            (&IAM, "us-east-1", "iam-fips.amazonaws.com"),
        ] {
            let expected = format!("https://{host}/a/b%2Fc");
            assert_eq!(
                place(&request(service, region), [("AWS_USE_FIPS_ENDPOINT", "true")]),
                expected
            );
        }
    }

    #[test]
    fn requests_are_signed_for_the_region_that_answers() {
        for (service, region, expected) in [
            (&LAMBDA, "eu-west-1", "eu-west-1"),
            (&IAM, "eu-west-1", "us-east-1"),
            (&IAM, "cn-northwest-1", "cn-north-1"),
            (&IAM, "us-gov-east-1", "us-gov-west-1"),
            (&STS, "", "us-east-1"),
        ] {
            assert_eq!(signing_region(&request(service, region)), expected);
        }
    }

    #[test]
    fn variables_name_other_endpoints() {
        let lambda = request(&LAMBDA, "eu-west-1");
        let run = request(&CLOUD_RUN, "");
        let secrets = request(&SECRETS_MANAGER, "eu-west-1");
        let all = ("AWS_ENDPOINT_URL", "http://all:1");
        let own = ("AWS_ENDPOINT_URL_LAMBDA", "http://own:2/base/");
        assert_eq!(place(&lambda, [all, own]), "http://own:2/base/a/b%2Fc");
        assert_eq!(place(&secrets, [all, own]), "http://all:1/a/b%2Fc");
        let ignored = ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
        assert_eq!(
            place(&lambda, [all, own, ignored]),
            "https://lambda.eu-west-1.amazonaws.com/a/b%2Fc"
        );
        assert_eq!(place(&run, [all]), "https://run.googleapis.com/a/b%2Fc");
        let run_variable = "CLOUDSDK_API_ENDPOINT_OVERRIDES_RUN";
        assert_eq!(
            place(&run, [(run_variable, "http://localhost:3/")]),
            "http://localhost:3/a/b%2Fc"
        );
        assert_eq!(place(&run, [(run_variable, "run")]), format!("`{run_variable}` is no URL"));
    }

    #[test]
    fn the_sovereign_clouds_of_azure_are_known() {
        for (variable, value, host) in [
            ("AZURE_CLOUD", "AzureUSGovernment", "management.usgovcloudapi.net"),
            ("AZURE_ENVIRONMENT", "AzureChinaCloud", "management.chinacloudapi.cn"),
            ("AZURE_CLOUD", "AzureCloud", "management.azure.com"),
            (
                "AZURE_AUTHORITY_HOST",
                "https://login.microsoftonline.us/",
                "management.usgovcloudapi.net",
            ),
            ("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com", "management.azure.com"),
            (
                "AZURE_AUTHORITY_HOST",
                "https://login.partner.microsoftonline.cn/",
                "management.chinacloudapi.cn",
            ),
        ] {
            let url = place(&request(&RESOURCE_MANAGER, ""), [(variable, value)]);
            assert_eq!(url, format!("https://{host}/a/b%2Fc"));
        }
    }

    #[test]
    fn a_region_is_not_a_way_to_another_host() {
        for region in ["x.evil.com/", "evil.com#", "EU", "a b", "@evil"] {
            assert_eq!(place(&request(&LAMBDA, region), NONE), format!("`{region}` is no region"));
        }
        assert_eq!(place(&request(&LAMBDA, ""), NONE), "no region is given");
    }

    #[test]
    fn a_service_may_only_send_us_to_itself() {
        let at = |service, url: &str| {
            let mut request = request(service, "");
            request.location = Location::Url(url.to_owned());
            request
        };
        let own = "https://management.azure.com/operations/1?api-version=2&t=a%2Fb";
        assert_eq!(place(&at(&RESOURCE_MANAGER, own), NONE), own);
        for url in [
            "https://management.azure.com.evil.com/",
            "https://management.azure.com:8443/",
            "http://management.azure.com/",
            "https://evil.com/",
        ] {
            let host = Url::parse(url).unwrap().host_str().unwrap().to_owned();
            let refused = format!("it wants us to go on at `{host}`, which is not its own host");
            assert_eq!(place(&at(&RESOURCE_MANAGER, url), NONE), refused);
        }
        let logs = "https://logs.example/x";
        let refused = "it wants us to go on at `logs.example`, which is not its own host";
        assert_eq!(place(&at(&CONTAINER_APPS_LOGS, logs), NONE), refused);
        let with_token = at(&CONTAINER_APPS_LOGS, logs).for_bearer(Secret::new("t"));
        assert_eq!(place(&with_token, NONE), logs);
        let plain = at(&CONTAINER_APPS_LOGS, "http://logs.example/x").for_bearer(Secret::new("t"));
        assert_eq!(place(&plain, NONE), "`logs.example` is not reached by `https://`");
        assert_eq!(place(&request(&CONTAINER_APPS_LOGS, ""), NONE), "nobody has told where it is");
    }

    #[test]
    fn a_query_is_encoded_as_signatures_want_it() {
        let request = request(&LAMBDA, "eu-west-1").with_query("a b", "c+d/e~").with_query("x", "");
        let url = place(&request, NONE);
        assert!(url.ends_with("?a%20b=c%2Bd%2Fe~&x="), "{url}");
    }
}
