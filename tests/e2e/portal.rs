//! The portal against a real API server: people of different roles, each with a token of their own.

use std::{process::Command, sync::Arc, time::Duration};

use futures::StreamExt;
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
    rbac::v1::{Role, RoleBinding},
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use orbit_plane::{
    api::{EnvironmentOverlay, annotation},
    chart_store::{Condition, Range, SqliteTable, Table, Write},
    digest::Digest,
};
use reqwest::{Method, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    cluster::with_namespace,
    plane::{Controller, Outcome, Plane, Stores, image::Image, registry::Registry, tool},
};

const PATIENCE: Duration = Duration::from_secs(90);

/// What the chart lets each of its ClusterRoles do, as rules.
fn roles_of_the_chart() -> Vec<(String, Value)> {
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/orbit-plane");
    let rendered = Command::new(tool("helm")).args(["template", "orbit", chart]).output().unwrap();
    let text = String::from_utf8(rendered.stdout).unwrap();
    let documents = serde_yaml::Deserializer::from_str(&text).map(|document| Value::deserialize(document).unwrap());
    let name = |object: &Value| object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    documents
        .filter(|object| object["kind"] == "ClusterRole")
        .filter_map(|role| Some((name(&role).strip_prefix("orbit-")?.to_owned(), role["rules"].clone())))
        .filter(|(role, _)| ["viewer", "developer", "approver", "admin"].contains(&role.as_str()))
        .collect()
}

/// Somebody's browser.
struct Browser {
    client: reqwest::Client,
    url: String,
    cookie: String,
    csrf: String,
}

impl Browser {
    /// Signs in with a token.
    async fn sign_in(url: &str, token: &str) -> Self {
        let client = reqwest::Client::new();
        let sent = client.post(format!("{url}/api/v1/session")).json(&json!({"token": token}));
        let answer = sent.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{answer:?}");
        let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
        let session: Value = answer.json().await.unwrap();
        let csrf = session["csrfToken"].as_str().unwrap().to_owned();
        Self { client, url: url.to_owned(), cookie, csrf }
    }

    /// The same browser.
    fn of(other: &Self) -> Self {
        let Self { client, url, cookie, csrf } = other;
        Self { client: client.clone(), url: url.clone(), cookie: cookie.clone(), csrf: csrf.clone() }
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url));
        request.header(header::COOKIE, &self.cookie).header("x-orbit-csrf", &self.csrf)
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        let answer = self.request(Method::GET, path).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap_or_default())
    }

    async fn good(&self, path: &str) -> Value {
        let (status, found) = self.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {found}");
        found
    }

    async fn write(&self, method: Method, path: &str, tag: Option<&str>, body: &Value) -> (StatusCode, Value) {
        let request = self.request(method, path).json(body);
        let request = match tag {
            Some(tag) => request.header(header::IF_MATCH, tag),
            None => request,
        };
        let answer = request.send().await.unwrap();
        (answer.status(), answer.json().await.unwrap_or_default())
    }

    /// The object with its ETag.
    async fn object(&self, path: &str) -> (String, Value) {
        let answer = self.request(Method::GET, path).send().await.unwrap();
        let tag = answer.headers()[header::ETAG].to_str().unwrap().to_owned();
        (tag, answer.json().await.unwrap())
    }
}

/// A plane with a portal, and people.
struct Scene {
    plane: Plane,
    url: String,
    client: Client,
    _controller: Controller,
}

impl Scene {
    async fn of(client: Client, namespace: &str) -> Self {
        let arguments = ["--portal-address", "127.0.0.1:0"];
        let plane = Plane::new(client.clone(), namespace, Stores::Embedded, &arguments).await;
        let controller = plane.start().await;
        let line = controller.says(" portal address=").await;
        let url = line.rsplit_once("url=").unwrap().1.trim_end_matches('/').to_owned();
        Self { plane, url, client, _controller: controller }
    }

