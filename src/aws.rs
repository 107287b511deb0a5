//! One way to speak to AWS, and to servers that speak its protocols: S3 for the Image Harbor, DynamoDB for the Chart
//! Store.
//!
//! Credentials come from the SDK's own chain (environment, profile, web identity, container, instance), so a plane
//! never stores any.

use std::{error::Error, time::Duration};

use aws_config::{
    AppName, BehaviorVersion, Region, SdkConfig, environment::EnvironmentVariableRegionProvider,
    meta::region::RegionProviderChain, profile::ProfileFileRegionProvider, retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_sdk_s3::{
    config::{SharedHttpClient, http::HttpResponse},
    error::{ProvideErrorMetadata, SdkError},
};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use url::Url;

/// The region that servers other than AWS are addressed with when none is configured: they only sign with it.
const REGION_OF_OTHER_SERVERS: &str = "us-east-1";

/// Configuration for the clients of the AWS SDK, with `endpoint` where it is not AWS itself that answers.
///
/// One attempt may take 15 seconds and three are made: enough for requests that carry a few hundred kilobytes. A client
/// that moves more than that sets timeouts of its own.
pub async fn sdk_config(endpoint: Option<&Url>) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .operation_attempt_timeout(Duration::from_secs(15))
        .build();
    let loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http_client())
        .app_name(AppName::new("orbit-plane").expect("letters and hyphens are allowed in it"))
        .retry_config(RetryConfig::standard())
        .timeout_config(timeouts);
    match endpoint {
        None => loader.load().await,
        Some(endpoint) => {
            let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
                .or_else(ProfileFileRegionProvider::new())
                .or_else(Region::new(REGION_OF_OTHER_SERVERS));
            loader.region(region).endpoint_url(endpoint.as_str().trim_end_matches('/')).load().await
        }
    }
}

/// What went wrong, for the person who reads a condition or a log: the server's own code and message where it answered,
/// else why it could not be asked. Holds neither credentials nor the request.
pub fn describe<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: Error + ProvideErrorMetadata + 'static,
{
    let Some(service) = error.as_service_error() else { return causes(error) };
    let status = error.raw_response().map(|response| response.status().as_u16());
    let mut text = match (service.code(), service.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, Some(message)) => message.to_owned(),
        (None, None) => "the server refused without saying why".to_owned(),
    };
    if let Some(status) = status {
        text.push_str(&format!(" (HTTP {status})"));
    }
    text
}

/// An error and its causes, outermost first, each said once.
pub fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

/// One TLS stack in the whole program: rustls on ring.
fn http_client() -> SharedHttpClient {
    Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
}
