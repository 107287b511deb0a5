//! What an image is made of, and how two of them differ.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    digest::Digest,
    image_harbor::{ImageHarbor, read_to_vec},
};

/// The largest manifest or config that is read, in bytes.
const MAX_JSON: u64 = 4 * 1024 * 1024;
/// The platform whose configuration is compared where an image has it.
const USUAL_PLATFORM: &str = "linux/amd64";

/// An image of a side.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// The reference it is pulled by, where that is known.
    pub reference: Option<String>,
    /// Its digest, where it is pinned.
    pub digest: Option<Digest>,
    /// What is in it, where the plane stores it.
    pub inside: Option<Inside>,
}

/// Configuration and layers of one platform.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inside {
    /// Settings by name, as in `env.PATH`.
    pub settings: BTreeMap<String, String>,
    /// The layers, the lowest first.
    pub layers: Vec<Layer>,
}

/// A layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Layer {
    /// Digest of its uncompressed content: what makes two of them the same.
    pub diff_id: String,
    /// Bytes as they are stored.
    pub size: u64,
}

/// How an image differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageChange {
    /// The container it is for, or its repository.
    pub name: String,
    /// What the first side runs; nothing where it does not have the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub a: Option<String>,
    /// What the second side runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub b: Option<String>,
    /// Settings that differ.
    pub settings: Vec<Setting>,
    /// What becomes of the layers, where both sides' are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers: Option<Layers>,
}

/// Something that has two values, or only one side has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Setting {
    /// What it is, as in `entrypoint` or `env.PATH`.
    pub name: String,
    /// In the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub a: Option<String>,
    /// In the second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub b: Option<String>,
}

/// Layers of two images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Layers {
    /// In both.
    pub shared: Vec<Layer>,
    /// Only in the first.
    pub removed: Vec<Layer>,
    /// Only in the second.
    pub added: Vec<Layer>,
}

impl Image {
    fn said(&self) -> String {
        let digest = self.digest.map(|digest| digest.to_string());
        digest.or_else(|| self.reference.clone()).unwrap_or_default()
    }
}

/// How the images of two sides differ, by name. Those that are the same are left out.
pub fn compare(a: &BTreeMap<String, Image>, b: &BTreeMap<String, Image>) -> Vec<ImageChange> {
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let change = |name: &String| {
        let (a, b) = (a.get(name), b.get(name));
        let said = |image: Option<&Image>| image.map(Image::said);
        if said(a) == said(b) {
            return None;
        }
        let inside = |image: Option<&Image>| image.and_then(|image| image.inside.clone());
        let (settings, layers) = match (inside(a), inside(b)) {
            (Some(a), Some(b)) => (settings(&a.settings, &b.settings), Some(layers(&a.layers, &b.layers))),
            _ => (Vec::new(), None),
        };
        Some(ImageChange { name: name.clone(), a: said(a), b: said(b), settings, layers })
    };
    names.into_iter().filter_map(change).collect()
}

/// What is not the same in both.
pub fn settings(a: &BTreeMap<String, String>, b: &BTreeMap<String, String>) -> Vec<Setting> {
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let differ = |name: &&String| a.get(*name) != b.get(*name);
    let setting = |name: &String| Setting { name: name.clone(), a: a.get(name).cloned(), b: b.get(name).cloned() };
    names.into_iter().filter(differ).map(setting).collect()
}

fn layers(a: &[Layer], b: &[Layer]) -> Layers {
    let within = |layer: &Layer, layers: &[Layer]| layers.iter().any(|other| other.diff_id == layer.diff_id);
    let (shared, added) = b.iter().cloned().partition(|layer| within(layer, a));
    Layers { shared, removed: a.iter().filter(|layer| !within(layer, b)).cloned().collect(), added }
}

/// Reads what is in an image, of the usual platform or else of its first.
pub async fn read(harbor: &dyn ImageHarbor, image: &Digest) -> anyhow::Result<Inside> {
    let json = async |digest: &Digest| -> anyhow::Result<Value> {
        let bytes = read_to_vec(harbor, digest, MAX_JSON).await?;
        serde_json::from_slice(&bytes).with_context(|| format!("{digest} is no JSON: `orbit verify` tells more"))
    };
    let mut manifest = json(image).await?;
    let mut platforms = Vec::new();
    if let Some(listed) = manifest["manifests"].as_array() {
        let mut listed: Vec<_> = listed.iter().map(|one| (platform(&one["platform"]), one["digest"].clone())).collect();
        // What is attached to an image (provenance) stands among its platforms as `unknown/unknown`.
        listed.retain(|(platform, _)| !platform.starts_with("unknown/"));
        platforms = listed.iter().map(|(platform, _)| platform.clone()).collect();
        let chosen = listed.iter().find(|(platform, _)| platform == USUAL_PLATFORM).or(listed.first());
        let (_, digest) = chosen.with_context(|| format!("the image index {image} names no platform"))?;
        manifest = json(&self::digest(digest)?).await?;
    }
    let config = json(&digest(&manifest["config"]["digest"])?).await?;
    if platforms.is_empty() {
        platforms.push(platform(&config));
    }
    let mut settings = flattened(&config["config"]);
    settings.insert("platforms".into(), platforms.join(", "));
    let diff_ids = config["rootfs"]["diff_ids"].as_array().into_iter().flatten();
    let sizes = manifest["layers"].as_array().into_iter().flatten().map(|layer| layer["size"].as_u64().unwrap_or(0));
    let layer = |(id, size): (&Value, u64)| Layer { diff_id: id.as_str().unwrap_or_default().to_owned(), size };
    Ok(Inside { settings, layers: diff_ids.zip(sizes).map(layer).collect() })
}

