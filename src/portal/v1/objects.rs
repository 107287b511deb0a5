//! The plane's objects, as the API server has them for this user.

use std::pin::pin;

use axum::{
    Json,
    extract::{FromRequestParts, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use futures::AsyncReadExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use crate::{
    api::{GROUP, VERSION},
    portal::{
        Portal, conflict,
        extract::{Asked, Named, Unread, name},
        problem::Problem,
        turns::Turn,
        visitor::Visitor,
    },
};

/// Under which name the portal writes objects.
const FIELD_MANAGER: &str = "orbit-portal";
/// Objects of a page, unless another number is asked for, and at most.
const PAGE: u32 = 100;
const MAX_PAGE: u32 = 500;
/// Bytes of a page, as the API server sends it: in memory it is several times that. Of larger objects a page has fewer.
const MAX_PAGE_BYTES: u64 = 16 << 20;

/// The kinds, by what the API server calls many of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Plural {
    /// Uploads.
    ImageUploads,
    /// Charts.
    HelmCharts,
    /// Environments' overlays.
    EnvironmentOverlays,
    /// Deliveries.
    Deliveries,
    /// Clusters.
    EphemeralClusters,
}

impl Plural {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::ImageUploads, Self::HelmCharts, Self::EnvironmentOverlays, Self::Deliveries, Self::EphemeralClusters];

    /// As in a path.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ImageUploads => "imageuploads",
            Self::HelmCharts => "helmcharts",
            Self::EnvironmentOverlays => "environmentoverlays",
            Self::Deliveries => "deliveries",
            Self::EphemeralClusters => "ephemeralclusters",
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::ImageUploads => "ImageUpload",
            Self::HelmCharts => "HelmChart",
            Self::EnvironmentOverlays => "EnvironmentOverlay",
            Self::Deliveries => "Delivery",
            Self::EphemeralClusters => "EphemeralCluster",
        }
    }
}

/// An object as the API server has it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KubernetesObject {
    /// `orbit.k8or.io/v1alpha1`
    api_version: String,
    /// As in ImageUpload.
    kind: String,
    /// What all objects have.
    metadata: ObjectMeta,
    /// What is wanted; ImageUploadSpec and so on.
    #[serde(default)]
    spec: Map<String, Value>,
    /// What is; ImageUploadStatus and so on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<Map<String, Value>>,
}

/// What all objects have. There may be more than is named here.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectMeta {
    /// Its name.
    name: String,
    /// Its namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    /// What tells it from another one that had its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uid: Option<String>,
    /// Another one with every change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resource_version: Option<String>,
    /// Another one with every change of the spec.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    generation: Option<i64>,
    /// Since when it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    creation_timestamp: Option<String>,
    /// Since when it is to go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deletion_timestamp: Option<String>,
    /// Labels.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(with = "std::collections::BTreeMap<String, String>")]
    labels: Map<String, Value>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(with = "std::collections::BTreeMap<String, String>")]
    annotations: Map<String, Value>,
    /// All else.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// A page of objects.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectList {
    /// They.
    #[schemars(with = "Vec<KubernetesObject>")]
    items: Vec<Value>,
    /// Where the cluster was when they were read.
    resource_version: String,
    /// What asks for the page that follows; none when this is the last.
    #[serde(rename = "continue", skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// An object that is to go.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Deleted {
    /// Its name.
    name: String,
}

/// Which objects.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Listing {
    /// Those with these labels, as in `team=checkout,tier!=cache`.
    label_selector: Option<String>,
    /// How many at most: 1 to 500, else 100. Of large objects there may be fewer.
    limit: Option<u32>,
    /// `continue` of the page before.
    #[serde(rename = "continue")]
    after: Option<String>,
}

/// How to write.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Writing {
    /// Only say what would become of it.
    #[serde(default)]
    dry_run: bool,
}

/// Where objects are.
#[derive(Debug)]
pub struct Place {
    /// Their namespace.
    pub namespace: String,
    /// Their kind.
    pub plural: Plural,
}

#[derive(Deserialize)]
struct PathOfKind {
    namespace: String,
    plural: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Place {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Named(PathOfKind { namespace, plural }) = Named::from_request_parts(parts, state).await?;
        Self::of(namespace, &plural)
    }
}

