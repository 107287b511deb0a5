//! Where a plane keeps its data: flags, environment variables or a file, in this order of precedence.
//!
//! Without any of them everything lives in one data directory: an OCI image layout, and SQLite databases.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;
use url::Url;

/// The stores of a plane.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct StoreSettings {
    /// Directory of the embedded stores [default: $XDG_DATA_HOME/orbit-plane]
    #[arg(long, env = "ORBIT_DATA_DIR", value_name = "DIR", global = true)]
    pub data_dir: Option<PathBuf>,
    /// Name of this plane: prefixes every key in shared buckets and tables [default: orbit]
    #[arg(long, env = "ORBIT_PLANE", value_name = "NAME", global = true)]
    pub plane: Option<String>,
    /// S3 bucket of the Image Harbor; credentials and region come from the usual AWS sources
    #[arg(long, env = "ORBIT_S3_BUCKET", value_name = "BUCKET", global = true)]
    pub s3_bucket: Option<String>,
    /// Endpoint of an S3-compatible server (path-style addressing is used then)
    #[arg(long, env = "ORBIT_S3_ENDPOINT", value_name = "URL", global = true)]
    pub s3_endpoint: Option<Url>,
    /// DynamoDB table of the Chart Store; created when missing
    #[arg(long, env = "ORBIT_DYNAMODB_TABLE", value_name = "TABLE", global = true)]
    pub dynamodb_table: Option<String>,
    /// Endpoint of a DynamoDB-compatible server
    #[arg(long, env = "ORBIT_DYNAMODB_ENDPOINT", value_name = "URL", global = true)]
    pub dynamodb_endpoint: Option<Url>,
    /// MySQL database of the Viewport, as in mysql://user:password@host/database
    #[arg(long, env = "ORBIT_MYSQL_URL", value_name = "URL", hide_env_values = true, global = true)]
    pub mysql_url: Option<String>,
}

impl StoreSettings {
    /// What is not set here is taken from `other`.
    pub fn or(self, other: Self) -> Self {
        Self {
            data_dir: self.data_dir.or(other.data_dir),
            plane: self.plane.or(other.plane),
            s3_bucket: self.s3_bucket.or(other.s3_bucket),
            s3_endpoint: self.s3_endpoint.or(other.s3_endpoint),
            dynamodb_table: self.dynamodb_table.or(other.dynamodb_table),
            dynamodb_endpoint: self.dynamodb_endpoint.or(other.dynamodb_endpoint),
            mysql_url: self.mysql_url.or(other.mysql_url),
        }
    }

    /// The plane's name.
    pub fn plane(&self) -> &str {
        self.plane.as_deref().unwrap_or("orbit")
    }

    /// The directory of the embedded stores.
    pub fn data_dir(&self) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(|| {
            std::env::var_os("XDG_DATA_HOME")
                .map(PathBuf::from)
                .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/share")))
                .unwrap_or_default()
                .join("orbit-plane")
        })
    }
}