fn digest(value: &Value) -> anyhow::Result<Digest> {
    Ok(value.as_str().unwrap_or_default().parse()?)
}

/// `os/architecture[/variant]`.
fn platform(value: &Value) -> String {
    ["os", "architecture", "variant"].iter().filter_map(|part| value[*part].as_str()).collect::<Vec<_>>().join("/")
}

/// An image's configuration (OCI image-spec, config.md) by name, one for each variable, port, volume and label.
fn flattened(config: &Value) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    for (field, value) in config.as_object().into_iter().flatten() {
        let name = match field.as_str() {
            "Env" => {
                for variable in value.as_array().into_iter().flatten().filter_map(Value::as_str) {
                    let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
                    settings.insert(format!("env.{name}"), value.to_owned());
                }
                continue;
            }
            "Labels" => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    settings.insert(format!("labels.{name}"), value.as_str().unwrap_or_default().to_owned());
                }
                continue;
            }
            "ExposedPorts" => "ports",
            "Volumes" => "volumes",
            "Entrypoint" => "entrypoint",
            "Cmd" => "cmd",
            "User" => "user",
            "WorkingDir" => "workingDir",
            other => other,
        };
        let text = match value {
            Value::Null => continue,
            Value::String(text) if text.is_empty() => continue,
            Value::String(text) => text.clone(),
            // Sets, as Docker writes them.
            Value::Object(set) if matches!(name, "ports" | "volumes") => {
                set.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
            }
            other => other.to_string(),
        };
        settings.insert(name.to_owned(), text);
    }
    settings
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    fn image(digest: &str, user: &str, layers: &[(&str, u64)]) -> Image {
        let config = json!({
            "User": user, "Env": ["PATH=/bin", "EMPTY="], "Entrypoint": ["/web", "-v"], "Labels": {"team": "checkout"},
            "ExposedPorts": {"8080/tcp": {}, "9090/tcp": {}}, "Cmd": null,
        });
        let layer = |(id, size): &(&str, u64)| Layer { diff_id: (*id).to_owned(), size: *size };
        let inside = Inside { settings: flattened(&config), layers: layers.iter().map(layer).collect() };
        Image { reference: None, digest: Some(Digest::of(digest)), inside: Some(inside) }
    }

    #[test]
    fn configurations_are_compared_setting_by_setting() {
        let settings = image("a", "1000", &[]).inside.unwrap().settings;
        let expected = [
            ("entrypoint", r#"["/web","-v"]"#),
            ("env.EMPTY", ""),
            ("env.PATH", "/bin"),
            ("labels.team", "checkout"),
            ("ports", "8080/tcp, 9090/tcp"),
            ("user", "1000"),
        ];
        let found: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn layers_are_shared_by_content() {
        let a = BTreeMap::from([("main".to_owned(), image("a", "1000", &[("base", 10), ("old", 5)]))]);
        let b = BTreeMap::from([("main".to_owned(), image("b", "", &[("base", 11), ("new", 7)]))]);
        assert_eq!(compare(&a, &a), []);
        let change = &compare(&a, &b)[0];
        assert_eq!(change.settings, [Setting { name: "user".into(), a: Some("1000".into()), b: None }]);
        let layers = change.layers.as_ref().unwrap();
        let sizes = |layers: &[Layer]| layers.iter().map(|layer| layer.size).collect::<Vec<_>>();
        assert_eq!((sizes(&layers.shared), sizes(&layers.removed), sizes(&layers.added)), (vec![11], vec![5], vec![7]));
    }

    #[test]
    fn an_image_that_is_not_stored_has_a_name_only() {
        let foreign = |reference: &str| {
            let image = Image { reference: Some(reference.to_owned()), ..Image::default() };
            BTreeMap::from([("log".to_owned(), image)])
        };
        let change = &compare(&foreign("busybox:1"), &foreign("busybox:2"))[0];
        assert_eq!(
            (change.a.as_deref(), change.b.as_deref(), &change.layers),
            (Some("busybox:1"), Some("busybox:2"), &None)
        );
        let gone = &compare(&foreign("busybox:1"), &BTreeMap::new())[0];
        assert_eq!((gone.a.as_deref(), gone.b.as_deref()), (Some("busybox:1"), None));
    }
}
