//! `/api/v1`: one handler per request.

mod applications;
mod audit;
mod charts;
mod comparison;
mod manifests;
mod namespaces;
mod objects;
mod reports;
mod session;
mod watch;

#[cfg(test)]
pub mod tests;

use axum::http::Method;

use self::objects::{Deleted, KubernetesObject, ObjectList, Plural};
pub use self::session::Way;
use super::{
    problem::Problem,
    routes::{Operation, Routes, operation},
};
use crate::{
    api::{
        DeliverySpec, DeliveryStatus, EnvironmentOverlaySpec, EnvironmentOverlayStatus, EphemeralClusterSpec,
        EphemeralClusterStatus, HelmChartSpec, HelmChartStatus, ImageUploadSpec, ImageUploadStatus,
    },
    comparison::Difference,
    viewport::{Application, AuditEvent, Deployment, Environment, Holder, Lifecycle, Page, Place, Report, Upload},
};

/// Where it begins.
pub const ROOT: &str = "/api/v1";

/// Those that nobody has to be signed in for.
pub fn open() -> Routes {
    Routes::default()
        .on(
            &Method::GET,
            "/api/v1/sign-in",
            &operation("session", "getSignIn", "How to sign in").open().answers::<session::SignIn>(200, "The ways"),
            session::ways,
        )
        .on(
            &Method::POST,
            "/api/v1/session",
            &operation("session", "signIn", "Sign in with a Kubernetes token")
                .open()
                .describe("The token is passed on to the API server with everything that is done in the session, and kept in memory only. Sent as application/json; no CSRF token is needed.")
                .body::<session::Credentials>()
                .answers::<session::SignedIn>(200, "The session; its cookie is set")
                .problem(401, "The API server does not know the token")
                .problem(429, "Too many wrong ones; Retry-After says when to come back"),
            session::begin,
        )
}

/// Those that take a session.
pub fn signed_in(routes: Routes) -> Routes {
    let routes = routes
        .on(
            &Method::GET,
            "/api/v1/session",
            &operation("session", "getSession", "Who is signed in").answers::<session::SignedIn>(200, "The session"),
            session::show,
        )
        .on(
            &Method::DELETE,
            "/api/v1/session",
            &operation("session", "signOut", "Sign out").answers_nothing(204, "The session has ended"),
            session::end,
        )
        .on(
            &Method::GET,
            "/api/v1/namespaces",
            &operation("namespaces", "listNamespaces", "The namespaces in which one may list ImageUploads")
                .answers::<namespaces::Namespaces>(200, "All of them"),
            namespaces::list,
        );
    uploads(objects(artifacts(audit(applications(routes)))))
}

fn read(id: &'static str, summary: &'static str) -> Operation {
    operation("viewport", id, summary)
        .problem(403, "One may not get imageuploads in this namespace")
        .problem(503, "The Viewport does not answer")
}

fn applications(routes: Routes) -> Routes {
    use applications::{AtPage, Clusters, Ever, History, Matrix, Uploads};
    routes
        .on(
            &Method::GET,
            "/api/v1/namespaces/{namespace}/applications",
            &read("listApplications", "Which version of each application is in which environment and cluster")
                .query::<Matrix>()
                .answers::<Page<Application>>(200, "A page, in the order of names"),
            applications::matrix,
        )
        .on(
            &Method::GET,
            "/api/v1/namespaces/{namespace}/applications/{application}/lifecycle",
            &read("getLifecycle", "The history of an application, and where it stands")
                .query::<History>()
                .answers::<Lifecycle>(200, "Its events in pages, the newest first")
                .problem(404, "There is no such application"),
            applications::lifecycle,
        )
        .on(
            &Method::GET,
            "/api/v1/namespaces/{namespace}/applications/{application}/diff",
            &read("compare", "What is different between two versions or environments")
                .query::<comparison::Asked>()
                .answers::<Difference>(
                    200,
                    "Values, objects and image configuration; what could not be compared is said",
                )
                .problem(404, "One of them is not there"),
            comparison::show,
        )
        .on(
            &Method::GET,
            "/api/v1/namespaces/{namespace}/images/{digest}",
            &read("listImagePlaces", "Where an image is now")
                .query::<AtPage>()
                .answers::<Page<Place>>(200, "The environments whose rendering runs it"),
            applications::image_places,
        )
        .on(
            &Method::GET,
            "/api/v1/namespaces/{namespace}/images/{digest}/releases",
            &read("listImageReleases", "The releases that hold an image")
                .query::<AtPage>()
                .answers::<Page<Holder>>(200, "A page"),
            applications::image_holders,
        )
        .on(
            &Method::GET,
            "/api/v1/namespaces/{namespace}/images/{digest}/deployments",
            &read("listImageDeployments", "Which clusters run an image")
                .query::<Ever>()
                .answers::<Page<Deployment>>(200, "A page"),
            applications::image_deployments,
        )
        .on(
            &Method::GET,
            "/api/v1/namespaces/{namespace}/clusters",
            &read("listClusterDeployments", "What runs in which cluster")
                .query::<Clusters>()
                .answers::<Page<Deployment>>(200, "A page, cluster by cluster"),
            applications::clusters,
        )
        .on(
            &Method::GET,
            "/api/v1/namespaces/{namespace}/clusters/{clusterNamespace}/{cluster}",
            &read("listDeploymentsOfCluster", "What runs in one cluster")
                .query::<Clusters>()
                .answers::<Page<Deployment>>(200, "A page; of all that had the name, without uid"),
            applications::cluster,
        )
        .on(
            &Method::GET,
            "/api/v1/namespaces/{namespace}/environments/{environment}",
            &read("listEnvironment", "What is in an environment")
                .query::<AtPage>()
                .answers::<Page<Environment>>(200, "A page, in the order of the applications' names"),
            applications::environment,
        )
        .on(
            &Method::GET,
            "/api/v1/namespaces/{namespace}/uploads",
            &read("listUploads", "Who had what stored")
                .query::<Uploads>()
                .answers::<Page<Upload>>(200, "A page, the newest first"),
            applications::uploads,
        )
        .on(
            &Method::GET,
            "/api/v1/namespaces/{namespace}/reports",
            &read("getReport", "How deliveries go over time")
                .describe("The four measures of DORA: deployment frequency, lead time for changes, change failure rate and time to recover, of the days that are asked for, of as many before them, and day by day or week by week.")
                .query::<reports::Asked>()
                .answers::<Report>(200, "The measures"),
            reports::show,
        )
}

