//! What clients of the web have in common here: how long they wait, when they ask again, and how they
//! say what went wrong.

use std::error::Error;
use std::iter;
use std::path::Path;
use std::time::Duration;

use backon::ExponentialBuilder;

use super::SourceError;

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(10);

/// A client for the source `name`, which also trusts the authority `ca`.
pub(super) fn client(name: &str, ca: Option<&Path>) -> Result<reqwest::Client, SourceError> {
    let absent = |path: &Path| SourceError::NoCertificate { name: name.to_owned(), path: path.display().to_string() };
    let unusable = |error: reqwest::Error| SourceError::Settings { name: name.to_owned(), reason: told(&error) };
    let mut client = reqwest::Client::builder().timeout(ANSWER);
    if let Some(path) = ca {
        let pem = std::fs::read(path).map_err(|_| absent(path))?;
        client = client.add_root_certificate(reqwest::Certificate::from_pem(&pem).map_err(unusable)?);
    }
    client.build().map_err(unusable)
}

/// When to ask again, where a later answer may be another: seven times within about ten seconds.
pub(super) fn patience() -> ExponentialBuilder {
    ExponentialBuilder::default().with_min_delay(Duration::from_millis(100)).with_max_times(7).with_jitter()
}

/// Whether a later answer may be another.
pub(super) fn may_pass(status: reqwest::StatusCode) -> bool {
    status.is_server_error() || status == reqwest::StatusCode::TOO_MANY_REQUESTS
}

/// All that an error says.
pub(super) fn told(error: &reqwest::Error) -> String {
    let words: Vec<String> = iter::successors(Some(error as &dyn Error), |error: &&dyn Error| (*error).source())
        .map(ToString::to_string)
        .collect();
    words.join(": ")
}