    fn path(&self, rest: &str) -> String {
        format!("/api/v1/namespaces/{}/{rest}", self.plane.namespace)
    }

    /// A token of a new account with these rights in the plane's namespace.
    async fn token(&self, name: &str, rules: Option<&Value>) -> String {
        let namespace = &self.plane.namespace;
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), namespace);
        let account: ServiceAccount = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        accounts.create(&PostParams::default(), &account).await.unwrap();
        if let Some(rules) = rules {
            let of_rbac = "rbac.authorization.k8s.io";
            let version = format!("{of_rbac}/v1");
            let role = json!({"apiVersion": version, "kind": "Role", "metadata": {"name": name}, "rules": rules});
            let binding = json!({
                "apiVersion": version, "kind": "RoleBinding", "metadata": {"name": name},
                "roleRef": {"apiGroup": of_rbac, "kind": "Role", "name": name},
                "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
            });
            let apply = PatchParams::apply("test").force();
            let roles = Api::<Role>::namespaced(self.client.clone(), namespace);
            roles.patch(name, &apply, &Patch::Apply(role)).await.unwrap();
            let bindings = Api::<RoleBinding>::namespaced(self.client.clone(), namespace);
            bindings.patch(name, &apply, &Patch::Apply(binding)).await.unwrap();
        }
        let spec = TokenRequestSpec { expiration_seconds: Some(3600), ..Default::default() };
        let request = TokenRequest { spec: Some(spec), ..Default::default() };
        let issued = accounts.create_token_request(name, &PostParams::default(), &request).await.unwrap();
        issued.status.unwrap().token.unwrap()
    }

    /// Somebody of a role of the chart, signed in.
    async fn person(&self, role: &str) -> Browser {
        let roles = roles_of_the_chart();
        let rules = roles.iter().find(|(name, _)| name == role).map(|(_, rules)| rules);
        assert!(rules.is_some() || role == "nobody", "the chart has no role orbit-{role}");
        Browser::sign_in(&self.url, &self.token(role, rules).await).await
    }
}

fn upload(image: Value, key: Option<&str>) -> Value {
    let annotations = key.map(|key| json!({annotation::UPLOAD_KEY: Digest::of(key)})).unwrap_or_default();
    json!({
        "metadata": {"name": "web", "annotations": annotations},
        "spec": {
            "application": "web", "version": "1.0.0", "environments": ["dev"],
            "images": [{"name": "main", "source": image}],
        },
    })
}

fn cluster() -> Value {
    json!({
        "metadata": {"name": "eu-1"},
        "spec": {"connection": {"kubeConfig": {"secretRef": {"name": "eu-1-kubeconfig"}}}},
    })
}

