//! Where everything lies in the table. `P` is the plane, so that planes can share a table.
//!
//! | partition | sort | item |
//! | --- | --- | --- |
//! | `P/heads/<00 … 15>` | `<namespace>/<application>` | [`Head`](super::Head) |
//! | `P/application/<namespace>/<application>` | `event/<seq>` | [`Event`](super::Event), in RFC 8785 form |
//! | | `id/<hex>` | marker: the fact with this id is recorded: its `seq`, and the call that was its writer |
//! | | `lane/<lane>` | the last state of a recurring fact |
//! | | `release/<version>` | [`ReleaseRecord`](crate::release::ReleaseRecord) |
//! | | `chart/<version>` | the packaged chart as blob |
//! | | `environment/<environment>` | [`EnvironmentRecord`](super::EnvironmentRecord) |
//! | | `deployment/<environment>/<cluster namespace>/<cluster name>/<uid>` | [`DeploymentRecord`](super::DeploymentRecord) |
//! | | `spec/<kind>/<name>` | [`SpecRecord`](super::SpecRecord), in journals of changes |
//! | | `link/<hex>` | the application may read this blob |
//! | `P/digest/<namespace>/<hex>` | `<application>/<version>` | [`ReleaseRef`](super::ReleaseRef) |
//! | `P/user/<namespace>/<hex of the name's sha256>` | `<time, newest first>/<application>/<version>` | [`ReleaseRef`](super::ReleaseRef) |
//! | `P/session/<id>` | `session` | [`UploadSession`](super::UploadSession) |
//! | | `chunk/<epoch>/<offset>` | [`StagedChunk`](crate::image_harbor::StagedChunk) |
//! | `P/expiring` | `<time>/<id>` | id of the session that expires then |
//!
//! Journals that are no application's lie as one of the names `_requests` and `_changes`, those of no namespace in the
//! namespace "" ([`requests_of`](super::requests_of), [`changes_of`](super::changes_of)).
//!
//! Numbers are written with 20 digits, so that they sort. Everything of an application lies in one partition; what is
//! looked up by digest or user lies below the namespace, so that no tenant finds another's.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    deployment::place,
    table::{ItemKey, Range},
};
use crate::{
    digest::Digest,
    release::{ApplicationKey, ClusterRef},
};

/// How many partitions the heads are spread over.
pub const HEAD_PARTITIONS: u8 = 16;

/// The keys of one plane.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    plane: Arc<str>,
}

impl Layout {
    pub fn new(plane: &str) -> Self {
        Self { plane: plane.into() }
    }

    pub fn plane(&self) -> &str {
        &self.plane
    }

    pub fn head(&self, key: &ApplicationKey) -> ItemKey {
        let partition = Digest::of(key.to_string()).bytes()[0] % HEAD_PARTITIONS;
        ItemKey::new(self.head_partition(partition), key.to_string())
    }

    pub fn heads(&self, partition: u8, after: Option<&ApplicationKey>) -> Range {
        Range::new(self.head_partition(partition), "").after(after.map(ToString::to_string))
    }

    fn head_partition(&self, partition: u8) -> String {
        format!("{}/heads/{partition:02}", self.plane)
    }

    pub fn application(&self, key: &ApplicationKey) -> String {
        format!("{}/application/{key}", self.plane)
    }

    fn of_application(&self, key: &ApplicationKey, kind: &str, name: &str) -> ItemKey {
        ItemKey::new(self.application(key), format!("{kind}/{name}"))
    }

    fn all_of_application(&self, key: &ApplicationKey, kind: &str, after: Option<&str>) -> Range {
        Range::new(self.application(key), format!("{kind}/")).after(after.map(|name| format!("{kind}/{name}")))
    }

    pub fn event(&self, key: &ApplicationKey, seq: u64) -> ItemKey {
        self.of_application(key, "event", &number(seq))
    }

