//! A difference for people.

use crate::{
    cli::text::printable,
    comparison::{Change, ChangeKind, Compared, Difference, ImageChange, Layer, Setting, Side},
};

/// The whole report: what is the same is said in a word.
pub fn of(difference: &Difference) -> String {
    let Difference { key, a, b, values, objects, images, .. } = difference;
    let mut text = format!("{key}\n--- {}\n+++ {}\n", printable(&name(a)), printable(&name(b)));
    let values_said = values.changes.iter().map(setting).collect();
    section(&mut text, "values", values_said, values.not_compared.as_deref());
    let objects_said = objects.changes.iter().map(object).collect();
    section(&mut text, "objects", objects_said, objects.not_compared.as_deref());
    section(&mut text, "images", images.iter().map(image).collect(), None);
    text
}

fn name(compared: &Compared) -> String {
    match (&compared.side, &compared.rendered) {
        (Side::Environment(_), Some(version)) => format!("{} ({version})", compared.side),
        (side, _) => side.to_string(),
    }
}

fn section(text: &mut String, title: &str, said: Vec<String>, not_compared: Option<&str>) {
    text.push_str(&format!("\n{title}: "));
    match (said.as_slice(), not_compared) {
        (_, Some(reason)) => text.push_str(&format!("not compared: {}\n", printable(reason))),
        ([], None) => text.push_str("the same\n"),
        (said, None) => {
            text.push_str(&format!("{} different\n", said.len()));
            text.push_str(&said.concat());
        }
    }
}

fn setting(setting: &Setting) -> String {
    let line = |sign: char, value: &Option<String>| {
        let value = value.as_ref()?;
        Some(format!("{sign} {}: {}\n", printable(&setting.name), printable(value)))
    };
    [line('-', &setting.a), line('+', &setting.b)].into_iter().flatten().collect()
}

fn object(change: &Change) -> String {
    let word = match change.kind {
        ChangeKind::Added => "added",
        ChangeKind::Removed => "removed",
        ChangeKind::Changed => "changed",
    };
    let diff: String = change.diff.lines().map(|line| format!("{}\n", printable(line))).collect();
    format!("\n{} {word}\n{diff}", printable(&change.name))
}

fn image(change: &ImageChange) -> String {
    let of_image = Setting { name: change.name.clone(), a: change.a.clone(), b: change.b.clone() };
    let mut text = setting(&of_image);
    for one in &change.settings {
        let one = Setting { name: format!("  {}", one.name), ..one.clone() };
        text.push_str(&setting(&one));
    }
    if let Some(layers) = &change.layers {
        let told = |layers: &[Layer]| {
            let size: u64 = layers.iter().map(|layer| layer.size).sum();
            format!("{} ({})", layers.len(), indicatif::BinaryBytes(size))
        };
        text.push_str(&format!(
            "    layers: {} shared, {} only in the first, {} only in the second\n",
            told(&layers.shared),
            told(&layers.removed),
            told(&layers.added)
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::{
        comparison::{Content, Documents, Image, Inside, objects},
        digest::Digest,
        release::ApplicationKey,
    };

    fn content(side: Side, version: &str, replicas: u32, user: Option<&str>) -> Content {
        let layer = |name: &str, size| Layer { diff_id: Digest::of(name).to_string(), size };
        let settings = user.map(|user| ("user".to_owned(), user.to_owned())).into_iter().collect();
        let inside = Inside { settings, layers: vec![layer("base", 31_457_280), layer(version, 1_536)] };
        let image = Image { reference: None, digest: Some(Digest::of(version)), inside: Some(inside) };
        let yaml = format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  replicas: {replicas}\n  paused: false\n"
        );
        Content {
            side,
            version: Some(version.to_owned()),
            values: Ok(json!({"replicas": replicas, "image": {"tag": version}})),
            objects: Ok(Documents::Objects(objects(&yaml).unwrap())),
            images: BTreeMap::from([("main".to_owned(), image)]),
        }
    }

    #[test]
    fn people_see_what_is_different() {
        let a = content(Side::Version("1.4.0".into()), "1.4.0", 1, None);
        let mut b = content(Side::Environment("prod".into()), "1.5.0", 3, Some("65532\u{1b}[2J"));
        let difference = Difference::between(&ApplicationKey::new("shop", "web"), &a, &b);
        insta::assert_snapshot!(of(&difference));
        b.values = Err("nobody knows them".into());
        b.images = a.images.clone();
        let text = of(&Difference::between(&ApplicationKey::new("shop", "web"), &a, &b));
        assert!(text.contains("values: not compared: nobody knows them\n"), "{text}");
        assert!(text.contains("images: the same\n"), "{text}");
    }
}
