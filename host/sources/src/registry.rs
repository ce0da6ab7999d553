//! A client of a Confluent schema registry.

use std::collections::BTreeMap;

use backon::BlockingRetryable as _;
use serde_json::Value;
use tokio::runtime::Handle;

use super::{SourceError, http, secret};
use sluicebox_core::plan::Registry;
use sluicebox_core::redact::redact;
use sluicebox_core::reject::RejectCode;
use sluicebox_formats::BadSchema;

/// The deepest nesting of schema references.
const DEPTH: u32 = 16;

/// A client that looks schemas up by id.
pub(super) struct SchemaRegistry {
    name: String,
    url: String,
    user: Option<(String, String)>,
    client: reqwest::Client,
    runtime: Handle,
}

/// Why a registry gave no answer.
enum Silence {
    /// A later attempt may succeed.
    Passing(String),
    /// A later attempt will fail, too.
    Lasting(String),
    /// The registry denies access.
    Refused(String),
}

/// An answer, or the registry's message that it has no such schema.
type Answer = Result<Value, String>;

impl SchemaRegistry {
    /// A client for the source `name`. No request is made yet.
    pub(super) fn new(name: &str, spec: &Registry, runtime: &Handle) -> Result<Self, SourceError> {
        let user = match &spec.user {
            Some((user, password)) => Some((user.clone(), secret::reveal(name, password)?)),
            None => None,
        };
        let client = http::client(name, spec.ca.as_deref())?;
        let url = spec.url.trim_end_matches('/').to_owned();
        Ok(Self { name: name.to_owned(), url, user, client, runtime: runtime.clone() })
    }

    /// The schema with this id as one text, with all schemas that it references; or why nothing can be decoded with
    /// it.
    ///
    /// # Errors
    /// The registry does not answer, or denies access.
    pub(super) fn schema(&self, number: u32) -> Result<Result<String, BadSchema>, SourceError> {
        let unusable = |message: String| Ok(Err(BadSchema { reason: RejectCode::AvroSchema, message }));
        let found = match self.ask(&format!("schemas/ids/{number}"))? {
            Ok(found) => found,
            Err(why) => {
                let message = format!("the registry has no schema {number}: {why}");
                return Ok(Err(BadSchema { reason: RejectCode::AvroSchemaUnknown, message }));
            }
        };
        if let Some(kind) = found["schemaType"].as_str().filter(|kind| *kind != "AVRO") {
            return unusable(format!("the schema {number} is one of {kind}, not of Avro"));
        }
        let Some(text) = found["schema"].as_str() else {
            return unusable(format!("what the registry has under {number} is no schema"));
        };
        if references(&found).is_empty() {
            return Ok(Ok(text.to_owned()));
        }
        let Ok(mut schema) = serde_json::from_str(text) else {
            return unusable(format!("the schema {number} is not JSON"));
        };
        let mut named = BTreeMap::new();
        if let Err(why) = self.collect(&found, &mut named, DEPTH)? {
            return unusable(format!("the schema {number} refers to others: {why}"));
        }
        put_in(&mut schema, &mut named, "");
        Ok(Ok(schema.to_string()))
    }

    /// Collects the schemas that a schema references, by name.
    fn collect(
        &self,
        answer: &Value,
        named: &mut BTreeMap<String, Value>,
        depth: u32,
    ) -> Result<Result<(), String>, SourceError> {
        for reference in references(answer) {
            let (Some(name), Some(subject)) = (reference["name"].as_str(), reference["subject"].as_str()) else {
                return Ok(Err("a reference has no name or no subject".to_owned()));
            };
            if named.contains_key(name) {
                continue;
            }
            if depth == 0 {
                return Ok(Err(format!("references are more than {DEPTH} deep")));
            }
            let found = match self.ask(&format!("subjects/{subject}/versions/{}", reference["version"]))? {
                Ok(found) => found,
                Err(why) => return Ok(Err(format!("the registry has no {name} ({subject}): {why}"))),
            };
            let Some(schema) = found["schema"].as_str().and_then(|text| serde_json::from_str(text).ok()) else {
                return Ok(Err(format!("what the registry has as {name} ({subject}) is no schema")));
            };
            named.insert(name.to_owned(), schema);
            if let Err(why) = self.collect(&found, named, depth - 1)? {
                return Ok(Err(why));
            }
        }
        Ok(Ok(()))
    }

