//! Posts events over HTTP, for simulations and tests.

use tokio::runtime::Handle;

use super::{SourceError, http};
use sluicebox_core::redact::redact;

/// Posts JSON lines to a URL.
pub struct Poster {
    url: String,
    client: reqwest::Client,
    runtime: Handle,
}

impl Poster {
    /// Posts to `url`. It connects when it is first used.
    pub fn new(url: &str, runtime: &Handle) -> Self {
        Self { url: url.to_owned(), client: reqwest::Client::new(), runtime: runtime.clone() }
    }

    /// Posts lines, and waits for the answer.
    ///
    /// # Errors
    /// No server answers, or it does not accept them.
    pub fn post(&self, lines: Vec<u8>) -> Result<(), SourceError> {
        let request = self.client.post(&self.url).header("content-type", "application/x-ndjson").body(lines);
        let answer = self.runtime.block_on(async { request.send().await?.error_for_status() });
        answer.map(drop).map_err(|error| SourceError::Write { name: redact(&self.url), reason: http::told(&error) })
    }
}
