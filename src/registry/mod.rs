//! The OCI Distribution API over the Harbor; for now its blob upload sessions.
