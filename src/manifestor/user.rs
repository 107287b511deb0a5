//! Which user an image's process runs as.

use serde::Deserialize;

use super::{
    ImageConfig, ManifestorError,
    error::read_document,
    rootfs::{self, FileError, Layer},
};
use crate::{digest::Digest, image_harbor::ImageHarbor};

/// The largest `/etc/passwd` or `/etc/group` that is read, in bytes.
const MAX_FILE: u64 = 1024 * 1024;
/// The largest user or group id that Kubernetes takes.
const MAX_ID: u32 = i32::MAX as u32;

/// Which user the container runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunAs {
    /// Root: the image names no user, or names root or 0.
    Root,
    /// Another one.
    Numeric {
        /// The user's id.
        uid: u32,
        /// The group's id; none where the image names a number without a group, and the runtime decides.
        gid: Option<u32>,
    },
    /// A user whose number is not known: Kubernetes cannot be told that it is not root.
    Unresolved {
        /// The user as the image names it.
        name: String,
        /// Why its number is not known.
        why: String,
    },
}

/// Finds out which user the image `manifest` runs as. Names are looked up in the image's own `/etc/passwd` and
/// `/etc/group`, read as streams from its layers.
pub async fn resolve_user(
    harbor: &dyn ImageHarbor,
    manifest: &Digest,
    config: &ImageConfig,
) -> Result<RunAs, ManifestorError> {
    let (user, group) = match config.user.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|g| !g.is_empty())),
        None => (config.user.as_str(), None),
    };
    if user.is_empty() || user == "root" || id(user) == Some(0) {
        return Ok(RunAs::Root);
    }
    let unresolved = |why: String| Ok(RunAs::Unresolved { name: config.user.chars().take(80).collect(), why });
    let numeric_group = group.map(id);
    if let (Some(uid), None | Some(Some(_))) = (id(user), numeric_group) {
        return within_bounds(uid, numeric_group.flatten()).map_or_else(unresolved, Ok);
    }

    let layers = layers(harbor, manifest).await?;
    let (uid, primary_group) = match id(user) {
        Some(uid) => (uid, None),
        None => match rootfs::read_file(harbor, &layers, "etc/passwd", MAX_FILE).await {
            Ok(passwd) => match passwd_entry(&passwd, user) {
                Some((uid, gid)) => (uid, Some(gid)),
                None => return unresolved("the image's /etc/passwd has no such user".into()),
            },
            Err(FileError::Harbor(e)) => return Err(e.into()),
            Err(FileError::Image(why)) => return unresolved(why),
        },
    };
    if uid == 0 {
        return Ok(RunAs::Root);
    }
    let gid = match (group, numeric_group.flatten()) {
        (None, _) => primary_group,
        (Some(_), Some(gid)) => Some(gid),
        (Some(group), None) => match rootfs::read_file(harbor, &layers, "etc/group", MAX_FILE).await {
            Ok(groups) => match group_entry(&groups, group) {
                Some(gid) => Some(gid),
                None => return unresolved("the image's /etc/group has no such group".into()),
            },
            Err(FileError::Harbor(e)) => return Err(e.into()),
            Err(FileError::Image(why)) => return unresolved(why),
        },
    };
    within_bounds(uid, gid).map_or_else(unresolved, Ok)
}

fn within_bounds(uid: u32, gid: Option<u32>) -> Result<RunAs, String> {
    if uid > MAX_ID || gid.is_some_and(|gid| gid > MAX_ID) {
        return Err(format!("Kubernetes takes no user or group id above {MAX_ID}"));
    }
    Ok(RunAs::Numeric { uid, gid })
}

/// Digits only: `parse` alone would take a sign.
fn id(text: &str) -> Option<u32> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) { None } else { text.parse().ok() }
}

/// `name:password:uid:gid:…` (passwd(5)). Lines that are none are passed over.
fn passwd_entry(file: &[u8], user: &str) -> Option<(u32, u32)> {
    String::from_utf8_lossy(file).lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        match fields[..] {
            [name, _, uid, gid, ..] if name == user => Some((id(uid)?, id(gid)?)),
            _ => None,
        }
    })
}

/// `name:password:gid:members` (group(5)).
fn group_entry(file: &[u8], group: &str) -> Option<u32> {
    String::from_utf8_lossy(file).lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        match fields[..] {
            [name, _, gid, ..] if name == group => id(gid),
            _ => None,
        }
    })
}

async fn layers(harbor: &dyn ImageHarbor, manifest: &Digest) -> Result<Vec<Layer>, ManifestorError> {
    #[derive(Deserialize)]
    struct Manifest {
        layers: Vec<Layer>,
    }
    let json = read_document(harbor, manifest, "image manifest").await?;
    let manifest: Manifest = serde_json::from_slice(&json)
        .map_err(|e| ManifestorError::Image(format!("{manifest} is not the manifest of one platform's image: {e}")))?;
    Ok(manifest.layers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_passwd_and_group() {
        let passwd = b"root:x:0:0::/root:/bin/sh\n#c\nbroken\nneg:x:-1:5\napp:x:1000:1001:App:/:/bin/false\nlast:x:7:8";
        assert_eq!(passwd_entry(passwd, "app"), Some((1000, 1001)));
        assert_eq!(passwd_entry(passwd, "last"), Some((7, 8)));
        for missing in ["ap", "neg", "broken", "", "1000"] {
            assert_eq!(passwd_entry(passwd, missing), None, "{missing}");
        }
        assert_eq!(group_entry(b"root:x:0:\nstaff:x:50:a,b\n", "staff"), Some(50));
        assert_eq!(group_entry(b"staff:x:99999999999:\n", "staff"), None);
    }
}
