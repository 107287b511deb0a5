//! Reading what there is to know of a side.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::Context;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use super::{
    compare::{Difference, laid_over},
    image::{self, Image},
    manifests::{self, Documents},
    side::{Content, Side},
    stored,
};
use crate::{
    api::{Kustomize, OverlayImage},
    chart_store::{ChartStore, Event, Fact, SpecText},
    digest::Digest,
    image_harbor::{ImageHarbor, read_to_vec},
    overlay::{
        artifact,
        renderer::{HelmRelease, RenderRequest, Renderer},
    },
    release::{ApplicationKey, Release},
    tgz,
};

/// Events that are read at once.
const EVENTS: usize = 500;

/// Where what is compared comes from.
pub struct Sources {
    charts: ChartStore,
    harbor: Arc<dyn ImageHarbor>,
    key: ApplicationKey,
    renderer: Option<Arc<Renderer>>,
    kube_version: String,
}

impl Sources {
    /// What the stores hold of an application. Without a renderer the files of charts are compared.
    pub fn new(
        charts: ChartStore,
        harbor: Arc<dyn ImageHarbor>,
        key: ApplicationKey,
        renderer: Option<Arc<Renderer>>,
        kube_version: String,
    ) -> Self {
        Self { charts, harbor, key, renderer, kube_version }
    }

    /// How `b` differs from `a`.
    pub async fn compare(&self, a: &Side, b: &Side) -> anyhow::Result<Difference> {
        let (a, b) = (self.read(a).await?, self.read(b).await?);
        let key = self.key.clone();
        // It takes a processor, which what else goes on has to do without.
        Ok(tokio::task::spawn_blocking(move || Difference::between(&key, &a, &b)).await?)
    }

    /// All that is known of a side.
    async fn read(&self, side: &Side) -> anyhow::Result<Content> {
        match side {
            Side::Version(version) => self.version(side, version).await,
            Side::Environment(environment) => self.environment(side, environment).await,
        }
    }

    async fn version(&self, side: &Side, version: &str) -> anyhow::Result<Content> {
        let release = stored::release(&self.charts, &self.key, version).await?.release;
        let (package, files) = self.chart(version).await?;
        let mut images = BTreeMap::new();
        for image in &release.images {
            let inside = Some(image::read(self.harbor.as_ref(), &image.digest).await?);
            images.insert(image.name.clone(), Image { reference: None, digest: Some(image.digest), inside });
        }
        Ok(Content {
            side: side.clone(),
            version: Some(version.to_owned()),
            values: Ok(own_values(&files)?),
            objects: Ok(self.objects(package, files).await?),
            images,
        })
    }

    async fn environment(&self, side: &Side, environment: &str) -> anyhow::Result<Content> {
        let rendered = stored::rendered(&self.charts, &self.key, environment).await?;
        let yaml = String::from_utf8(artifact::final_yaml(self.harbor.as_ref(), &rendered.artifact).await?)?;
        let objects = manifests::objects(&yaml).context("the rendered manifests cannot be read")?;
        let release = match &rendered.version {
            Some(version) => self.charts.release(&self.key, version).await?.map(|record| record.release),
            None => None,
        };
        let mut images = BTreeMap::new();
        for image in &rendered.images {
            images.insert(container(image, release.as_ref()), self.rendered_image(image).await?);
        }
        Ok(Content {
            side: side.clone(),
            version: rendered.version.clone(),
            values: self.values_of(environment, rendered.version.as_deref()).await?,
            objects: Ok(Documents::Objects(objects)),
            images,
        })
    }

    async fn rendered_image(&self, image: &OverlayImage) -> anyhow::Result<Image> {
        let inside = match image.digest.filter(|_| image.tracked) {
            // A purge gives an image up although an environment may still run it.
            Some(digest) if self.charts.is_linked(&self.key, &digest).await? => {
                Some(image::read(self.harbor.as_ref(), &digest).await?)
            }
            _ => None,
        };
        Ok(Image { reference: Some(image.reference.clone()), digest: image.digest, inside })
    }

    /// The chart of a version, packaged, and its files.
    async fn chart(&self, version: &str) -> anyhow::Result<(Vec<u8>, BTreeMap<String, String>)> {
        let package = stored::chart(self.harbor.as_ref(), &self.charts, &self.key, version).await?;
        let files = tgz::unpack(&package, stored::MAX_SIZE)
            .with_context(|| format!("the chart of version {version} cannot be unpacked"))?;
        let text = |(path, bytes): (String, Vec<u8>)| {
            // All lies in a folder that is named like the chart.
            let path = path.split_once('/').map_or(path.as_str(), |(_, path)| path).to_owned();
            (path, String::from_utf8_lossy(&bytes).into_owned())
        };
        Ok((package, files.into_iter().map(text).collect()))
    }

