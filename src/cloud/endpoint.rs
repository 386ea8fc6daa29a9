//! Where a service is, and whether a URL belongs to it.

use std::fmt::Write as _;

use reqwest::Url;

use super::request::{Authority, Location, Request};
use super::service::{CONTAINER_APPS_LOGS, Cloud, ECR, IAM, LOGS, RESOURCE_MANAGER, STS, Service};
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
        (service, true) => format!("{}-fips", service.name),
        (service, false) if service == &ECR => "api.ecr".to_owned(),
        (service, false) => service.name.to_owned(),
    };
    Ok(format!("{name}.{region}.{}", partition.suffix))
}

/// The host of the Resource Manager in the cloud that the environment names, or that its logins are of.
fn resource_manager(environment: &Environment) -> &'static str {
    let cloud = environment.get("AZURE_CLOUD").or_else(|| environment.get("AZURE_ENVIRONMENT"));
    let logins = environment.get("AZURE_AUTHORITY_HOST").unwrap_or_default();
    match cloud.map(str::to_ascii_lowercase).as_deref() {
        Some("azureusgovernment" | "azureusgovernmentcloud") => "management.usgovcloudapi.net",
        Some("azurechinacloud" | "azurechina") => "management.chinacloudapi.cn",
        None if logins.contains("login.microsoftonline.us") => "management.usgovcloudapi.net",
        None if logins.contains("login.chinacloudapi.cn") => "management.chinacloudapi.cn",
        _ => "management.azure.com",
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