impl Place {
    fn of(namespace: String, plural: &str) -> Result<Self, Problem> {
        name("a namespace", &namespace)?;
        let plural = Plural::ALL.into_iter().find(|one| one.as_str() == plural);
        Ok(Self { namespace, plural: plural.ok_or_else(Problem::no_such_resource)? })
    }

    /// The path at the API server, of the kind or of one object.
    pub fn path(&self, object: Option<&str>) -> String {
        let Self { namespace, plural } = self;
        let object = object.map(|name| format!("/{name}")).unwrap_or_default();
        format!("/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{}{object}", plural.as_str())
    }
}

/// Asks the API server.
async fn ask<T: DeserializeOwned>(
    client: &kube::Client,
    method: Method,
    path: &str,
    query: &[(&str, &str)],
    body: Option<&Value>,
) -> kube::Result<T> {
    client.request(request(method, path, query, body)?).await
}

fn request(
    method: Method,
    path: &str,
    query: &[(&str, &str)],
    body: Option<&Value>,
) -> kube::Result<axum::http::Request<Vec<u8>>> {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    let uri = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    let request = axum::http::Request::builder().method(method).uri(uri);
    let request = request.header(header::CONTENT_TYPE, "application/json");
    let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
    request.body(body).map_err(kube::Error::HttpError)
}

/// A page of objects; none, where so many would be larger than a page may be.
async fn bounded_page(client: &kube::Client, path: &str, query: &[(&str, &str)]) -> kube::Result<Option<Value>> {
    let answer = client.request_stream(request(Method::GET, path, query, None)?).await?;
    let mut bytes = Vec::new();
    pin!(answer.take(MAX_PAGE_BYTES + 1)).read_to_end(&mut bytes).await.map_err(kube::Error::ReadEvents)?;
    match bytes.len() as u64 > MAX_PAGE_BYTES {
        true => Ok(None),
        false => serde_json::from_slice(&bytes).map(Some).map_err(kube::Error::SerdeError),
    }
}

/// An object without what only programs read.
pub fn shown(mut object: Value) -> Value {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    object
}

