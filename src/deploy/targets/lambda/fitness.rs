//! Which images run as functions.

use super::Lambda;
use super::settings::Architecture;
use crate::deploy::aws::{EcrHost, ecr_host};
use crate::deploy::{DeployError, Image, Manifest};
use crate::oci::Compression;

impl Lambda {
    /// The manifest that the function gets, and its processor: Lambda takes no index.
    ///
    /// # Errors
    /// [`DeployError::Unfit`].
    pub(super) fn fit<'a>(
        &self,
        image: &'a Image,
    ) -> Result<(&'a Manifest, Architecture), DeployError> {
        self.check_registry(image)?;
        let (manifest, architecture) = self.choose(image)?;
        for layer in &manifest.layers {
            let how = match layer.layer_compression() {
                Some(Compression::Gzip) => continue,
                Some(Compression::None) => "not compressed",
                Some(Compression::Zstd) => "compressed with zstd",
                None => "of a kind that it does not know",
            };
            return Err(unfit(
                image,
                format!("a layer is {how} (`{layer}`)"),
                "build it with `compression: gzip`, on a base with such layers",
            ));
        }
        Ok((manifest, architecture))
    }

    fn check_registry(&self, image: &Image) -> Result<(), DeployError> {
        let host = image.repository.registry();
        let region = &self.settings.region;
        let example = format!("push it to `{}/…`", ecr_host("ACCOUNT", region));
        let Some(ecr) = EcrHost::parse(host) else {
            let reason = "functions come from private repositories of ECR only";
            return Err(unfit(image, reason, example));
        };
        if ecr.is_fips || ecr.is_dual_stack {
            let kind = if ecr.is_fips { "FIPS" } else { "dual-stack" };
            let reason =
                format!("it is named by a {kind} endpoint of ECR, which Lambda does not take");
            let hint = format!("name the repository `{}/…`", ecr_host(&ecr.account, region));
            return Err(unfit(image, reason, hint));
        }
        if ecr.region != *region {
            let reason = format!("it is in {}, and the function in {region}", ecr.region);
            return Err(unfit(image, reason, example));
        }
        Ok(())
    }

    fn choose<'a>(&self, image: &'a Image) -> Result<(&'a Manifest, Architecture), DeployError> {
        let fitting = image.manifests.iter().filter(|manifest| manifest.platform.os == "linux");
        let fitting: Vec<_> = fitting
            .filter_map(|manifest| {
                let architecture = Architecture::of_platform(&manifest.platform.architecture)?;
                Some((manifest, architecture))
            })
            .collect();
        if let Some(wanted) = self.settings.architecture {
            let found = fitting.into_iter().find(|(_, architecture)| *architecture == wanted);
            let platform = match wanted {
                Architecture::X86 => "linux/amd64",
                Architecture::Arm => "linux/arm64",
            };
            return found.ok_or_else(|| {
                let reason =
                    format!("it has nothing for {platform}, which `architecture` asks for");
                unfit(image, reason, format!("build it with `platform: {platform}`"))
            });
        }
        match fitting[..] {
            [only] => Ok(only),
            [] => {
                let reason = "it has nothing for linux/amd64 or linux/arm64";
                Err(unfit(image, reason, "build it with `platform: linux/arm64`"))
            }
            _ => {
                let reason = "it is for both processors, and a function runs on one";
                let hint = "say which: `architecture: arm64`, or `architecture: x86_64`";
                Err(unfit(image, reason, hint))
            }
        }
    }
}

fn unfit(image: &Image, reason: impl Into<String>, hint: impl Into<String>) -> DeployError {
    DeployError::Unfit {
        target: "Lambda".to_owned(),
        image: image.reference(),
        reason: reason.into(),
        hint: hint.into(),
    }
}
