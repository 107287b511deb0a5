//! The requests that are answered, each with what is documented of it: one and the same list makes the router and the
//! OpenAPI document, so that neither knows what the other does not.

use axum::{Router, handler::Handler, http::Method, routing::MethodFilter};
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::Portal;

/// Requests with what is documented of them.
pub struct Routes {
    router: Router<Portal>,
    document: Document,
}

/// Describes a type.
type Describe = fn(&mut SchemaGenerator) -> Value;

/// What is documented of one request.
#[derive(Default)]
pub struct Operation {
    id: &'static str,
    tag: &'static str,
    summary: &'static str,
    description: &'static str,
    names: Vec<(&'static str, Describe)>,
    query: Option<Describe>,
    headers: Vec<(&'static str, &'static str, bool)>,
    body: Option<Describe>,
    answers: Vec<(u16, &'static str, Option<Content>)>,
    problems: Vec<(u16, &'static str)>,
    who: Who,
}

/// Who is answered.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Who {
    /// Whoever asks.
    Everybody,
    /// Who has a session, or sends a Kubernetes token.
    #[default]
    SignedIn,
    /// Who has a session, and the key of an upload.
    Uploader,
}

/// What an ETag is.
const VERSION: &str = "The object's resourceVersion, in quotes";
const DIGEST: &str = "The digest of what is shown, in quotes";

struct Content {
    media_type: &'static str,
    schema: Describe,
    /// What its ETag is.
    etag: Option<&'static str>,
}

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}

fn inline<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    T::json_schema(generator).to_value()
}

/// A request, by the name that clients call it by.
pub fn operation(tag: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation { id, tag, summary, ..Operation::default() }
}

impl Operation {
    /// What else there is to say.
    pub fn describe(self, description: &'static str) -> Self {
        Self { description, ..self }
    }

    /// A name in its path is one of these.
    pub fn names<T: JsonSchema>(mut self, name: &'static str) -> Self {
        self.names.push((name, schema::<T>));
        self
    }

    /// It takes these parameters after the question mark.
    pub fn query<T: JsonSchema>(self) -> Self {
        Self { query: Some(inline::<T>), ..self }
    }

    /// It takes this header.
    pub fn header(mut self, name: &'static str, description: &'static str, required: bool) -> Self {
        self.headers.push((name, description, required));
        self
    }

    /// It takes this as JSON.
    pub fn body<T: JsonSchema>(self) -> Self {
        Self { body: Some(schema::<T>), ..self }
    }

    /// It answers this as JSON.
    pub fn answers<T: JsonSchema>(mut self, status: u16, description: &'static str) -> Self {
        let content = Content { media_type: "application/json", schema: schema::<T>, etag: None };
        self.answers.push((status, description, Some(content)));
        self
    }

    /// It answers this as JSON, with an `ETag`.
    pub fn answers_tagged<T: JsonSchema>(mut self, status: u16, description: &'static str) -> Self {
        let content = Content { media_type: "application/json", schema: schema::<T>, etag: Some(VERSION) };
        self.answers.push((status, description, Some(content)));
        self
    }

    /// It answers this as JSON, with the digest that it has as `ETag`; nothing to whoever has it already.
    pub fn answers_by_digest<T: JsonSchema>(mut self, description: &'static str) -> Self {
        let content = Content { media_type: "application/json", schema: schema::<T>, etag: Some(DIGEST) };
        self.answers.push((200, description, Some(content)));
        self.unless_known()
    }

    /// It answers a file, with the digest that it has as `ETag`; nothing to whoever has it already.
    pub fn answers_file(mut self, media_type: &'static str, description: &'static str) -> Self {
        self.answers.push((200, description, Some(Content { media_type, schema: |_| json!({}), etag: Some(DIGEST) })));
        self.unless_known()
    }

    fn unless_known(self) -> Self {
        if self.headers.iter().any(|(name, ..)| *name == "If-None-Match") {
            return self;
        }
        self.header("If-None-Match", "The ETag of what one has", false).answers_nothing(304, "It is what one has")
    }

    /// It answers something else than JSON, each piece of which is this.
    pub fn streams<T: JsonSchema>(mut self, media_type: &'static str, description: &'static str) -> Self {
        self.answers.push((200, description, Some(Content { media_type, schema: schema::<T>, etag: None })));
        self
    }

    /// It answers with nothing but a status.
    pub fn answers_nothing(mut self, status: u16, description: &'static str) -> Self {
        self.answers.push((status, description, None));
        self
    }

    /// A problem that is its own.
    pub fn problem(mut self, status: u16, description: &'static str) -> Self {
        self.problems.push((status, description));
        self
    }

