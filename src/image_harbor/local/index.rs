//! `oci-layout` and `index.json`: what makes the directory an OCI image layout for other tools.
//!
//! OCI image-spec, image-layout.md and annotations.md (`org.opencontainers.image.ref.name`).

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use serde_json::{Map, Value, json};

use super::directory::{self, Directory, lock_file};
use crate::digest::Digest;

const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// A manifest and its name.
pub(super) struct Entry {
    name: String,
    descriptor: Value,
}

impl Entry {
    pub(super) fn new(name: &str, media_type: &str, digest: &Digest, size: u64) -> Self {
        let descriptor =
            json!({"mediaType": media_type, "digest": digest, "size": size, "annotations": {REF_NAME: name}});
        Self { name: name.to_owned(), descriptor }
    }
}

/// Makes the two files where they are missing.
pub(super) fn create(directory: &Directory) -> io::Result<()> {
    let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []});
    for (name, content) in [("oci-layout", json!({"imageLayoutVersion": "1.0.0"})), ("index.json", index)] {
        if directory::size(&directory.root().join(name))?.is_none() {
            let file = written(directory, &content)?;
            directory::publish(file, &directory.root().join(name))?;
            directory::sync(directory.root())?;
        }
    }
    Ok(())
}

/// Enters a manifest; whether anything changed. What else the index holds stays, fields of other tools included.
pub(super) fn announce(directory: &Directory, entry: &Entry) -> io::Result<bool> {
    // One writer at a time, of whatever process; readers only ever see a whole file.
    let lock = lock_file(&directory.root().join("index.lock"))?;
    lock.lock()?;

    let path = directory.root().join("index.json");
    let mut index = read(&path)?;
    if !enter(manifests(&mut index, &path)?, entry) {
        return Ok(false);
    }
    written(directory, &Value::Object(index))?.persist(&path).map_err(|failed| failed.error)?;
    directory::sync(directory.root())?;
    Ok(true)
}

/// Puts the entry into its place by name, in that of one with the same name; whether anything changed.
fn enter(manifests: &mut Vec<Value>, entry: &Entry) -> bool {
    if manifests.contains(&entry.descriptor) {
        return false;
    }
    manifests.retain(|manifest| name(manifest) != Some(&entry.name));
    let place = manifests.partition_point(|manifest| name(manifest) < Some(&entry.name));
    manifests.insert(place, entry.descriptor.clone());
    true
}

fn name(manifest: &Value) -> Option<&str> {
    manifest["annotations"][REF_NAME].as_str()
}

fn read(path: &Path) -> io::Result<Map<String, Value>> {
    let text = fs::read(path)?;
    serde_json::from_slice(&text).map_err(|error| not_an_index(path, &error.to_string()))
}

fn manifests<'a>(index: &'a mut Map<String, Value>, path: &Path) -> io::Result<&'a mut Vec<Value>> {
    let manifests = index.entry("manifests").or_insert_with(|| json!([]));
    manifests.as_array_mut().ok_or_else(|| not_an_index(path, "manifests is no list"))
}

fn not_an_index(path: &Path, message: &str) -> io::Error {
    let message = format!("{} is no OCI image index, move it away and it is made anew: {message}", path.display());
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// A durable file with this content, without a name yet.
fn written(directory: &Directory, content: &Value) -> io::Result<tempfile::TempPath> {
    let mut file = directory.new_file()?;
    serde_json::to_writer(&mut file, content)?;
    file.flush()?;
    file.as_file().sync_all()?;
    Ok(file.into_temp_path())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, content: &str) -> Entry {
        Entry::new(name, "application/vnd.oci.image.manifest.v1+json", &Digest::of(content), content.len() as u64)
    }

    fn names(manifests: &[Value]) -> Vec<Option<&str>> {
        manifests.iter().map(name).collect()
    }

    #[test]
    fn entries_are_sorted_and_entered_once() {
        let mut manifests = vec![json!({"digest": "sha256:of another tool"})];
        assert!(enter(&mut manifests, &entry("web:2", "two")));
        assert!(enter(&mut manifests, &entry("web:1", "one")));
        assert!(!enter(&mut manifests, &entry("web:2", "two")));
        assert_eq!(names(&manifests), [None, Some("web:1"), Some("web:2")]);
    }

    #[test]
    fn a_name_names_the_newest() {
        let mut manifests = Vec::new();
        assert!(enter(&mut manifests, &entry("web:1", "one")));
        assert!(enter(&mut manifests, &entry("web:1", "other")));
        assert_eq!(manifests, [entry("web:1", "other").descriptor]);
    }
}