fn audit(routes: Routes) -> Routes {
    let of = |id, summary| {
        operation("audit", id, summary)
            .answers::<Page<AuditEvent>>(200, "A page, the newest first")
            .streams::<AuditEvent>("application/x-ndjson", "All, one JSON object a line")
            .streams::<String>("text/csv", "All, with a line of headings")
            .problem(503, "The Viewport does not answer")
    };
    routes
        .on(
            &Method::GET,
            "/api/v1/namespaces/{namespace}/audit",
            &of("listAudit", "What happened, and who did it")
                .describe("The journal's events, requests to the plane's own API only where they are asked for. With format=jsonl or format=csv all that match are sent, one a line, the newest first.")
                .query::<audit::Asked>()
                .problem(403, "One may not get imageuploads and list environmentoverlays in this namespace"),
            audit::list,
        )
        .on(
            &Method::GET,
            "/api/v1/audit",
            &of("listAuditOfAll", "What was asked of the plane that belongs to no namespace")
                .describe("Signing in and out, and whatever named no namespace that the plane knows: a request of somebody who is not signed in may name any.")
                .query::<audit::AskedOfAll>()
                .problem(403, "One may not get imageuploads and list environmentoverlays in all namespaces"),
            audit::of_all,
        )
}

fn artifacts(routes: Routes) -> Routes {
    let of = |id, summary| {
        operation("artifacts", id, summary)
            .problem(404, "It is not there: the release or the environment is unknown, or nothing is made of it yet")
            .problem(503, "A store does not answer")
    };
    routes
        .on(
            &Method::GET,
            "/api/v1/namespaces/{namespace}/charts/{application}/{version}",
            &of("getChart", "The files of a release's chart")
                .describe("Files that are no text, or too large to be shown, are named without their content.")
                .answers_by_digest::<charts::ChartFiles>("The files, in the order of their paths")
                .problem(403, "One may not get helmcharts in this namespace"),
            charts::show,
        )
        .on(
            &Method::GET,
            "/api/v1/namespaces/{namespace}/charts/{application}/{version}/archive",
            &of("downloadChart", "A release's chart, packaged as helm pull would write it")
                .answers_file("application/gzip", "The .tgz")
                .problem(403, "One may not get helmcharts in this namespace"),
            charts::download,
        )
        .on(
            &Method::GET,
            "/api/v1/namespaces/{namespace}/overlays/{application}/{environment}/manifests",
            &of("getManifests", "The manifests that were rendered last for an environment")
                .describe("What Secrets keep is not shown. With format=yaml they are sent as a file.")
                .query::<manifests::Asked>()
                .answers_by_digest::<manifests::Manifests>("The objects, in the order they are applied in")
                .answers_file("application/yaml", "All, as one YAML stream")
                .problem(403, "One may not get environmentoverlays in this namespace"),
            manifests::show,
        )
}

