//! Servers, and what to say when one does not do as asked.

use anyhow::Context;
use url::Url;

use super::manifest::Request;

/// Where the bytes go: the session's URL, or its path on another server.
pub fn target(session: &str, server: Option<&Url>) -> anyhow::Result<Url> {
    let session: Url = session.parse().with_context(|| format!("status.upload.url is no URL: {session}"))?;
    let Some(server) = server else { return Ok(session) };
    let mut target = server.clone();
    target.set_path(&format!("{}{}", server.path().trim_end_matches('/'), session.path()));
    target.set_query(session.query());
    Ok(target)
}

/// Why the API server did not take the object, in words.
pub fn explain(error: kube::Error, request: &Request) -> anyhow::Error {
    let object = format!("ImageUpload {} in namespace {}", request.name, request.namespace);
    match error {
        kube::Error::Api(status) => match (status.code, status.reason.as_str()) {
            (409, "Conflict") => anyhow::anyhow!(
                "somebody else manages fields of {object}: change it where they do, or take the fields over with --force-conflicts.\n{}",
                status.message
            ),
            (404, _)
                if status.message.contains("could not find the requested resource") || status.details.is_none() =>
            {
                anyhow::anyhow!(
                    "this cluster has no kind ImageUpload: is Orbit Plane installed there, and is the kubeconfig's context the right one?"
                )
            }
            _ => anyhow::anyhow!("{}", status.message),
        },
        other => anyhow::Error::new(other).context(format!("applying {object}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: &str = "http://127.0.0.1:8080/v2/shop/web/blobs/uploads/1";

    #[test]
    fn another_server_keeps_the_path() {
        let on = |server: &str| target(SESSION, Some(&server.parse().unwrap())).unwrap().to_string();
        assert_eq!(target(SESSION, None).unwrap().as_str(), SESSION);
        assert_eq!(on("https://orbit.example"), "https://orbit.example/v2/shop/web/blobs/uploads/1");
        assert_eq!(on("http://[::1]:81/orbit/"), "http://[::1]:81/orbit/v2/shop/web/blobs/uploads/1");
        assert!(target("nowhere", None).is_err());
    }
}
