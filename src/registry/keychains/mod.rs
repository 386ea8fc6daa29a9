//! The sources of credentials.