    fn ask(&self, path: &str) -> Result<Answer, SourceError> {
        let asked = || self.runtime.block_on(self.ask_once(path));
        let answer = asked.retry(http::patience()).when(|silence| matches!(silence, Silence::Passing(_))).call();
        let (name, url) = (self.name.clone(), redact(&self.url));
        answer.map_err(|silence| match silence {
            Silence::Passing(reason) => SourceError::Registry { name, url, reason },
            Silence::Lasting(reason) => SourceError::NoRegistry { name, url, reason },
            Silence::Refused(reason) => SourceError::RegistryRefused { name, url, reason },
        })
    }

    async fn ask_once(&self, path: &str) -> Result<Answer, Silence> {
        let mut request = self.client.get(format!("{}/{path}", self.url));
        request = request.header("accept", "application/vnd.schemaregistry.v1+json, application/json");
        if let Some((user, password)) = &self.user {
            request = request.basic_auth(user, Some(password));
        }
        let passing = |error: reqwest::Error| Silence::Passing(http::told(&error));
        let answer = request.send().await.map_err(passing)?;
        let status = answer.status();
        let text = answer.text().await.map_err(passing)?;
        let told: Option<Value> = serde_json::from_str(&text).ok();
        let said = || {
            let message = told.as_ref().and_then(|told| told["message"].as_str());
            message.map_or_else(|| status.to_string(), str::to_owned)
        };
        match status.as_u16() {
            200 => told.map(Ok).ok_or_else(|| Silence::Lasting("the answer is not JSON".to_owned())),
            401 | 403 => Err(Silence::Refused(said())),
            // A registry's errors have a code; other servers' errors do not.
            404 | 422 if told.as_ref().is_some_and(|told| told["error_code"].is_number()) => Ok(Err(said())),
            _ if http::may_pass(status) => Err(Silence::Passing(said())),
            _ => Err(Silence::Lasting(said())),
        }
    }
}

fn references(answer: &Value) -> Vec<&Value> {
    answer["references"].as_array().map(|list| list.iter().collect()).unwrap_or_default()
}

/// Inlines each named type at its first use, because Avro wants it there and only there.
fn put_in(schema: &mut Value, named: &mut BTreeMap<String, Value>, namespace: &str) {
    match schema {
        Value::String(name) => {
            let whole =
                if name.contains('.') || namespace.is_empty() { name.clone() } else { format!("{namespace}.{name}") };
            let found = named.remove_entry(&whole).or_else(|| named.remove_entry(name.as_str()));
            if let Some((_, mut found)) = found {
                put_in(&mut found, named, "");
                *schema = found;
            }
        }
        Value::Array(kinds) => kinds.iter_mut().for_each(|kind| put_in(kind, named, namespace)),
        Value::Object(object) => {
            let own = object.get("namespace").and_then(Value::as_str).map(str::to_owned);
            let whole = object.get("name").and_then(Value::as_str).and_then(|name| name.rsplit_once('.'));
            let inner = whole.map(|(space, _)| space.to_owned()).or(own).unwrap_or_else(|| namespace.to_owned());
            for key in ["type", "items", "values"] {
                if let Some(kind) = object.get_mut(key) {
                    put_in(kind, named, &inner);
                }
            }
            if let Some(Value::Array(fields)) = object.get_mut("fields") {
                for field in fields {
                    if let Some(kind) = field.get_mut("type") {
                        put_in(kind, named, &inner);
                    }
                }
            }
        }
        _ => {}
    }
}
