//! Whose certificates are trusted besides the system's.

use std::path::Path;

use anyhow::Context;
use reqwest::ClientBuilder;

/// Certificates, and where each of them is from.
#[derive(Debug, Default)]
pub struct Trust(Vec<(Vec<u8>, String)>);

impl Trust {
    /// Those of a PEM file, if one is named.
    pub fn of_file(path: Option<&Path>) -> anyhow::Result<Self> {
        let mut trust = Self::default();
        if let Some(path) = path {
            let pem = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
            trust.add(pem, path.display().to_string());
        }
        Ok(trust)
    }

    /// These, too. `source` is what errors call them.
    pub fn add(&mut self, pem: impl Into<Vec<u8>>, source: impl Into<String>) {
        self.0.push((pem.into(), source.into()));
    }

    /// A client that trusts them.
    pub fn client(&self, mut builder: ClientBuilder) -> anyhow::Result<reqwest::Client> {
        for (pem, source) in &self.0 {
            let certificates = reqwest::Certificate::from_pem_bundle(pem)
                .with_context(|| format!("{source} holds no usable certificates"))?;
            builder = builder.tls_certs_merge(certificates);
        }
        builder.build().context("no HTTP client could be made")
    }
}