#[tokio::test]
async fn commands_ask_as_their_user() {
    with_namespace(|client, namespace| async move {
        let scene = Scene::of(client, &namespace).await;
        let registry = Registry::start().await;
        let reference = registry.push(&Image::of("1.0.0"), "shop/web", "1.0.0").await;
        scene.plane.upload("web", "1.0.0", &reference, json!({"environments": ["dev"]})).await;
        scene.plane.until_ready::<EnvironmentOverlay>("web.dev").await;
        scene.plane.until_projected().await;
        let roles = roles_of_the_chart();
        let viewer = roles.iter().find(|(name, _)| name == "viewer").map(|(_, rules)| rules);
        let (viewer, nobody) = (scene.token("viewer", viewer).await, scene.token("nobody", None).await);
        // Where the plane announces itself, whether or not it has a portal.
        let server = format!("http://{}", scene.plane.registry());
        let orbit = async |arguments: &[&str], token: &str| {
            let place = ["--namespace", &namespace, "--server", &server, "--token", token];
            scene.plane.orbit(&[arguments, &place].concat()).await
        };
        let shown = orbit(&["lifecycle", "web"], &viewer).await;
        assert!(shown.good && shown.text.contains("1.0.0"), "{}", shown.text);
        let compared = orbit(&["diff", "web", "1.0.0", "dev"], &viewer).await;
        assert!(compared.text.contains("+++ environment dev (1.0.0)"), "{}", compared.text);
        for command in [vec!["lifecycle", "web"], vec!["diff", "web", "1.0.0", "dev"]] {
            let refused = orbit(&command, &nobody).await;
            assert!(!refused.good && refused.text.contains("may not get imageuploads"), "{}", refused.text);
        }
        let (status, _) = Browser::sign_in(&scene.url, &viewer).await.get(&scene.path("applications")).await;
        assert_eq!(status, StatusCode::OK, "the same token signs in, too");
        // A token proves who sends, and that it was meant; what belongs to browsers is not asked of programs.
        let overlay = scene.path("objects/environmentoverlays/web.dev");
        let delete = reqwest::Client::new().delete(format!("{server}{overlay}?dryRun=true"));
        for (token, expected) in [(Some(viewer.as_str()), 403), (Some("guessed"), 401), (None, 401)] {
            let request = delete.try_clone().unwrap();
            let request = match token {
                Some(token) => request.bearer_auth(token),
                None => request,
            };
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), expected, "{token:?}: {}", answer.text().await.unwrap());
        }
    })
    .await;
}

