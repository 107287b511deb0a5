//! What the renderer writes as YAML is read back as the same JSON, whatever a text looks like.

use std::time::Duration;

use orbit_plane::{
    api::Kustomize,
    cluster_plane::objects,
    overlay::renderer::{HelmRelease, RenderRequest},
};
use pretty_assertions::assert_eq;
use serde_json::{Map, Value, json};

/// Texts that some YAML takes for something else.
const TEXTS: &[&str] = &[
    "yes",
    "no",
    "on",
    "off",
    "y",
    "N",
    "TRUE",
    "null",
    "~",
    "",
    "0644",
    "0o14",
    "0x1F",
    "0b11",
    "1_000",
    "1e3",
    "1e+06",
    ".5",
    "5.",
    "+1",
    "-1",
    "1:30",
    "190:20:30",
    "2001-01-01",
    "2001-12-14t21:59:43.10-05:00",
    ".inf",
    "-.inf",
    ".nan",
    "<<",
    "=",
    "!",
    "!x",
    "&a",
    "*a",
    "%a",
    "@a",
    "`a",
    "-",
    "- a",
    "?",
    "? a",
    ":",
    ": a",
    "a: b",
    "a #b",
    "#a",
    "a:",
    "[",
    "{}",
    "[a]",
    "{a: b}",
    ",",
    ">",
    "|",
    "'",
    "\"",
    "''",
    "\\",
    "\\n",
    " a",
    "a ",
    "\ta",
    "\n",
    "a\n",
    "a\n\n",
    "\na",
    " a\nb",
    "a\n b\n",
    "a\n\tb",
    "a\r\nb",
    "\r",
    "\u{7}",
    "\u{1b}[31m",
    "\u{feff}",
    "a\u{feff}b",
    "\u{a0}",
    "ä",
    "日本語",
    "😀",
    "---",
    "--- a",
    "...",
    "a\n---\nb",
    "a\n...\nb",
    "%YAML 1.2",
    "0xffffffffffffffffff",
    "0x00ff00ff00ff00ff00ff00ff00ff00ff",
    "18446744073709551616",
    "-9223372036854775809",
    "1e400",
    "0899",
    "1__0",
    "-0",
    "  leading\n  indented\nno",
    "trailing  \nnext\n",
    "#!/bin/sh\nif [ a ]; then\n\techo \"x\"\nfi\n",
    "${orbit:X}",
    "key: |\n  a\n",
    "!!binary aGk=",
];
/// What random texts are made of: all that means something to YAML.
const ALPHABET: &str = "ab01ex_-+.: #,[]{}&*!|>'\"%@`?~=<\\\n\r\t /yNoOfFtT\u{feff}ä😀";

fn texts() -> Vec<String> {
    let alphabet: Vec<_> = ALPHABET.chars().collect();
    let mut random = fastrand::Rng::with_seed(1);
    let mut text = || (0..random.usize(1..12)).map(|_| alphabet[random.usize(..alphabet.len())]).collect();
    let mut texts: Vec<String> = TEXTS.iter().map(ToString::to_string).collect();
    texts.extend((0..2000).map(|_| text()));
    texts.extend(["x".repeat(300), "word ".repeat(60), "a".repeat(200) + ": b"]);
    texts
}

#[tokio::test]
async fn objects_are_read_as_they_were_meant() {
    let texts = texts();
    let keys: Map<_, _> = texts
        .iter()
        // Go writes a key << so that it merges.
        .filter(|text| *text != "<<" && text.len() < 120)
        .map(|text| (text.clone(), json!(text)))
        .collect();
    let numbers = json!([0, -1, i64::MIN, u64::MAX, 0.5, -0.25, 1000000, 1e21, 1.5e300, 1e-7, 123456.789]);
    let spec =
        json!({"texts": texts, "keys": keys, "numbers": numbers, "others": [true, false, null, [], {}, [["a"]]]});
    let object =
        |metadata: Value| json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": metadata, "spec": spec});
    let renderer = super::renderer(Duration::from_secs(60));
    let request = RenderRequest {
        chart: None,
        manifests: Some(object(json!({"name": "web"})).to_string()),
        release: HelmRelease { name: "web", namespace: "shop" },
        kube_version: "1.36.3",
        values: &Map::new(),
        kustomization: &Kustomize::default(),
    };
    let rendering = renderer.render(request).await.unwrap();
    let read = objects::read(&rendering.manifest).unwrap();
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].value, object(json!({"name": "web", "namespace": "shop"})));
}