    pub fn events(&self, key: &ApplicationKey, after_seq: u64) -> Range {
        self.all_of_application(key, "event", Some(&number(after_seq)))
    }

    pub fn marker(&self, key: &ApplicationKey, id: &Digest) -> ItemKey {
        self.of_application(key, "id", &id.hex())
    }

    pub fn lane(&self, key: &ApplicationKey, lane: &str) -> ItemKey {
        self.of_application(key, "lane", lane)
    }

    pub fn release(&self, key: &ApplicationKey, version: &str) -> ItemKey {
        self.of_application(key, "release", version)
    }

    pub fn releases(&self, key: &ApplicationKey, after: Option<&str>) -> Range {
        self.all_of_application(key, "release", after)
    }

    pub fn chart(&self, key: &ApplicationKey, version: &str) -> ItemKey {
        self.of_application(key, "chart", version)
    }

    pub fn environment(&self, key: &ApplicationKey, environment: &str) -> ItemKey {
        self.of_application(key, "environment", environment)
    }

    pub fn environments(&self, key: &ApplicationKey) -> Range {
        self.all_of_application(key, "environment", None)
    }

    pub fn deployment(&self, key: &ApplicationKey, environment: &str, cluster: &ClusterRef) -> ItemKey {
        self.of_application(key, "deployment", &place(environment, cluster))
    }

    pub fn deployments(&self, key: &ApplicationKey) -> Range {
        self.all_of_application(key, "deployment", None)
    }

    pub fn spec(&self, key: &ApplicationKey, object: &str) -> ItemKey {
        self.of_application(key, "spec", object)
    }

    pub fn specs(&self, key: &ApplicationKey) -> Range {
        self.all_of_application(key, "spec", None)
    }

    pub fn link(&self, key: &ApplicationKey, digest: &Digest) -> ItemKey {
        self.of_application(key, "link", &digest.hex())
    }

    pub fn links(&self, key: &ApplicationKey, after: Option<&str>) -> Range {
        self.all_of_application(key, "link", after)
    }

    pub fn digest(&self, namespace: &str, digest: &Digest, application: &str, version: &str) -> ItemKey {
        ItemKey::new(self.digest_partition(namespace, digest), format!("{application}/{version}"))
    }

    pub fn by_digest(&self, namespace: &str, digest: &Digest, after: Option<&str>) -> Range {
        Range::new(self.digest_partition(namespace, digest), "").after(after)
    }

    fn digest_partition(&self, namespace: &str, digest: &Digest) -> String {
        format!("{}/digest/{namespace}/{}", self.plane, digest.hex())
    }

    pub fn user(&self, namespace: &str, user: &str, time: Timestamp, application: &str, version: &str) -> ItemKey {
        let newest_first = number(u64::MAX - milliseconds(time));
        ItemKey::new(self.user_partition(namespace, user), format!("{newest_first}/{application}/{version}"))
    }

    pub fn by_user(&self, namespace: &str, user: &str, after: Option<&str>) -> Range {
        Range::new(self.user_partition(namespace, user), "").after(after)
    }

    /// A user's name may be of any length and hold anything: its digest makes the key.
    fn user_partition(&self, namespace: &str, user: &str) -> String {
        format!("{}/user/{namespace}/{}", self.plane, Digest::of(user).hex())
    }

    pub fn session(&self, id: &str) -> ItemKey {
        ItemKey::new(self.session_partition(id), "session")
    }

    pub fn chunk(&self, id: &str, epoch: u64, offset: u64) -> ItemKey {
        ItemKey::new(self.session_partition(id), format!("chunk/{}/{}", number(epoch), number(offset)))
    }

    /// The chunks of one epoch, or of all.
    pub fn chunks(&self, id: &str, epoch: Option<u64>) -> Range {
        let prefix = epoch.map_or_else(|| "chunk/".to_owned(), |epoch| format!("chunk/{}/", number(epoch)));
        Range::new(self.session_partition(id), prefix)
    }

