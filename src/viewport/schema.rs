//! The tables as the program knows them. `migrations/viewport` makes them, and the contract tests read and
//! fill every column of them.
//!
//! Every row belongs to one journal, as a rule that of an application, of one tenant: `namespace` and `application` are the first two columns of every
//! table, so that an application's rows can be compared, made anew and, one day, moved by themselves.

/// The version of [`project`](super::project): what was projected by an older one is made anew. Raise it with every
/// change of what an event becomes.
pub const PROJECTION_VERSION: i64 = 6;

/// A table.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// How many of its columns, from the first, make its primary key.
    pub key: usize,
    /// Its columns, those of the key first.
    pub columns: &'static [Column],
}

/// A column.
#[derive(Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// The characters of text it takes; none for a number.
    pub length: Option<usize>,
}

impl Table {
    /// The columns of the primary key.
    pub fn key_columns(&self) -> &'static [Column] {
        &self.columns[..self.key]
    }

    /// The column of this name.
    ///
    /// # Panics
    /// If there is none, which is a defect of the caller.
    pub fn column(&self, name: &str) -> &'static Column {
        self.columns
            .iter()
            .find(|column| column.name == name)
            .unwrap_or_else(|| panic!("table {} has no column {name}", self.name))
    }
}

const fn text(name: &'static str, length: usize) -> Column {
    Column { name, length: Some(length) }
}

const fn number(name: &'static str) -> Column {
    Column { name, length: None }
}

/// Every table that events are projected into; that of the cursors is the first.
pub const TABLES: [&Table; 19] = [
    &CURSORS,
    &APPLICATIONS,
    &RELEASES,
    &RELEASE_ENVIRONMENTS,
    &METADATA,
    &IMAGES,
    &IMAGE_DIGESTS,
    &UPLOADS,
    &CHARTS,
    &ENVIRONMENTS,
    &OVERLAYS,
    &OVERLAY_IMAGES,
    &DEPLOYMENTS,
    &DEPLOYMENT_IMAGES,
    &MILESTONES,
    &ARRIVALS,
    &HEALTH,
    &EVENTS,
    &REQUESTS,
];

/// Up to which event of its journal an application is projected.
pub const CURSORS: Table = Table {
    name: "cursors",
    key: 2,
    columns: &[text("namespace", 63), text("application", 63), number("seq"), text("hash", 71)],
};

/// Every application with a journal.
pub const APPLICATIONS: Table = Table {
    name: "applications",
    key: 2,
    columns: &[
        text("namespace", 63),
        text("application", 63),
        text("first_event_at", 32),
        text("last_event_at", 32),
        text("last_version", 128),
    ],
};

/// What was stored, and what its user says of it now.
pub const RELEASES: Table = Table {
    name: "releases",
    key: 3,
    columns: &[
        text("namespace", 63),
        text("application", 63),
        text("version", 128),
        text("digest", 71),
        text("stored_at", 32),
        text("stored_by", 255),
        number("stored_seq"),
        text("owner", 255),
        text("origin_revision", 128),
        text("origin_committed_at", 32),
        text("origin_url", 1024),
        text("purged_at", 32),
        text("purged_by", 255),
    ],
};

/// Where a release may go.
pub const RELEASE_ENVIRONMENTS: Table = Table {
    name: "release_environments",
    key: 4,
    columns: &[text("namespace", 63), text("application", 63), text("version", 128), text("environment", 63)],
};

/// The user's own labels of a release.
pub const METADATA: Table = Table {
    name: "metadata",
    key: 4,
    columns: &[
        text("namespace", 63),
        text("application", 63),
        text("version", 128),
        text("name", 255),
        text("value", 256),
    ],
};

/// The images of a release.
pub const IMAGES: Table = Table {
    name: "images",
    key: 4,
    columns: &[
        text("namespace", 63),
        text("application", 63),
        text("version", 128),
        text("name", 63),
        text("digest", 71),
        text("media_type", 255),
        number("size"),
        text("platforms", 1024),
    ],
};

/// Every digest an image goes by: its own, its platforms' manifests and configs.
pub const IMAGE_DIGESTS: Table = Table {
    name: "image_digests",
    key: 5,
    columns: &[
        text("namespace", 63),
        text("digest", 71),
        text("application", 63),
        text("version", 128),
        text("name", 63),
        text("image_digest", 71),
    ],
};

/// Who had what stored, from where, and whether the object that asked for it is gone.
pub const UPLOADS: Table = Table {
    name: "uploads",
    key: 3,
    columns: &[
        text("namespace", 63),
        text("application", 63),
        text("version", 128),
        text("uploaded_at", 32),
        text("uploaded_by", 255),
        text("source", 1024),
        text("release_digest", 71),
        text("deleted_at", 32),
        text("deleted_by", 255),
        text("retention", 32),
    ],
};

/// Published charts.
pub const CHARTS: Table = Table {
    name: "charts",
    key: 3,
    columns: &[
        text("namespace", 63),
        text("application", 63),
        text("version", 128),
        text("digest", 71),
        text("package_digest", 71),
        number("size"),
        text("unrestricted", 1024),
        text("published_at", 32),
    ],
};