    /// Nobody has to be signed in for it.
    pub fn open(self) -> Self {
        Self { who: Who::Everybody, ..self }
    }

    /// It takes an upload's key besides the session: a header named Authorization may not be said in another way.
    pub fn of_uploader(self) -> Self {
        Self { who: Who::Uploader, ..self }
    }
}

struct Document {
    generator: SchemaGenerator,
    paths: Map<String, Value>,
}

impl Default for Routes {
    fn default() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        });
        let document = Document { generator: settings.into_generator(), paths: Map::new() };
        Self { router: Router::new(), document }
    }
}

impl Routes {
    /// Answers one more request.
    ///
    /// # Panics
    /// If the method is none that can be routed, which is a defect of the caller.
    pub fn on<H, T>(mut self, method: &Method, path: &str, operation: &Operation, handler: H) -> Self
    where
        H: Handler<T, Portal>,
        T: 'static,
    {
        let filter = MethodFilter::try_from(method.clone()).expect("a method that is routed");
        self.router = self.router.route(path, axum::routing::on(filter, handler));
        self.document.add(method, path, operation);
        self
    }

    /// Documents a request that something else answers.
    pub fn document(mut self, method: &Method, path: &str, operation: &Operation) -> Self {
        self.document.add(method, path, operation);
        self
    }

    /// Documents a type that no request names.
    pub fn also<T: JsonSchema>(mut self) -> Self {
        let generator = &mut self.document.generator;
        let schema = generator.subschema_for::<T>();
        // The specs of custom resources have no definition of their own, only a place where they are used.
        if schema.get("$ref").is_none() {
            generator.definitions_mut().insert(T::schema_name().into_owned(), schema.to_value());
        }
        self
    }

    /// The router.
    pub fn router(self) -> Router<Portal> {
        self.router
    }

    /// The OpenAPI 3.1 document of all that are given.
    pub fn openapi(self, problem: Describe) -> Value {
        let Document { mut generator, paths } = self.document;
        let problem = problem(&mut generator);
        let mut document = json!({
            "openapi": "3.1.0",
            "info": {
                "title": "Orbit Plane",
                "version": env!("CARGO_PKG_VERSION"),
                "description": DESCRIPTION,
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
            "security": [{"session": []}, {"token": []}],
            "paths": paths,
            "components": {
                "schemas": generator.take_definitions(true),
                "responses": {"Problem": {
                    "description": "Why it is not answered (RFC 9457)",
                    "content": {"application/problem+json": {"schema": problem}},
                }},
                "securitySchemes": {
                    "session": {
                        "type": "apiKey", "in": "cookie", "name": "__Host-orbit",
                        "description": "The session's cookie; plain `orbit` where the portal is served without TLS on loopback. What changes something needs X-Orbit-CSRF, too",
                    },
                    "token": {
                        "type": "http", "scheme": "bearer",
                        "description": "A Kubernetes token with every request, for programs",
                    },
                    "uploadKey": {
                        "type": "http", "scheme": "bearer",
                        "description": "The key whose digest the ImageUpload is annotated with",
                    },
                },
            },
        });
        leave_out_nulls(&mut document);
        document
    }
}

const DESCRIPTION: &str = "What the portal serves. All of it takes a session or a Kubernetes token but what says \
otherwise; whatever changes something in a session takes the header X-Orbit-CSRF with its token. Kubernetes RBAC decides what a user may. Lists take \
`limit` and `continue`. Every answer has an X-Request-Id.";

impl Document {
    fn add(&mut self, method: &Method, path: &str, operation: &Operation) {
        let names = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
        let mut parameters = Vec::new();
        for name in names {
            let one_of = operation.names.iter().find(|(one, _)| *one == name);
            let schema = one_of.map_or_else(|| json!({"type": "string"}), |(_, schema)| schema(&mut self.generator));
            parameters.push(json!({"name": name, "in": "path", "required": true, "schema": schema}));
        }
        if let Some(query) = operation.query {
            parameters.extend(in_query(&query(&mut self.generator)));
        }
        let mut headers = operation.headers.clone();
        match operation.who {
            Who::SignedIn if !method.is_safe() => {
                headers.push(("X-Orbit-CSRF", "The session's token; not asked of who sends a Kubernetes token", false));
            }
            Who::Uploader if !method.is_safe() => headers.push(("X-Orbit-CSRF", "The session's token", true)),
            _ => {}
        }
        for (name, description, required) in headers {
            let schema = json!({"type": "string"});
            parameters.push(json!({
                "name": name, "in": "header", "required": required, "description": description, "schema": schema,
            }));
        }
        let mut responses = Map::new();
        for (status, description, content) in &operation.answers {
            let mut response = json!({"description": description});
            if let Some(content) = content {
                let schema = (content.schema)(&mut self.generator);
                response["content"] = json!({content.media_type: {"schema": schema}});
                if let Some(description) = content.etag {
                    response["headers"] = json!({"ETag": {"description": description, "schema": {"type": "string"}}});
                }
            }
            // Several media types of one status are one response.
            match responses.get_mut(&status.to_string()) {
                Some(known) => merge(&mut known["content"], &response["content"]),
                None => drop(responses.insert(status.to_string(), response)),
            }
        }
        for (status, description) in &operation.problems {
            let mut problem = json!({"$ref": "#/components/responses/Problem"});
            problem["description"] = json!(description);
            responses.insert(status.to_string(), problem);
        }
        responses.insert("default".to_owned(), json!({"$ref": "#/components/responses/Problem"}));
        let mut documented = json!({
            "operationId": operation.id,
            "tags": [operation.tag],
            "summary": operation.summary,
            "parameters": parameters,
            "responses": responses,
        });
        if !operation.description.is_empty() {
            documented["description"] = json!(operation.description);
        }
        if let Some(body) = operation.body {
            let schema = body(&mut self.generator);
            documented["requestBody"] = json!({"required": true, "content": {"application/json": {"schema": schema}}});
        }
        match operation.who {
            Who::Everybody => documented["security"] = json!([]),
            Who::SignedIn => {}
            Who::Uploader => documented["security"] = json!([{"session": [], "uploadKey": []}]),
        }
        let path = self.paths.entry(path).or_insert_with(|| json!({}));
        path[method.as_str().to_ascii_lowercase()] = documented;
    }
}

/// Says of what may be left out that it is never null: nothing answers nulls, and the API server drops them. Clients then
/// have one way to say that something is not there, not two.
fn leave_out_nulls(document: &mut Value) {
    match document {
        Value::Array(items) => items.iter_mut().for_each(leave_out_nulls),
        Value::Object(fields) => {
            fields.values_mut().for_each(leave_out_nulls);
            let required: Vec<Value> = fields.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
            for (name, schema) in fields.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
                if !required.iter().any(|one| one == name) {
                    without_null(schema);
                }
            }
            if fields.get("in").is_some() && fields.get("required") == Some(&json!(false)) {
                fields.get_mut("schema").into_iter().for_each(without_null);
            }
        }
        _ => (),
    }
}

