//! Platforms (image-spec, image-index.md, `platform`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An operating system, an architecture and, for some, a variant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// A `GOOS` value.
    pub os: String,
    /// A `GOARCH` value.
    pub architecture: String,
    /// The variant of the CPU: `v7`, `v8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The version of the operating system, used by Windows images.
    #[serde(rename = "os.version", default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
}

/// The text names no platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a platform: expected os/architecture or os/architecture/variant, such as `linux/amd64` or `linux/arm64`", text.escape_debug())]
pub struct InvalidPlatform {
    text: String,
}

/// The architectures Go knows: a name outside this list is a typing error.
const ARCHITECTURES: [&str; 14] = [
    "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64",
    "ppc64le", "riscv64", "s390x", "wasm",
];

/// The operating systems for which images exist.
const SYSTEMS: [&str; 5] = ["linux", "windows", "freebsd", "darwin", "wasi"];

impl Platform {
    /// `linux/amd64`, the default of every command.
    pub fn linux_amd64() -> Self {
        Self::new("linux", "amd64", None)
    }

    /// A platform in its normal form.
    ///
    /// `arm64/v8` is plain `arm64`, `arm` is `arm/v7`, and the names of `uname` are translated, as
    /// containerd does.
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let (architecture, implied) = match architecture {
            "x86_64" | "x86-64" => ("amd64", None),
            "i386" | "i686" => ("386", None),
            "aarch64" => ("arm64", None),
            "armhf" => ("arm", Some("v7")),
            "armel" => ("arm", Some("v6")),
            other => (other, None),
        };
        let variant = variant.filter(|variant| !variant.is_empty()).or(implied);
        let variant = match (architecture, variant) {
            ("arm64", Some("v8" | "8")) | ("amd64", Some("v1")) => None,
            ("arm", None | Some("7")) => Some("v7"),
            ("arm", Some("6")) => Some("v6"),
            ("arm", Some("5")) => Some("v5"),
            (_, variant) => variant,
        };
        Self {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.map(str::to_owned),
            os_version: None,
        }
    }

    /// The same platform in its normal form; see [`Platform::new`].
    pub fn normalised(&self) -> Self {
        Self {
            os_version: self.os_version.clone(),
            ..Self::new(&self.os, &self.architecture, self.variant.as_deref())
        }
    }

    /// Whether an entry for `other` serves a request for this platform (`os.version` is not asked).
    pub fn is_served_by(&self, other: &Self) -> bool {
        let (wanted, offered) = (self.normalised(), other.normalised());
        (wanted.os, wanted.architecture, wanted.variant)
            == (offered.os, offered.architecture, offered.variant)
    }

    /// Whether this is the `unknown/unknown` of an attestation manifest.
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" || self.architecture == "unknown"
    }
}

impl fmt::Display for Platform {
    /// Escapes control characters: the parts may come from somebody else's image.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.os.escape_debug(), self.architecture.escape_debug())?;
        if let Some(variant) = &self.variant {
            write!(formatter, "/{}", variant.escape_debug())?;
        }
        Ok(())
    }
}

impl FromStr for Platform {
    type Err = InvalidPlatform;

    fn from_str(text: &str) -> Result<Self, InvalidPlatform> {
        let invalid = || InvalidPlatform { text: text.chars().take(100).collect() };
        let lower = text.trim().to_ascii_lowercase();
        let parts: Vec<_> = lower.split('/').collect();
        let platform = match parts[..] {
            [os, architecture] => Self::new(os, architecture, None),
            [os, architecture, variant] if !variant.is_empty() => {
                Self::new(os, architecture, Some(variant))
            }
            _ => return Err(invalid()),
        };
        let is_known = SYSTEMS.contains(&platform.os.as_str())
            && ARCHITECTURES.contains(&platform.architecture.as_str())
            && platform
                .variant
                .iter()
                .all(|variant| variant.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        if is_known { Ok(platform) } else { Err(invalid()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_spelling_into_one() {
        for (text, normal) in [
            ("linux/amd64", "linux/amd64"),
            ("Linux/X86_64", "linux/amd64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/arm/v6", "linux/arm/v6"),
            ("linux/riscv64", "linux/riscv64"),
        ] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), normal, "{text}");
        }
    }

    #[test]
    fn a_platform_of_somebody_else_prints_as_one_line() {
        let platform = Platform::new("linux", "amd64\n::error::x\u{1b}[2J", None);
        assert_eq!(platform.to_string(), "linux/amd64\\n::error::x\\u{1b}[2J");
    }

    #[test]
    fn refuses_what_is_no_platform() {
        for text in
            ["", "linux", "linux/", "/amd64", "linux/amd46", "linus/amd64", "a/b/c/d", "linux/arm/"]
        {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_entry_without_variant_serves_arm64() {
        let wanted: Platform = "linux/arm64".parse().unwrap();
        assert!(wanted.is_served_by(&Platform {
            variant: Some("v8".into()),
            ..Platform::new("linux", "arm64", None)
        }));
        assert!(!wanted.is_served_by(&Platform::linux_amd64()));
    }
}
