//! Facts to tell stories with.

use std::collections::BTreeMap;

use orbit_plane::{
    api::{
        ArchiveSource, ImageSource, Origin, OverlayImage, ReferenceSource, RetentionPolicy, SelectionReason, Workload,
    },
    chart_store::{Deployment, DeploymentState, Fact},
    digest::Digest,
    release::{ApplicationKey, ChartRecord, ClusterRef, Description, ImagePlatform, Release, StoredImage},
};

pub fn web() -> ApplicationKey {
    ApplicationKey::new("shop", "web")
}

/// An image of two platforms.
pub fn image(content: &str) -> StoredImage {
    let platform = |platform: &str| ImagePlatform {
        platform: platform.into(),
        manifest: Digest::of(format!("manifest of {content} for {platform}")),
        config: Digest::of(format!("config of {content} for {platform}")),
    };
    StoredImage {
        name: "main".into(),
        digest: Digest::of(format!("index of {content}")),
        media_type: "application/vnd.oci.image.index.v1+json".into(),
        size: 48_120_331,
        platforms: vec![platform("linux/amd64"), platform("linux/arm64")],
        blobs: Vec::new(),
    }
}

pub fn release(version: &str, content: &str) -> Release {
    Release::new("web", version, vec![image(content)], BTreeMap::new(), Workload::default())
}

pub fn stored(version: &str, content: &str) -> Fact {
    let mut release = release(version, content);
    let source = if content.contains("archive") {
        let archive = ArchiveSource { sha256: Digest::of(content), size: 1 };
        ImageSource { archive: Some(archive), ..ImageSource::default() }
    } else {
        let reference = ReferenceSource { image: format!("registry.example/{content}"), pull_secret_ref: None };
        ImageSource { reference: Some(reference), ..ImageSource::default() }
    };
    release.sources.insert("main".into(), source);
    Fact::Stored { release }
}

pub fn described(version: &str, environments: &[&str], metadata: &[(&str, &str)]) -> Fact {
    let description = Description {
        environments: environments.iter().map(|name| (*name).to_owned()).collect(),
        owner: Some("team-checkout@shop.example".into()),
        metadata: metadata.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        origin: Some(Origin {
            revision: "9f2c1e0".into(),
            committed_at: Some("2026-01-02T03:04:05.123456Z".parse().unwrap()),
            url: Some("https://git.example/shop/web".into()),
        }),
    };
    Fact::Described { version: version.into(), description }
}

pub fn charted(version: &str) -> Fact {
    let chart = ChartRecord {
        digest: Digest::of(format!("chart {version}")),
        package: Digest::of(format!("package {version}")),
        size: 5120,
        unrestricted: None,
    };
    Fact::Charted { version: version.into(), chart }
}

pub fn selected(environment: &str, version: &str) -> Fact {
    Fact::Selected {
        environment: environment.into(),
        version: version.into(),
        chart_digest: Digest::of(format!("chart {version}")),
        reason: SelectionReason::Newest,
    }
}

pub fn rendered(environment: &str, version: &str, content: &str) -> Fact {
    let own = image(content).digest;
    Fact::Rendered {
        environment: environment.into(),
        version: Some(version.into()),
        artifact: Digest::of(format!("artifact {environment} {version}")),
        inputs_digest: Digest::of(format!("inputs {environment} {version}")),
        objects: 6,
        images: vec![
            OverlayImage { reference: format!("registry.example/shop/web@{own}"), digest: Some(own), tracked: true },
            OverlayImage { reference: "busybox:1".into(), digest: None, tracked: false },
        ],
    }
}

pub fn removed(environment: &str) -> Fact {
    Fact::EnvironmentRemoved { environment: environment.into() }
}

pub fn cluster(name: &str) -> ClusterRef {
    ClusterRef::new("fleet", name, format!("uid of {name}"))
}

/// Of what [`rendered`] tells of the same environment and version.
pub fn deployed(environment: &str, cluster: &ClusterRef, version: &str, content: &str, state: DeploymentState) -> Fact {
    Fact::Deployment(Deployment {
        environment: environment.into(),
        cluster: cluster.clone(),
        version: Some(version.into()),
        artifact: Digest::of(format!("artifact {environment} {version}")),
        images: vec![image(content).digest],
        state,
        inventory: None,
        detail: Some(format!("{} of it", state.as_str())),
        attempt: 0,
        replaces: None,
    })
}

/// All the way of a version into a cluster.
pub fn rolled_out(environment: &str, cluster: &ClusterRef, version: &str, content: &str) -> Vec<(&'static str, Fact)> {
    use DeploymentState::{Applied, Healthy, Requested};
    let states = [Requested, Applied, Healthy];
    states.map(|state| ("orbit-plane", deployed(environment, cluster, version, content, state))).into()
}

pub fn upload_deleted(version: &str) -> Fact {
    Fact::UploadDeleted { upload: "web".into(), version: version.into(), retention_policy: RetentionPolicy::Retain }
}

pub fn purged(version: &str, content: &str) -> Fact {
    Fact::Purged { version: version.into(), release_digest: release(version, content).digest }
}

/// A release that goes to dev and prod.
pub fn released(version: &str, content: &str) -> Vec<(&'static str, Fact)> {
    vec![
        ("maria", stored(version, content)),
        ("maria", described(version, &["dev", "prod"], &[("team", "checkout")])),
        ("orbit-plane", charted(version)),
        ("orbit-plane", selected("dev", version)),
        ("orbit-plane", rendered("dev", version, content)),
        ("jonas", selected("prod", version)),
        ("orbit-plane", rendered("prod", version, content)),
    ]
}

/// Everything that can happen to an application.
pub fn everything() -> Vec<(&'static str, Fact)> {
    let mut facts = released("1.4.0", "web:1.4.0");
    facts.extend(released("1.5.0", "web:1.5.0"));
    facts.extend([
        ("jonas", described("1.5.0", &["dev"], &[("team", "payments"), ("ticket", "ORB-7")])),
        ("jonas", selected("prod", "1.4.0")),
        ("maria", removed("dev")),
        ("maria", upload_deleted("1.4.0")),
        ("maria", stored("1.6.0", "web.archive")),
        ("maria", purged("1.6.0", "web.archive")),
        ("orbit-plane", selected("dev", "1.5.0")),
    ]);
    // In one cluster 1.5.0 fails and is rolled back; another is lost while it goes there, a third one cleaned up.
    let (eu, us, us_2) = (cluster("eu-1"), cluster("us-1"), cluster("us-2"));
    let of =
        |cluster, version, state| ("orbit-plane", deployed("prod", cluster, version, &format!("web:{version}"), state));
    for cluster in [&eu, &us, &us_2] {
        facts.extend(rolled_out("prod", cluster, "1.4.0", "web:1.4.0"));
    }
    facts.extend([
        of(&eu, "1.5.0", DeploymentState::Requested),
        of(&eu, "1.5.0", DeploymentState::Applied),
        of(&eu, "1.5.0", DeploymentState::Degraded),
        of(&eu, "1.5.0", DeploymentState::Failed),
        of(&eu, "1.5.0", DeploymentState::RolledBack),
    ]);
    facts.extend(rolled_out("prod", &eu, "1.4.0", "web:1.4.0"));
    facts.extend([
        of(&us, "1.5.0", DeploymentState::Requested),
        of(&us, "1.5.0", DeploymentState::Lost),
        of(&us_2, "1.4.0", DeploymentState::Removed),
    ]);
    facts
}