/// `["string", "null"]` is a string, and `anyOf` something and null is that something.
fn without_null(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|one| one != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.retain(|one| one["type"] != "null");
        if let [Value::Object(only)] = choices.as_slice() {
            let only = only.clone();
            schema.remove("anyOf");
            // What is said where it is used stands before what is said of it in general.
            for (name, value) in only {
                schema.entry(name).or_insert(value);
            }
        }
    }
}

fn merge(known: &mut Value, more: &Value) {
    if let (Some(known), Some(more)) = (known.as_object_mut(), more.as_object()) {
        known.extend(more.clone());
    }
}

/// The properties of a schema as parameters.
fn in_query(schema: &Value) -> Vec<Value> {
    let required: Vec<&Value> = schema["required"].as_array().into_iter().flatten().collect();
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties
        .map(|(name, schema)| {
            let mut schema = schema.clone();
            let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            let required = required.iter().any(|one| *one == name);
            let mut parameter = json!({"name": name, "in": "query", "required": required, "schema": schema});
            if let Some(description) = description {
                parameter["description"] = description;
            }
            parameter
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_left_out_is_never_null() {
        let mut document = json!({
            "properties": {
                "said": {"type": ["string", "null"], "description": "d"},
                "one": {"description": "here", "anyOf": [{"$ref": "#/a", "description": "there"}, {"type": "null"}]},
                "several": {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]},
                "nullable": {"type": ["string", "null"]},
            },
            "required": ["nullable"],
        });
        leave_out_nulls(&mut document);
        assert_eq!(
            document["properties"],
            json!({
                "said": {"type": "string", "description": "d"},
                "one": {"description": "here", "$ref": "#/a"},
                "several": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
                "nullable": {"type": ["string", "null"]},
            })
        );
        let mut parameter = json!({"in": "query", "required": false, "schema": {"type": ["integer", "null"]}});
        leave_out_nulls(&mut parameter);
        assert_eq!(parameter["schema"], json!({"type": "integer"}));
    }
}