#[tokio::test]
async fn every_route_is_for_those_whom_kubernetes_lets() {
    with_namespace(|client, namespace| async move {
        let scene = Scene::of(client, &namespace).await;
        let registry = Registry::start().await;
        let reference = registry.push(&Image::of("1.0.0"), "shop/web", "1.0.0").await;
        scene.plane.upload("web", "1.0.0", &reference, json!({"environments": ["dev"]})).await;
        scene.plane.until_ready::<EnvironmentOverlay>("web.dev").await;
        scene.plane.until_projected().await;
        let mut people = Vec::new();
        for role in ["nobody", "viewer", "approver", "developer", "admin"] {
            people.push(scene.person(role).await);
        }
        let digest = Digest::of("image");
        let (none, all) = ([403; 5], [403, 200, 200, 200, 200]);
        let overlay = "objects/environmentoverlays/web.dev?dryRun=true";
        let (tag, object) = people[4].object(&scene.path("objects/environmentoverlays/web.dev")).await;
        let another = |mut object: Value| {
            object["metadata"] = json!({"name": "web.prod"});
            object["spec"]["environment"] = json!("prod");
            object
        };
        let nothing = Value::Null;
        let mut table: Vec<(Method, String, Value, [u16; 5])> = [
            "applications".to_owned(),
            "applications/web/lifecycle".to_owned(),
            format!("images/{digest}"),
            format!("images/{digest}/releases"),
            format!("images/{digest}/deployments"),
            "clusters".to_owned(),
            "clusters/fleet/eu-1".to_owned(),
            "environments/dev".to_owned(),
            "uploads".to_owned(),
            "charts/web/1.0.0".to_owned(),
            "charts/web/1.0.0/archive".to_owned(),
            "overlays/web/dev/manifests".to_owned(),
            "audit".to_owned(),
            "audit?format=jsonl".to_owned(),
            "objects/imageuploads".to_owned(),
            "objects/helmcharts".to_owned(),
            "objects/environmentoverlays".to_owned(),
            "objects/deliveries".to_owned(),
            "objects/ephemeralclusters".to_owned(),
            "objects/imageuploads/web".to_owned(),
        ]
        .map(|path| (Method::GET, path, nothing.clone(), all))
        .into();
        let reference = json!({"reference": {"image": "registry.example/web:2"}});
        let mut second = upload(reference, None);
        second["metadata"]["name"] = json!("second");
        for (method, path, body, expected) in [
            (Method::POST, "objects/imageuploads?dryRun=true", second, [403, 403, 403, 201, 201]),
            (Method::DELETE, "objects/imageuploads/web?dryRun=true", nothing.clone(), [403, 403, 403, 202, 202]),
            (
                Method::POST,
                "objects/environmentoverlays?dryRun=true",
                another(object.clone()),
                [403, 403, 403, 201, 201],
            ),
            (Method::PUT, overlay, object.clone(), [403, 403, 200, 200, 200]),
            (Method::DELETE, overlay, nothing.clone(), [403, 403, 403, 403, 202]),
            (Method::POST, "objects/ephemeralclusters?dryRun=true", cluster(), [403, 403, 403, 403, 201]),
            // What is the plane's to say is nobody's.
            (Method::DELETE, "objects/deliveries/none?dryRun=true", nothing.clone(), none),
        ] {
            table.push((method, path.to_owned(), body, expected));
        }
        for (method, path, body, expected) in &table {
            for (person, expected) in people.iter().zip(expected) {
                let tag = (*method != Method::POST).then_some(tag.as_str()).filter(|_| path.contains("overlays/"));
                let answer = match *method {
                    Method::GET => person.get(&scene.path(path)).await,
                    _ => person.write(method.clone(), &scene.path(path), tag, body).await,
                };
                assert_eq!(answer.0.as_u16(), *expected, "{method} {path}: {answer:?}");
            }
            // Nobody has rights elsewhere, whatever they are here.
            let elsewhere = format!("/api/v1/namespaces/default/{path}");
            let mut body = body.clone();
            if body["metadata"]["namespace"].is_string() {
                body["metadata"]["namespace"] = json!("default");
            }
            let answer = match *method {
                Method::GET => people[4].get(&elsewhere).await,
                _ => people[4].write(method.clone(), &elsewhere, Some(tag.as_str()), &body).await,
            };
            assert_eq!(answer.0, StatusCode::FORBIDDEN, "{method} {elsewhere}: {answer:?}");
        }
        for (person, expected) in people.iter().zip([0, 1, 1, 1, 1]) {
            let found = person.good("/api/v1/namespaces").await;
            assert_eq!(found["items"].as_array().unwrap().len(), expected, "{found}");
            let watching = person.request(Method::GET, &scene.path("watch")).send().await.unwrap();
            assert_eq!(watching.status().as_u16(), if expected == 0 { 403 } else { 200 });
        }
        let (_, refused) = people[0].get(&scene.path("applications")).await;
        let detail = refused["detail"].as_str().unwrap();
        assert!(detail.contains("nobody may not get imageuploads.orbit.k8or.io"), "{detail}");

        // Their token is what they are: without it they are nobody, whatever the session says.
        let accounts: Api<ServiceAccount> = Api::namespaced(scene.client.clone(), &namespace);
        accounts.delete("developer", &Default::default()).await.unwrap();
        let gone = async {
            while people[3].get(&scene.path("objects/imageuploads")).await.0 != StatusCode::UNAUTHORIZED {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        tokio::time::timeout(PATIENCE, gone).await.expect("the API server no longer takes the token");
        assert_eq!(people[3].get("/api/v1/session").await.0, StatusCode::UNAUTHORIZED);
        let wrong = reqwest::Client::new().post(format!("{}/api/v1/session", scene.url));
        let wrong = wrong.json(&json!({"token": "eyJhbGciOiJub25lIn0.e30."})).send().await.unwrap();
        assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
    })
    .await;
}

/// What the plane made of an image: as the command line exports it, and as whoever may look at it sees it.
#[tokio::test]
async fn charts_and_manifests_are_what_the_plane_published() {
    with_namespace(|client, namespace| async move {
        let scene = Scene::of(client, &namespace).await;
        let registry = Registry::start().await;
        let reference = registry.push(&Image::of("1.0.0"), "shop/web", "1.0.0").await;
        scene.plane.upload("web", "1.0.0", &reference, json!({"environments": ["dev"]})).await;
        let overlay: EnvironmentOverlay = scene.plane.until_ready("web.dev").await;
        let artifact = overlay.status.unwrap().artifact.unwrap();
        let viewer = scene.person("viewer").await;

        let chart = viewer.good(&scene.path("charts/web/1.0.0")).await;
        let paths: Vec<&str> =
            chart["files"].as_array().unwrap().iter().map(|one| one["path"].as_str().unwrap()).collect();
        assert!(paths.contains(&"Chart.yaml") && paths.contains(&"templates/deployment.yaml"), "{paths:?}");
        let answer = viewer.request(Method::GET, &scene.path("charts/web/1.0.0/archive")).send().await.unwrap();
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/gzip");
        let tag = answer.headers()[header::ETAG].clone();
        let package = answer.bytes().await.unwrap();
        assert_eq!(json!(Digest::of(&package)), chart["package"]);
        // Helm itself takes it.
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("web-1.0.0.tgz");
        std::fs::write(&path, &package).unwrap();
        let shown = Command::new(tool("helm")).args(["show", "chart"]).arg(&path).output().unwrap();
        assert!(String::from_utf8_lossy(&shown.stdout).contains("version: 1.0.0"), "{shown:?}");
        let again = viewer.request(Method::GET, &scene.path("charts/web/1.0.0/archive"));
        let again = again.header(header::IF_NONE_MATCH, tag).send().await.unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);

        let manifests = viewer.good(&scene.path("overlays/web/dev/manifests")).await;
        assert_eq!(manifests["digest"], json!(artifact.digest));
        assert_eq!(manifests["objects"].as_array().unwrap().len(), artifact.objects as usize);
        let file = viewer.request(Method::GET, &scene.path("overlays/web/dev/manifests?format=yaml"));
        let file = file.send().await.unwrap().text().await.unwrap();
        let together: Vec<&str> =
            manifests["objects"].as_array().unwrap().iter().map(|one| one["yaml"].as_str().unwrap()).collect();
        assert_eq!(together.join("---\n"), file);
    })
    .await;
}

/// A stream of events, and what came of it so far.
struct Stream {
    bytes: futures::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    rest: String,
}

/// One message: its id, its event and its data.
#[derive(Debug)]
struct Message {
    id: String,
    event: String,
    data: Value,
}

impl Stream {
    async fn open(person: &Browser, path: &str, last: Option<&str>) -> Self {
        let request = person.request(Method::GET, path).header(header::ACCEPT, "text/event-stream");
        let request = match last {
            Some(id) => request.header("last-event-id", id),
            None => request,
        };
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{answer:?}");
        Self { bytes: answer.bytes_stream().boxed(), rest: String::new() }
    }

    /// The next message that is as asked.
    async fn until(&mut self, is_so: impl Fn(&Message) -> bool) -> Message {
        let found = async {
            loop {
                while let Some((text, rest)) = self.rest.split_once("\n\n") {
                    let field = |name: &str| {
                        let lines = text.lines().filter_map(|line| line.strip_prefix(name));
                        lines.map(|value| value.trim_start_matches(':').trim()).collect::<String>()
                    };
                    let data = serde_json::from_str(&field("data")).unwrap_or_default();
                    let message = Message { id: field("id"), event: field("event"), data };
                    self.rest = rest.to_owned();
                    if is_so(&message) {
                        return message;
                    }
                }
                let more = self.bytes.next().await.expect("the stream goes on").unwrap();
                self.rest.push_str(&String::from_utf8_lossy(&more));
            }
        };
        tokio::time::timeout(PATIENCE, found).await.expect("the message comes")
    }
}

fn is_ready(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|one| one["type"] == "Ready" && one["status"] == "True")
}

