//! Charts as they are stored: their files to look at, and the package to keep. For whoever may get HelmCharts.

use std::collections::BTreeMap;

use anyhow::Context;
use axum::{
    Json,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    comparison::stored,
    digest::Digest,
    portal::{
        Portal, Stores,
        access::Right,
        by_digest::ByDigest,
        extract::{Named, name},
        problem::Problem,
        sessions::Session,
        visitor::Visitor,
    },
    release::{ApplicationKey, ChartRecord},
    tgz,
};

/// Files that are named at most: a chart of the plane's own has about twelve.
const MAX_FILES: usize = 500;
/// The largest file whose content is shown, in bytes.
const MAX_FILE: usize = 512 << 10;
/// Content that is shown of all files together at most, in bytes.
const MAX_SHOWN: usize = 4 << 20;

/// A chart, file by file.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChartFiles {
    /// Digest of its OCI manifest: what the chart is known by.
    digest: Digest,
    /// Digest of the package.
    package: Digest,
    /// Bytes of the package.
    size: u64,
    /// The files, in the order of their paths.
    files: Vec<ChartFile>,
    /// How many more there are than are named.
    #[serde(skip_serializing_if = "Option::is_none")]
    more: Option<usize>,
}

/// A file of a chart.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChartFile {
    /// Where it is in the chart, as in `templates/deployment.yaml`.
    path: String,
    /// Its bytes.
    size: usize,
    /// What is in it; left out where it is not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    /// Why it is not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_shown: Option<NotShown>,
}

/// Why the content of something is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum NotShown {
    /// It is no text in UTF-8.
    NoText,
    /// It is too large, or what comes before it is.
    TooLarge,
}

/// A chart that somebody may see.
struct Asked<'a> {
    stores: &'a Stores,
    key: ApplicationKey,
    version: String,
    chart: ChartRecord,
}

impl<'a> Asked<'a> {
    async fn read(portal: &'a Portal, session: &Session, path: [String; 3]) -> Result<Self, Problem> {
        let [namespace, application, version] = path;
        portal.access().require(session, &[Right::GetCharts], name("a namespace", &namespace)?).await?;
        name("an application", &application)?;
        name("a version", &version)?;
        let (stores, key) = (portal.stores(), ApplicationKey::new(namespace, application));
        let chart = stored::release(&stores.charts, &key, &version).await.and_then(|record| {
            let not_yet = || {
                stored::NotThere(format!(
                    "the chart of {key} {version} is not published yet: the conditions of its HelmChart say why"
                ))
            };
            Ok(record.chart.ok_or_else(not_yet)?)
        });
        Ok(Self { stores, chart: chart.map_err(Problem::of_stores)?, key, version })
    }

    async fn package(&self) -> Result<Vec<u8>, Problem> {
        let Self { stores, key, version, .. } = self;
        stored::chart(stores.harbor.as_ref(), &stores.charts, key, version).await.map_err(Problem::of_stores)
    }
}

/// `GET …/charts/{application}/{version}`
pub async fn show(
    State(portal): State<Portal>,
    Visitor(session): Visitor,
    Named(path): Named<[String; 3]>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asked = Asked::read(&portal, &session, path).await?;
    let answer = ByDigest::of(&asked.chart.package, &headers);
    if let Some(known) = answer.not_modified() {
        return Ok(known);
    }
    let _turn = portal.turns().object(&session).await?;
    let package = asked.package().await?;
    let unpacked = tokio::task::spawn_blocking(move || tgz::unpack(&package, stored::MAX_SIZE).map(shown)).await;
    let unpacked = unpacked.map_err(anyhow::Error::from).and_then(|unpacked| {
        unpacked.with_context(|| format!("the chart of {} {} cannot be unpacked", asked.key, asked.version))
    });
    let (files, more) = unpacked.map_err(Problem::of_stores)?;
    let ChartRecord { digest, package, size, .. } = asked.chart;
    Ok(answer.tagged(Json(ChartFiles { digest, package, size, files, more }).into_response()))
}

/// `GET …/charts/{application}/{version}/archive`
pub async fn download(
    State(portal): State<Portal>,
    Visitor(session): Visitor,
    Named(path): Named<[String; 3]>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asked = Asked::read(&portal, &session, path).await?;
    let answer = ByDigest::of(&asked.chart.package, &headers);
    if let Some(known) = answer.not_modified() {
        return Ok(known);
    }
    let _turn = portal.turns().object(&session).await?;
    let file = format!("{}-{}.tgz", asked.key.application, asked.version);
    Ok(answer.file(&file, "application/gzip", asked.package().await?))
}

/// What is shown of files, and how many are not named.
fn shown(files: BTreeMap<String, Vec<u8>>) -> (Vec<ChartFile>, Option<usize>) {
    let more = files.len().checked_sub(MAX_FILES).filter(|more| *more > 0);
    let mut left = MAX_SHOWN;
    let files = files.into_iter().take(MAX_FILES).map(|(path, bytes)| {
        // All lies in a folder that is named like the chart.
        let path = path.split_once('/').map_or(path.as_str(), |(_, path)| path).to_owned();
        let size = bytes.len();
        let content = if size > MAX_FILE.min(left) {
            Err(NotShown::TooLarge)
        } else {
            String::from_utf8(bytes).map_err(|_| NotShown::NoText)
        };
        left -= content.as_ref().map_or(0, String::len);
        ChartFile { path, size, not_shown: content.as_ref().err().copied(), content: content.ok() }
    });
    (files.collect(), more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_shown_within_bounds() {
        let files = |files: &[(&str, usize)]| {
            files.iter().map(|(path, size)| ((*path).to_owned(), vec![b'a'; *size])).collect::<BTreeMap<_, _>>()
        };
        let mut some = files(&[("web/Chart.yaml", 3), ("web/files/large", MAX_FILE + 1)]);
        some.insert("web/icon.png".into(), vec![0x89, 0xff]);
        let (found, more) = shown(some);
        let file = |path: &str, size, content: Option<&str>, not_shown| ChartFile {
            path: path.into(),
            size,
            content: content.map(str::to_owned),
            not_shown,
        };
        let expected = [
            file("Chart.yaml", 3, Some("aaa"), None),
            file("files/large", MAX_FILE + 1, None, Some(NotShown::TooLarge)),
            file("icon.png", 2, None, Some(NotShown::NoText)),
        ];
        assert_eq!((found.as_slice(), more), (expected.as_slice(), None));

        let names: Vec<String> = (0..MAX_FILES + 2).map(|number| format!("web/{number:04}")).collect();
        let many: Vec<(&str, usize)> = names.iter().map(|name| (name.as_str(), MAX_FILE)).collect();
        let (found, more) = shown(files(&many));
        assert_eq!((found.len(), more), (MAX_FILES, Some(2)));
        let content: usize = found.iter().filter_map(|file| file.content.as_ref()).map(String::len).sum();
        assert_eq!(content, MAX_SHOWN);
    }
}
