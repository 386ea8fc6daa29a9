//! The services of clouds that are called, and how each is spoken to.

use std::fmt;

/// Who runs a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cloud {
    /// Amazon Web Services.
    Aws,
    /// Google Cloud.
    Google,
    /// Microsoft Azure.
    Azure,
}

/// A service that is called.
#[derive(Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name in host names and signatures: `apprunner`.
    pub name: &'static str,
    /// Its name for people: `App Runner`.
    pub title: &'static str,
    /// Whose it is.
    pub cloud: Cloud,
    /// How it is spoken to.
    pub wire: Wire,
    /// The variable that names another endpoint for it; the vendor's own where there is one.
    pub endpoint_variable: &'static str,
}

/// How requests are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// `POST /` with JSON; the operation stands in `X-Amz-Target` after this prefix.
    AwsJson {
        /// `1.0` or `1.1`.
        version: &'static str,
        /// `AppRunner`.
        target: &'static str,
    },
    /// Method, path and query say what is done; the body is JSON.
    Rest,
    /// Like `Rest`, and what is answered is plain text.
    Text,
    /// `POST /` with a form (`Action=…`), answered in XML.
    AwsQuery {
        /// The API's version: `2011-06-15`.
        version: &'static str,
    },
}

impl Cloud {
    /// Its name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Aws => "AWS",
            Self::Google => "Google Cloud",
            Self::Azure => "Azure",
        }
    }

    /// The feature of the build that talks to it.
    pub fn feature(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Google => "gcp",
            Self::Azure => "azure",
        }
    }

    /// Whether this binary talks to it.
    pub fn is_built_in(self) -> bool {
        match self {
            Self::Aws => cfg!(feature = "aws"),
            Self::Google => cfg!(feature = "gcp"),
            Self::Azure => cfg!(feature = "azure"),
        }
    }
}

impl fmt::Display for Cloud {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.title())
    }
}

macro_rules! services {
    ($($(#[$doc:meta])* $constant:ident = $cloud:ident $name:literal $title:literal, $wire:expr, $variable:literal;)*) => {
        $(
            $(#[$doc])*
            pub static $constant: Service = Service {
                name: $name,
                title: $title,
                cloud: Cloud::$cloud,
                wire: $wire,
                endpoint_variable: $variable,
            };
        )*
    };
}

services! {
    /// Who a caller is.
    STS = Aws "sts" "STS", Wire::AwsQuery { version: "2011-06-15" }, "AWS_ENDPOINT_URL_STS";
    /// Roles.
    IAM = Aws "iam" "IAM", Wire::AwsQuery { version: "2010-05-08" }, "AWS_ENDPOINT_URL_IAM";
    /// Repositories of images.
    ECR = Aws "ecr" "ECR", Wire::AwsJson { version: "1.1", target: "AmazonEC2ContainerRegistry_V20150921" }, "AWS_ENDPOINT_URL_ECR";
    /// Repositories of images that everybody may read; it is in one region only.
    ECR_PUBLIC = Aws "ecr-public" "ECR Public", Wire::AwsJson { version: "1.1", target: "SpencerFrontendService" }, "AWS_ENDPOINT_URL_ECR_PUBLIC";
    /// Services from images, for customers who have some.
    APP_RUNNER = Aws "apprunner" "App Runner", Wire::AwsJson { version: "1.0", target: "AppRunner" }, "AWS_ENDPOINT_URL_APPRUNNER";
    /// Containers; its Express Mode makes a service from an image.
    ECS = Aws "ecs" "ECS", Wire::AwsJson { version: "1.1", target: "AmazonEC2ContainerServiceV20141113" }, "AWS_ENDPOINT_URL_ECS";
    /// Functions.
    LAMBDA = Aws "lambda" "Lambda", Wire::Rest, "AWS_ENDPOINT_URL_LAMBDA";
    /// HTTP APIs before functions.
    API_GATEWAY = Aws "apigateway" "API Gateway", Wire::Rest, "AWS_ENDPOINT_URL_APIGATEWAYV2";
    /// CloudWatch Logs.
    LOGS = Aws "logs" "CloudWatch Logs", Wire::AwsJson { version: "1.1", target: "Logs_20140328" }, "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS";
    /// Secrets that services read when they start.
    SECRETS_MANAGER = Aws "secretsmanager" "Secrets Manager", Wire::AwsJson { version: "1.1", target: "secretsmanager" }, "AWS_ENDPOINT_URL_SECRETS_MANAGER";
    /// Services from images.
    CLOUD_RUN = Google "run" "Cloud Run", Wire::Rest, "CLOUDSDK_API_ENDPOINT_OVERRIDES_RUN";
    /// What services print.
    CLOUD_LOGGING = Google "logging" "Cloud Logging", Wire::Rest, "CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING";
    /// Secrets that services read when they start.
    SECRET_MANAGER = Google "secretmanager" "Secret Manager", Wire::Rest, "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER";
    /// Repositories of images.
    ARTIFACT_REGISTRY = Google "artifactregistry" "Artifact Registry", Wire::Rest, "CLOUDSDK_API_ENDPOINT_OVERRIDES_ARTIFACTREGISTRY";
    /// Everything that Azure manages.
    RESOURCE_MANAGER = Azure "management" "Azure Resource Manager", Wire::Rest, "DOCKLESS_AZURE_RESOURCE_MANAGER_URL";
    /// What containers of Container Apps print; its hosts are told by the Resource Manager.
    CONTAINER_APPS_LOGS = Azure "azurecontainerapps" "Container Apps logs", Wire::Text, "DOCKLESS_AZURE_CONTAINER_APPS_LOGS_URL";
}