    fn session_partition(&self, id: &str) -> String {
        format!("{}/session/{id}", self.plane)
    }

    pub fn expiry(&self, time: Timestamp, id: &str) -> ItemKey {
        ItemKey::new(self.expiry_partition(), format!("{}/{id}", number(milliseconds(time))))
    }

    pub fn expiries(&self) -> Range {
        Range::new(self.expiry_partition(), "")
    }

    fn expiry_partition(&self) -> String {
        format!("{}/expiring", self.plane)
    }
}

fn number(number: u64) -> String {
    format!("{number:020}")
}

fn milliseconds(time: Timestamp) -> u64 {
    time.as_millisecond().try_into().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        Layout::new("orbit")
    }

    #[test]
    fn the_layout_is_what_is_stored_in_real_tables() {
        let key = ApplicationKey::new("shop", "web");
        let digest = Digest::of("x");
        let time: Timestamp = "2026-01-02T03:04:05.678Z".parse().unwrap();
        let layout = layout();
        let hex = digest.hex();
        for (key, expected) in [
            (layout.head(&key), "orbit/heads/07/shop/web".to_owned()),
            (layout.event(&key, 7), "orbit/application/shop/web/event/00000000000000000007".to_owned()),
            (layout.marker(&key, &digest), format!("orbit/application/shop/web/id/{hex}")),
            (layout.lane(&key, "selection/prod"), "orbit/application/shop/web/lane/selection/prod".to_owned()),
            (layout.release(&key, "1.4.0"), "orbit/application/shop/web/release/1.4.0".to_owned()),
            (layout.chart(&key, "1.4.0"), "orbit/application/shop/web/chart/1.4.0".to_owned()),
            (layout.environment(&key, "prod"), "orbit/application/shop/web/environment/prod".to_owned()),
            (
                layout.deployment(&key, "prod", &ClusterRef::new("fleet", "eu-1", "7b0c")),
                "orbit/application/shop/web/deployment/prod/fleet/eu-1/7b0c".to_owned(),
            ),
            (
                layout.spec(&super::super::changes_of("shop"), "ImageUpload/web"),
                "orbit/application/shop/_changes/spec/ImageUpload/web".to_owned(),
            ),
            (
                layout.event(&super::super::requests_of(""), 1),
                "orbit/application//_requests/event/00000000000000000001".to_owned(),
            ),
            (layout.link(&key, &digest), format!("orbit/application/shop/web/link/{hex}")),
            (layout.digest("shop", &digest, "web", "1.4.0"), format!("orbit/digest/shop/{hex}/web/1.4.0")),
            (
                layout.user("shop", "x", time, "web", "1.4.0"),
                format!("orbit/user/shop/{hex}/18446742306386505937/web/1.4.0"),
            ),
            (layout.session("s"), "orbit/session/s/session".to_owned()),
            (layout.chunk("s", 0, 512), "orbit/session/s/chunk/00000000000000000000/00000000000000000512".to_owned()),
            (layout.expiry(time, "s"), "orbit/expiring/00000001767323045678/s".to_owned()),
        ] {
            assert_eq!(key.to_string(), expected);
        }
    }

    #[test]
    fn heads_are_spread_over_all_partitions() {
        let used: std::collections::BTreeSet<_> =
            (0..400).map(|n| layout().head(&ApplicationKey::new("shop", format!("app-{n}"))).partition).collect();
        let all: std::collections::BTreeSet<_> =
            (0..HEAD_PARTITIONS).map(|n| layout().heads(n, None).partition).collect();
        assert_eq!(used, all);
    }

    #[test]
    fn a_later_upload_sorts_first() {
        let at = |time: &str| layout().user("shop", "maria", time.parse().unwrap(), "web", "1.0.0").sort;
        assert!(at("2026-01-02T00:00:00.001Z") < at("2026-01-02T00:00:00Z"));
    }
}