fn tagged(status: StatusCode, object: Value) -> Response {
    let version = object.pointer("/metadata/resourceVersion").and_then(Value::as_str).map(str::to_owned);
    let mut response = (status, Json(shown(object))).into_response();
    if let Some(tag) = version.and_then(|version| HeaderValue::from_str(&format!("\"{version}\"")).ok()) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// `GET …/{plural}`
pub async fn list(
    Visitor(session): Visitor,
    place: Place,
    Asked(asked): Asked<Listing>,
    _turn: Turn,
) -> Result<Json<ObjectList>, Problem> {
    let mut limit = match asked.limit.unwrap_or(PAGE) {
        limit @ 1..=MAX_PAGE => limit,
        limit => return Err(Problem::bad_request(format!("limit is {limit}: give a number from 1 to {MAX_PAGE}"))),
    };
    let mut found = loop {
        let most = limit.to_string();
        let mut query = vec![("limit", most.as_str())];
        query.extend(asked.label_selector.as_deref().map(|selector| ("labelSelector", selector)));
        query.extend(asked.after.as_deref().map(|after| ("continue", after)));
        let page = bounded_page(&session.client, &place.path(None), &query).await;
        match page.map_err(Problem::of_api_server)? {
            Some(page) => break page,
            None if limit == 1 => return Err(Problem::too_large_to_show()),
            None => limit = limit.div_ceil(4),
        }
    };
    let api_version = found["apiVersion"].take();
    let items = match found["items"].take() {
        Value::Array(items) => items,
        _ => Vec::new(),
    };
    let items = items.into_iter().map(|mut object| {
        // Those in a list do not say what they are.
        if let Some(fields) = object.as_object_mut() {
            fields.entry("apiVersion").or_insert_with(|| api_version.clone());
            fields.entry("kind").or_insert_with(|| place.plural.kind().into());
        }
        shown(object)
    });
    let text = |pointer: &str| found.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    Ok(Json(ObjectList {
        items: items.collect(),
        resource_version: text("/metadata/resourceVersion").unwrap_or_default(),
        next: text("/metadata/continue").filter(|token| !token.is_empty()),
    }))
}

/// Kind and name of an object in a path.
#[derive(Debug, Deserialize)]
pub struct PathOfObject {
    namespace: String,
    plural: String,
    name: String,
}

impl PathOfObject {
    fn read(self) -> Result<(Place, String), Problem> {
        name("an object", &self.name)?;
        Ok((Place::of(self.namespace, &self.plural)?, self.name))
    }
}

/// `GET …/{plural}/{name}`
pub async fn get(
    Visitor(session): Visitor,
    Named(path): Named<PathOfObject>,
    _turn: Turn,
) -> Result<Response, Problem> {
    let (place, name) = path.read()?;
    let object = ask(&session.client, Method::GET, &place.path(Some(&name)), &[], None).await;
    Ok(tagged(StatusCode::OK, object.map_err(Problem::of_api_server)?))
}

fn writing(writing: &Writing) -> Vec<(&'static str, &'static str)> {
    let mut query = vec![("fieldManager", FIELD_MANAGER), ("fieldValidation", "Strict")];
    if writing.dry_run {
        query.push(("dryRun", "All"));
    }
    query
}

/// An object as it is sent on: in the namespace, of the kind and name that its path says.
fn placed(place: &Place, name: Option<&str>, mut object: Value) -> Result<Value, Problem> {
    let differs = |what: &str, said: &str, path: &str| {
        Problem::bad_request(format!("{what} is {said:?}, but the request's path says {path:?}"))
    };
    let Some(fields) = object.as_object_mut() else {
        return Err(Problem::bad_request("send one object, as JSON"));
    };
    let (api_version, kind) = (format!("{GROUP}/{VERSION}"), place.plural.kind());
    for (field, expected) in [("apiVersion", api_version.as_str()), ("kind", kind)] {
        match fields.entry(field).or_insert_with(|| expected.into()).as_str() {
            Some(said) if said == expected => {}
            said => return Err(differs(field, said.unwrap_or_default(), expected)),
        }
    }
    let Some(metadata) = fields.entry("metadata").or_insert_with(|| json!({})).as_object_mut() else {
        return Err(Problem::bad_request("metadata is no object"));
    };
    metadata.remove("managedFields");
    let expected = [("namespace", Some(place.namespace.as_str())), ("name", name)];
    for (field, expected) in expected.into_iter().filter_map(|(field, expected)| Some((field, expected?))) {
        match metadata.entry(field).or_insert_with(|| expected.into()).as_str() {
            Some(said) if said == expected => {}
            said => return Err(differs(&format!("metadata.{field}"), said.unwrap_or_default(), expected)),
        }
    }
    Ok(object)
}

/// `POST …/{plural}`
pub async fn create(
    State(portal): State<Portal>,
    Visitor(session): Visitor,
    place: Place,
    Asked(asked): Asked<Writing>,
    sent: Unread,
) -> Result<Response, Problem> {
    // Not before all of it is here: whoever sends slowly keeps nobody waiting.
    let _turn = portal.turns().object(&session).await?;
    let object = placed(&place, None, sent.json()?)?;
    let created: Value = ask(&session.client, Method::POST, &place.path(None), &writing(&asked), Some(&object))
        .await
        .map_err(Problem::of_api_server)?;
    let name = created.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    tracing::info!(plural = place.plural.as_str(), namespace = place.namespace, name, asked.dry_run, "created");
    Ok(tagged(StatusCode::CREATED, created))
}

/// The resourceVersion that a request is about: one, in quotes, and nothing weaker.
fn if_match(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(tag) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let version = tag.to_str().ok().and_then(|tag| tag.strip_prefix('"')?.strip_suffix('"'));
    let version = version.filter(|version| !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit()));
    let wrong =
        || Problem::bad_request("If-Match is not an ETag that was given out here: send the one that GET answers with");
    version.map(|version| Some(version.to_owned())).ok_or_else(wrong)
}