fn objects(routes: Routes) -> Routes {
    const COLLECTION: &str = "/api/v1/namespaces/{namespace}/objects/{plural}";
    const OBJECT: &str = "/api/v1/namespaces/{namespace}/objects/{plural}/{name}";
    let of = |id, summary| {
        operation("objects", id, summary)
            .names::<Plural>("plural")
            .describe("The API server is asked as the user; managedFields are left out.")
            .problem(403, "The API server refuses it")
    };
    let routes = routes
        .on(
            &Method::GET,
            COLLECTION,
            &of("listObjects", "Objects of a kind").query::<objects::Listing>().answers::<ObjectList>(200, "A page"),
            objects::list,
        )
        .on(
            &Method::POST,
            COLLECTION,
            &of("createObject", "Create an object")
                .query::<objects::Writing>()
                .body::<KubernetesObject>()
                .answers_tagged::<KubernetesObject>(201, "As it is now; as it would be, with dryRun")
                .problem(409, "There is one of this name")
                .problem(422, "The API server finds it invalid"),
            objects::create,
        )
        .on(
            &Method::GET,
            OBJECT,
            &of("getObject", "An object")
                .answers_tagged::<KubernetesObject>(200, "The object")
                .problem(404, "There is none"),
            objects::get,
        )
        .on(
            &Method::PUT,
            OBJECT,
            &of("replaceObject", "Replace an object")
                .query::<objects::Writing>()
                .header("If-Match", "The ETag of the object that this one was made from", true)
                .body::<KubernetesObject>()
                .answers_tagged::<KubernetesObject>(200, "As it is now; as it would be, with dryRun")
                .problem(404, "There is none")
                .problem(412, "Somebody has changed it since: `changed` says where what you sent and what is there differ")
                .problem(422, "The API server finds it invalid")
                .problem(428, "If-Match is missing"),
            objects::replace,
        )
        .on(
            &Method::DELETE,
            OBJECT,
            &of("deleteObject", "Delete an object")
                .query::<objects::Writing>()
                .header("If-Match", "The ETag that the object has to have", false)
                .answers::<Deleted>(202, "It will be gone once its end is in the journal")
                .problem(404, "There is none")
                .problem(412, "It has changed since"),
            objects::delete,
        )
        .on(
            &Method::GET,
            "/api/v1/namespaces/{namespace}/watch",
            &operation("objects", "watchObjects", "Changes of objects, as they come (server-sent events)")
                .describe("Every message has an id; a browser sends the last one as Last-Event-ID when it connects again, and nothing is missed. Event `ready` (data: Ready) comes first: from there on everything is told. Event `reset` says that what happened meanwhile cannot be told: read again what is shown, from there on all is told. Messages without a name are Change. A comment comes every 15 s.")
                .query::<watch::Asked>()
                .streams::<watch::Change>("text/event-stream", "Messages until the session ends")
                .problem(403, "One may watch none of the kinds in this namespace")
                .problem(429, "The session has too many streams open"),
            watch::stream,
        );
    routes
        .also::<watch::Ready>()
        .also::<ImageUploadSpec>()
        .also::<ImageUploadStatus>()
        .also::<HelmChartSpec>()
        .also::<HelmChartStatus>()
        .also::<EnvironmentOverlaySpec>()
        .also::<EnvironmentOverlayStatus>()
        .also::<DeliverySpec>()
        .also::<DeliveryStatus>()
        .also::<EphemeralClusterSpec>()
        .also::<EphemeralClusterStatus>()
}

/// What the registry answers on the portal's address as well.
fn uploads(routes: Routes) -> Routes {
    const SESSION: &str = "/v2/{namespace}/{application}/blobs/uploads/{session}";
    let of = |id, summary| {
        operation("uploads", id, summary)
            .describe("The path of status.upload.url of an ImageUpload, on this host. Refusals are in the words of the OCI Distribution API: {errors: [{code, message, detail}]}; Orbit-Upload-Offset says where the session stands.")
            .of_uploader()
            .problem(401, "The upload key is missing or another one, or nobody is signed in")
            .problem(404, "There is no such session any more")
    };
    routes
        .document(
            &Method::GET,
            SESSION,
            &of("getUploadSession", "How far an archive has arrived")
                .answers_nothing(204, "Orbit-Upload-Offset bytes are there"),
        )
        .document(
            &Method::PATCH,
            SESSION,
            &of("sendChunk", "Send the next bytes of an archive")
                .header("Content-Range", "Which bytes: first-last", true)
                .answers_nothing(202, "Orbit-Upload-Offset bytes are there")
                .problem(416, "These are not the next bytes"),
        )
        .document(
            &Method::PUT,
            SESSION,
            &of("completeUpload", "Say that all of an archive is there; takes ?digest=sha256:<hex>")
                .answers_nothing(201, "The archive is complete")
                .problem(416, "Bytes are missing"),
        )
        .document(
            &Method::DELETE,
            SESSION,
            &of("cancelUpload", "Give an archive up").answers_nothing(204, "Its bytes are forgotten"),
        )
}

/// Nothing is under this path.
pub async fn nothing() -> Problem {
    Problem::no_such_resource()
}

/// There is something, and it does not do that.
pub async fn not_allowed() -> Problem {
    Problem::method_not_allowed()
}
