//! The sources of tokens, and what they are called.

/// One source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The secret of a client, in variables.
    ClientSecret,
    /// A file with a token that Entra exchanges.
    WorkloadIdentity,
    /// The token that GitHub gives a job.
    GithubActions,
    /// The token that a service connection gives a job.
    AzurePipelines,
    /// Who the machine is.
    ManagedIdentity,
    /// `az`.
    Cli,
    /// `azd`.
    DeveloperCli,
}

/// The vendor's order; the two of CI stand where federated tokens do.
pub(super) const ORDER: [Source; 7] = [
    Source::ClientSecret,
    Source::WorkloadIdentity,
    Source::GithubActions,
    Source::AzurePipelines,
    Source::ManagedIdentity,
    Source::Cli,
    Source::DeveloperCli,
];

impl Source {
    /// What to call it in messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ClientSecret => "environment",
            Self::WorkloadIdentity => "workload identity",
            Self::GithubActions => "GitHub Actions",
            Self::AzurePipelines => "Azure Pipelines",
            Self::ManagedIdentity => "managed identity",
            Self::Cli => "Azure CLI",
            Self::DeveloperCli => "Azure Developer CLI",
        }
    }

    /// Whether the vendor's `AZURE_TOKEN_CREDENTIALS` leaves it in.
    pub(super) fn is_in(self, wanted: Option<&str>) -> bool {
        let is_developers = matches!(self, Self::Cli | Self::DeveloperCli);
        match wanted {
            Some("dev") => is_developers,
            Some("prod") => !is_developers,
            Some(name) => name.eq_ignore_ascii_case(self.credential()),
            None => true,
        }
    }

    /// The vendor's name of it.
    fn credential(self) -> &'static str {
        match self {
            Self::ClientSecret => "EnvironmentCredential",
            Self::WorkloadIdentity => "WorkloadIdentityCredential",
            Self::GithubActions => "ClientAssertionCredential",
            Self::AzurePipelines => "AzurePipelinesCredential",
            Self::ManagedIdentity => "ManagedIdentityCredential",
            Self::Cli => "AzureCliCredential",
            Self::DeveloperCli => "AzureDeveloperCliCredential",
        }
    }
}