/// `PUT …/{plural}/{name}`
pub async fn replace(
    State(portal): State<Portal>,
    Visitor(session): Visitor,
    Named(path): Named<PathOfObject>,
    headers: HeaderMap,
    Asked(asked): Asked<Writing>,
    sent: Unread,
) -> Result<Response, Problem> {
    let (place, name) = path.read()?;
    let Some(version) = if_match(&headers)? else { return Err(Problem::precondition_required()) };
    let _turn = portal.turns().object(&session).await?;
    let mut object = placed(&place, Some(&name), sent.json()?)?;
    object["metadata"]["resourceVersion"] = version.as_str().into();
    let path = place.path(Some(&name));
    let client = &session.client;
    let replaced = match version.as_str() {
        // To the API server this is no version, but it is none that anything has.
        "0" => None,
        _ => match ask::<Value>(client, Method::PUT, &path, &writing(&asked), Some(&object)).await {
            Err(kube::Error::Api(status)) if status.code == 409 => None,
            replaced => Some(replaced.map_err(Problem::of_api_server)?),
        },
    };
    match replaced {
        Some(replaced) => {
            tracing::info!(
                plural = place.plural.as_str(),
                namespace = place.namespace,
                name,
                asked.dry_run,
                "replaced"
            );
            Ok(tagged(StatusCode::OK, replaced))
        }
        None => {
            let theirs: Value = ask(client, Method::GET, &path, &[], None).await.map_err(Problem::of_api_server)?;
            Err(Problem::changed_since(conflict::between(&object, &theirs)))
        }
    }
}

/// `DELETE …/{plural}/{name}`
pub async fn delete(
    Visitor(session): Visitor,
    Named(path): Named<PathOfObject>,
    headers: HeaderMap,
    Asked(asked): Asked<Writing>,
) -> Result<Response, Problem> {
    let (place, name) = path.read()?;
    let mut options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"});
    if let Some(version) = if_match(&headers)? {
        options["preconditions"] = json!({"resourceVersion": version});
    }
    if asked.dry_run {
        options["dryRun"] = json!(["All"]);
    }
    match ask::<Value>(&session.client, Method::DELETE, &place.path(Some(&name)), &[], Some(&options)).await {
        Ok(_) => {
            tracing::info!(plural = place.plural.as_str(), namespace = place.namespace, name, asked.dry_run, "deleted");
            Ok((StatusCode::ACCEPTED, Json(Deleted { name })).into_response())
        }
        Err(kube::Error::Api(status)) if status.code == 409 => Err(Problem::changed_since(Vec::new())),
        Err(error) => Err(Problem::of_api_server(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { namespace: "shop".into(), plural: Plural::EnvironmentOverlays }
    }

    #[test]
    fn an_object_is_written_where_its_path_says() {
        let object =
            placed(&place(), Some("web.dev"), json!({"spec": {}, "metadata": {"managedFields": [{}]}})).unwrap();
        assert_eq!(
            object,
            json!({
                "apiVersion": "orbit.k8or.io/v1alpha1", "kind": "EnvironmentOverlay", "spec": {},
                "metadata": {"namespace": "shop", "name": "web.dev"},
            })
        );
        for elsewhere in [
            json!([]),
            json!({"metadata": 1}),
            json!({"kind": "Secret"}),
            json!({"apiVersion": "v1"}),
            json!({"metadata": {"namespace": "bank"}}),
            json!({"metadata": {"name": "web.prod"}}),
        ] {
            assert_eq!(placed(&place(), Some("web.dev"), elsewhere.clone()).unwrap_err().status, 400, "{elsewhere}");
        }
    }

    #[test]
    fn paths_are_of_the_planes_kinds_and_of_nothing_else() {
        assert_eq!(
            place().path(Some("web.dev")),
            "/apis/orbit.k8or.io/v1alpha1/namespaces/shop/environmentoverlays/web.dev"
        );
        for (namespace, plural) in
            [("shop", "secrets"), ("shop", "ImageUploads"), ("..", "imageuploads"), ("a/b", "imageuploads")]
        {
            assert!(Place::of(namespace.to_owned(), plural).is_err(), "{namespace} {plural}");
        }
    }

    #[test]
    fn a_precondition_is_one_version() {
        let read =
            |text: &'static str| if_match(&HeaderMap::from_iter([(header::IF_MATCH, HeaderValue::from_static(text))]));
        assert_eq!(read("\"42\"").unwrap(), Some("42".to_owned()));
        for text in ["*", "42", "W/\"42\"", "\"42\", \"43\"", "\"\"", "\"4x\""] {
            assert!(read(text).is_err(), "{text}");
        }
        assert_eq!(if_match(&HeaderMap::new()).unwrap(), None);
    }
}