/// What an environment is to run of an application now.
pub const ENVIRONMENTS: Table = Table {
    name: "environments",
    key: 3,
    columns: &[
        text("namespace", 63),
        text("application", 63),
        text("environment", 63),
        text("version", 128),
        text("chart_digest", 71),
        text("reason", 32),
        text("selected_at", 32),
        text("selected_by", 255),
        text("rendered_version", 128),
        text("artifact", 71),
        text("inputs_digest", 71),
        number("objects"),
        text("rendered_at", 32),
        number("rendered_seq"),
        text("removed_at", 32),
    ],
};

/// Every rendering that was published.
pub const OVERLAYS: Table = Table {
    name: "overlays",
    key: 3,
    columns: &[
        text("namespace", 63),
        text("application", 63),
        number("seq"),
        text("environment", 63),
        text("version", 128),
        text("artifact", 71),
        text("inputs_digest", 71),
        number("objects"),
        text("rendered_at", 32),
    ],
};

/// The images that a rendering runs.
pub const OVERLAY_IMAGES: Table = Table {
    name: "overlay_images",
    key: 4,
    columns: &[
        text("namespace", 63),
        text("application", 63),
        number("seq"),
        number("position"),
        text("environment", 63),
        text("reference", 1024),
        text("digest", 71),
        number("tracked"),
    ],
};

/// Every attempt to run an environment in a cluster, and how far it got. One is current in each place; its objects, or
/// those of the one before it, are running there.
pub const DEPLOYMENTS: Table = Table {
    name: "deployments",
    key: 7,
    columns: &[
        text("namespace", 63),
        text("application", 63),
        text("environment", 63),
        text("cluster_namespace", 63),
        text("cluster_name", 63),
        text("cluster_uid", 63),
        number("attempt"),
        text("version", 128),
        text("artifact", 71),
        text("state", 32),
        text("since", 32),
        text("detail", 1024),
        number("is_current"),
        number("is_running"),
        text("requested_at", 32),
        text("applied_at", 32),
        text("healthy_at", 32),
        text("degraded_at", 32),
        text("failed_at", 32),
        text("ended_at", 32),
    ],
};

/// The images that a deployment runs, as far as they are pinned.
pub const DEPLOYMENT_IMAGES: Table = Table {
    name: "deployment_images",
    key: 8,
    columns: &[
        text("namespace", 63),
        text("digest", 71),
        text("application", 63),
        text("environment", 63),
        text("cluster_namespace", 63),
        text("cluster_name", 63),
        text("cluster_uid", 63),
        number("attempt"),
    ],
};

/// When each deployment first came to a state that reports count.
pub const MILESTONES: Table = Table {
    name: "milestones",
    key: 8,
    columns: &[
        text("namespace", 63),
        text("application", 63),
        text("environment", 63),
        text("cluster_namespace", 63),
        text("cluster_name", 63),
        text("cluster_uid", 63),
        number("attempt"),
        text("state", 32),
        text("reached_at", 32),
    ],
};

/// When each version was first healthy in each environment.
pub const ARRIVALS: Table = Table {
    name: "arrivals",
    key: 4,
    columns: &[
        text("namespace", 63),
        text("application", 63),
        text("environment", 63),
        text("version", 128),
        text("healthy_at", 32),
    ],
};

/// How the health of each environment in each cluster changed, and when it ended.
pub const HEALTH: Table = Table {
    name: "health",
    key: 7,
    columns: &[
        text("namespace", 63),
        text("application", 63),
        text("environment", 63),
        text("cluster_namespace", 63),
        text("cluster_name", 63),
        text("cluster_uid", 63),
        number("seq"),
        text("state", 32),
        text("changed_at", 32),
    ],
};

/// The journals but those of requests, as a list.
pub const EVENTS: Table = Table {
    name: "events",
    key: 3,
    columns: &[
        text("namespace", 63),
        text("application", 63),
        number("seq"),
        text("id", 71),
        text("prev_hash", 71),
        text("hash", 71),
        number("schema_version"),
        text("occurred_at", 32),
        text("actor", 255),
        text("transition", 63),
        text("version", 128),
        text("environment", 63),
        text("digest", 71),
        text("detail", 1024),
        text("spec_digest", 71),
        text("about", 63),
        text("object", 320),
        text("digest_before", 71),
    ],
};

/// The journals of requests, as a list. A row is one request, or several that are the same but for the time.
pub const REQUESTS: Table = Table {
    name: "requests",
    key: 3,
    columns: &[
        text("namespace", 63),
        text("application", 63),
        number("seq"),
        text("id", 71),
        text("prev_hash", 71),
        text("hash", 71),
        text("occurred_at", 32),
        text("last_at", 32),
        text("actor", 255),
        text("address", 63),
        text("method", 32),
        text("path", 1024),
        text("about_namespace", 63),
        text("about", 63),
        number("status"),
        text("stream", 32),
        number("count"),
        text("request_id", 64),
    ],
};