/// From an archive in the browser to the matrix, all on the portal's own address, watched as it happens.
#[tokio::test]
async fn an_image_is_uploaded_and_watched() {
    with_namespace(|client, namespace| async move {
        let scene = Scene::of(client, &namespace).await;
        let developer = Arc::new(scene.person("developer").await);
        let mut stream = Stream::open(&developer, &scene.path("watch"), None).await;
        let ready = stream.until(|message| message.event == "ready").await;
        assert_eq!(ready.data["plurals"].as_array().unwrap().len(), 5, "{ready:?}");

        let archive = Image::of("1.0.0").archive();
        let (digest, key) = (Digest::of(&archive), "a-key-that-the-browser-made");
        let image = json!({"archive": {"sha256": digest, "size": archive.len()}});
        let (status, made) =
            developer.write(Method::POST, &scene.path("objects/imageuploads"), None, &upload(image, Some(key))).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        let told = stream.until(|one| one.data["object"]["status"]["upload"]["url"].is_string()).await;
        let url: reqwest::Url = told.data["object"]["status"]["upload"]["url"].as_str().unwrap().parse().unwrap();
        let session = url.path();

        let half = archive.len() / 2;
        for (first, part) in [(0, &archive[..half]), (half, &archive[half..])] {
            let range = format!("{first}-{}", first + part.len() - 1);
            let request = developer.request(Method::PATCH, session).header(header::CONTENT_RANGE, range);
            let sent = request.bearer_auth(key).body(part.to_vec()).send().await.unwrap();
            assert_eq!(sent.status(), StatusCode::ACCEPTED, "{sent:?}");
        }
        let done = developer.request(Method::PUT, &format!("{session}?digest={digest}")).bearer_auth(key);
        assert_eq!(done.send().await.unwrap().status(), StatusCode::CREATED);

        let is_overlay = |one: &Message| one.data["plural"] == "environmentoverlays" && is_ready(&one.data["object"]);
        let overlay = stream.until(is_overlay).await;
        assert_eq!(overlay.data["name"], "web.dev");
        assert_eq!(overlay.data["object"]["metadata"].get("managedFields"), None);
        drop(stream);

        scene.plane.until_projected().await;
        let matrix = developer.good(&scene.path("applications?search=we")).await;
        assert_eq!(matrix["items"][0]["environments"][0]["version"], "1.0.0", "{matrix}");
        // What was done through the portal was done by whoever is signed in.
        let audit = developer.good(&scene.path("audit?type=stored")).await;
        let actor = format!("system:serviceaccount:{namespace}:developer");
        assert_eq!(audit["items"][0]["actor"], actor, "{audit}");

        // What happens while nobody listens is told to whoever comes back.
        let path = scene.path("objects/environmentoverlays/web.dev");
        let (tag, mut object) = developer.object(&path).await;
        object["spec"]["values"] = json!({"replicas": 3});
        let (status, replaced) = developer.write(Method::PUT, &path, Some(&tag), &object).await;
        assert_eq!(status, StatusCode::OK, "{replaced}");
        let mut stream = Stream::open(&developer, &scene.path("watch"), Some(&overlay.id)).await;
        let changed = stream.until(|one| one.data["object"]["spec"]["values"]["replicas"] == 3).await;
        assert_eq!(changed.data["type"], "MODIFIED", "{changed:?}");

        // And whoever comes too late overwrites nothing.
        object["spec"]["values"] = json!({"replicas": 5});
        let (status, refused) = developer.write(Method::PUT, &path, Some(&tag), &object).await;
        assert_eq!(status, StatusCode::PRECONDITION_FAILED, "{refused}");
        let changed = refused["changed"].as_array().unwrap();
        let replicas = changed.iter().find(|one| one["path"] == "spec.values.replicas").unwrap();
        assert_eq!((&replicas["yours"], &replicas["theirs"]), (&json!(5), &json!(3)));

        // The session's end is the stream's.
        let left = developer.write(Method::DELETE, "/api/v1/session", None, &Value::Null).await;
        assert_eq!(left.0, StatusCode::NO_CONTENT);
        let ended = async { while stream.bytes.next().await.is_some_and(|more| more.is_ok()) {} };
        tokio::time::timeout(PATIENCE, ended).await.expect("the stream ends");
    })
    .await;
}