    /// The chart's objects with its own values; its files, where nothing renders them.
    async fn objects(&self, package: Vec<u8>, files: BTreeMap<String, String>) -> anyhow::Result<Documents> {
        let Some(renderer) = &self.renderer else { return Ok(Documents::Files(files)) };
        let rendering = renderer
            .render(RenderRequest {
                chart: Some(STANDARD.encode(package)),
                manifests: None,
                release: HelmRelease { name: &self.key.application, namespace: &self.key.namespace },
                kube_version: &self.kube_version,
                values: &Map::new(),
                kustomization: &Kustomize::default(),
            })
            .await?;
        Ok(Documents::Objects(manifests::objects(&rendering.manifest).context("the rendered chart cannot be read")?))
    }

    /// The values that an environment is rendered with, as far as its journal tells.
    async fn values_of(&self, environment: &str, version: Option<&str>) -> anyhow::Result<Result<Value, String>> {
        let Some(version) = version else {
            return Ok(Err(format!("environment {environment} runs manifests of its own, which take no values")));
        };
        let purged = self.charts.release(&self.key, version).await?.is_none_or(|record| record.purged_at.is_some());
        if purged {
            return Ok(Err(format!("the data of version {version}, which {environment} runs, was given up")));
        }
        let Some(spec) = self.last_spec(environment).await? else {
            return Ok(Err(format!("the journal does not tell what the overlay of {environment} says")));
        };
        let spec: Value = serde_json::from_slice(&self.text(&spec).await?)
            .with_context(|| format!("the overlay of {environment} as it is recorded cannot be read"))?;
        let (_, files) = self.chart(version).await?;
        let over = spec["values"].as_object().cloned().unwrap_or_default();
        Ok(Ok(laid_over(own_values(&files)?, &over)))
    }

    /// The overlay's spec that was recorded last.
    async fn last_spec(&self, environment: &str) -> anyhow::Result<Option<SpecText>> {
        let (mut found, mut after) = (None, 0);
        loop {
            let events = self.charts.events(&self.key, after, EVENTS).await?;
            let Some(last) = events.last().map(|event| event.seq) else { return Ok(found) };
            let of_overlay = |event: &Event| match &event.fact {
                Fact::Selected { environment: name, .. } | Fact::Rendered { environment: name, .. } => {
                    name == environment
                }
                _ => false,
            };
            found = events.into_iter().filter(of_overlay).filter_map(|event| event.spec).next_back().or(found);
            after = last;
        }
    }

    async fn text(&self, spec: &SpecText) -> anyhow::Result<Vec<u8>> {
        match &spec.text {
            Some(text) => Ok(text.clone().into_bytes()),
            None => Ok(read_to_vec(self.harbor.as_ref(), &spec.digest, stored::MAX_SIZE).await?),
        }
    }
}

/// The values that a chart brings along.
fn own_values(files: &BTreeMap<String, String>) -> anyhow::Result<Value> {
    let text = files.get("values.yaml").map_or("{}", String::as_str);
    let values: Option<Value> = serde_yaml::from_str(text).context("the chart's values.yaml cannot be read")?;
    Ok(values.filter(|values| !values.is_null()).unwrap_or_else(|| Value::Object(Map::new())))
}

/// The container that the release has an image for, or else the repository that it is pulled from.
fn container(image: &OverlayImage, release: Option<&Release>) -> String {
    let of_release = |digest: Digest| {
        release?.images.iter().find(|stored| {
            stored.digest == digest || stored.platforms.iter().any(|platform| platform.manifest == digest)
        })
    };
    if let Some(stored) = image.digest.and_then(of_release) {
        return stored.name.clone();
    }
    let name = image.reference.split('@').next().unwrap_or_default();
    match name.rsplit_once(':') {
        // Not a port.
        Some((repository, tag)) if !tag.contains('/') => repository.to_owned(),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_that_no_release_has_is_named_by_its_repository() {
        for (reference, name) in [
            ("busybox:1", "busybox"),
            ("registry.example:5000/team/log", "registry.example:5000/team/log"),
            ("registry.example:5000/team/log:2@sha256:abc", "registry.example:5000/team/log"),
        ] {
            let image = OverlayImage { reference: reference.into(), digest: None, tracked: false };
            assert_eq!(container(&image, None), name);
        }
    }

    #[test]
    fn a_chart_without_values_has_none() {
        for files in [BTreeMap::new(), BTreeMap::from([("values.yaml".to_owned(), "# nothing\n".to_owned())])] {
            assert_eq!(own_values(&files).unwrap(), serde_json::json!({}));
        }
    }
}