/// Requests that no browser of good will sends.
#[tokio::test]
async fn what_no_page_of_the_portal_sends_changes_nothing() {
    with_namespace(|client, namespace| async move {
        let scene = Scene::of(client, &namespace).await;
        let developer = scene.person("developer").await;
        let path = scene.path("objects/imageuploads");
        let body = upload(json!({"reference": {"image": "registry.example/web:1"}}), None);
        for (csrf, site) in [("", "same-origin"), ("guessed", "same-origin"), (developer.csrf.as_str(), "cross-site")] {
            let request = developer.client.post(format!("{}{path}", scene.url)).json(&body);
            let request = request.header(header::COOKIE, &developer.cookie).header("x-orbit-csrf", csrf);
            let answer = request.header("sec-fetch-site", site).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{csrf} {site}");
        }
        // A session that somebody else chose.
        let planted =
            developer.client.get(format!("{}/api/v1/session", scene.url)).header(header::COOKIE, "orbit=chosen");
        assert_eq!(planted.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
        let mut long = body.clone();
        long["metadata"]["annotations"] = json!({"a": "a".repeat(2 << 20)});
        assert_eq!(developer.write(Method::POST, &path, None, &long).await.0, StatusCode::PAYLOAD_TOO_LARGE);
        for path in ["objects/secrets", "objects/imageuploads/..%2F..%2Fsecrets%2Fx", "objects/pods/x"] {
            let (status, _) = developer.get(&scene.path(path)).await;
            assert!(matches!(status.as_u16(), 400 | 404), "{path}: {status}");
        }
        let found = developer.good(&path).await;
        assert_eq!(found["items"], json!([]));
    })
    .await;
}

/// What the audit has of requests, as soon as it has one that is as asked.
async fn until_recorded(person: &Browser, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let recorded = async {
        loop {
            let found = person.good(path).await;
            if let Some(event) = found["items"].as_array().unwrap().iter().find(|event| is_so(event)) {
                return event.clone();
            }
            // Another process writes it: nothing here tells when.
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(PATIENCE, recorded).await.unwrap_or_else(|_| panic!("{path} never has it"))
}

/// Who asked for what, refused or not, and who changed which spec: all of it is in the journal, and proven.
#[tokio::test]
async fn requests_and_changes_of_specs_are_in_the_audit() {
    with_namespace(|client, namespace| async move {
        let scene = Scene::of(client, &namespace).await;
        let (nobody, developer) = (scene.person("nobody").await, scene.person("developer").await);
        let user = |name: &str| format!("system:serviceaccount:{namespace}:{name}");
        let path = scene.path("objects/environmentoverlays");
        let overlay = |replicas: u32| {
            json!({
                "metadata": {"name": "web.dev"},
                "spec": {"application": "web", "environment": "dev", "values": {"replicas": replicas}},
            })
        };
        let (status, made) = developer.write(Method::POST, &path, None, &overlay(1)).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        let object = format!("{path}/web.dev");
        let is_changed = |detail: &'static str| {
            move |event: &Value| {
                event["object"] == "EnvironmentOverlay/web.dev" && event["detail"].as_str().unwrap().contains(detail)
            }
        };
        let changes = scene.path("audit?type=changed");
        let first = until_recorded(&developer, &changes, is_changed("new, generation 1")).await;
        let (tag, mut replaced) = developer.object(&object).await;
        replaced["spec"]["values"]["replicas"] = json!(2);
        assert_eq!(developer.write(Method::PUT, &object, Some(&tag), &replaced).await.0, StatusCode::OK);
        let second = until_recorded(&developer, &changes, is_changed("generation 1 to 2")).await;
        assert_eq!((&second["actor"], &second["application"]), (&json!(user("developer")), &json!("web")), "{second}");
        assert_eq!((&second["digestBefore"], first.get("digestBefore")), (&first["digest"], None));
        assert_ne!(second["digest"], first["digest"]);

        // A wrong role, no session, a request that another site made, and one that came too late.
        assert_eq!(nobody.get(&object).await.0, StatusCode::FORBIDDEN);
        let stranger = Browser { cookie: String::new(), csrf: String::new(), ..Browser::of(&developer) };
        for _ in 0..3 {
            assert_eq!(stranger.get(&object).await.0, StatusCode::UNAUTHORIZED);
        }
        let lured = Browser { csrf: "guessed".into(), ..Browser::of(&developer) };
        assert_eq!(lured.write(Method::DELETE, &object, None, &Value::Null).await.0, StatusCode::FORBIDDEN);
        let late = developer.write(Method::PUT, &object, Some(&tag), &replaced).await;
        assert_eq!(late.0, StatusCode::PRECONDITION_FAILED);
        let requests = scene.path("audit?type=request&limit=200");
        for (actor, method, path, status) in [
            (user("developer"), "POST", &path, 201),
            (user("developer"), "PUT", &object, 200),
            (user("developer"), "PUT", &object, 412),
            (user("developer"), "DELETE", &object, 403),
            (user("nobody"), "GET", &object, 403),
            (String::new(), "GET", &object, 401),
        ] {
            let event = until_recorded(&developer, &requests, |event| {
                let request = &event["request"];
                (&event["actor"], &request["method"]) == (&json!(actor), &json!(method))
                    && (&request["path"], &request["status"]) == (&json!(path), &json!(status))
            });
            let event = event.await;
            assert_eq!((&event["address"], &event["namespace"]), (&json!("127.0.0.1"), &json!(namespace)), "{event}");
            assert!(event["request"]["id"].as_str().is_some_and(|id| id.len() == 36), "{event}");
        }
        // The page is as readable as before, and what belongs to no namespace is not for who may see one.
        let shown = developer.good(&scene.path("audit?limit=200")).await;
        assert!(shown["items"].as_array().unwrap().iter().all(|event| event["type"] != "request"), "{shown}");
        assert_eq!(developer.get("/api/v1/audit").await.0, StatusCode::FORBIDDEN);
        assert_eq!(nobody.get(&scene.path("audit?type=request")).await.0, StatusCode::FORBIDDEN);

        let Scene { plane, _controller: controller, .. } = scene;
        controller.stop().await;
        let on_stores = async |arguments: &[&str]| {
            let mut command = plane.orbit_command(arguments);
            Outcome::of(&command.env("ORBIT_DATA_DIR", plane.stores.data_dir()).output().await.unwrap())
        };
        let said = on_stores(&["audit", "verify"]).await;
        assert!(said.good && said.text.contains(&format!("{namespace}/_requests: ")), "{}", said.text);
        let lines = on_stores(&["audit", "export", "-n", ""]).await;
        assert!(lines.text.contains("/api/v1/session") && lines.text.contains(&user("nobody")), "{}", lines.text);

        // Somebody who can write the store takes himself out of it.
        let table = SqliteTable::open(&plane.stores.data_dir()).await.unwrap();
        let range = Range::new(format!("orbit/application/{namespace}/_requests"), "event/");
        let item = table.query(&range, 1).await.unwrap().remove(0);
        let forged = item.body.replace("127.0.0.1", "192.0.2.66");
        assert_ne!(forged, item.body);
        table.transact(&[Write::put(item.key, forged, Condition::Any)]).await.unwrap();
        let said = on_stores(&["audit", "verify"]).await;
        let broken = format!("event 2 of {namespace}/_requests: does not continue the chain");
        assert!(!said.good && said.text.contains(&broken), "{}", said.text);
    })
    .await;
}
