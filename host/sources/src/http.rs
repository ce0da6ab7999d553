//! The HTTP client: timeouts, retries and error messages for all requests of this crate.

use std::error::Error;
use std::iter;
use std::path::Path;
use std::time::Duration;

use backon::ExponentialBuilder;

use super::SourceError;
use sluicebox_core::redact::redact;

/// The timeout of one request.
const ANSWER: Duration = Duration::from_secs(10);

/// A client for the source `name` that also trusts the certificate authority `ca`.
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

/// The retry policy of requests that may succeed later: seven attempts within about ten seconds.
pub(super) fn patience() -> ExponentialBuilder {
    ExponentialBuilder::default().with_min_delay(Duration::from_millis(100)).with_max_times(7).with_jitter()
}

/// Whether a request with this status may succeed later.
pub(super) fn may_pass(status: reqwest::StatusCode) -> bool {
    status.is_server_error() || status == reqwest::StatusCode::TOO_MANY_REQUESTS
}

/// The message of an error with its causes.
pub(super) fn told(error: &reqwest::Error) -> String {
    let words: Vec<String> = iter::successors(Some(error as &dyn Error), |error: &&dyn Error| (*error).source())
        .map(ToString::to_string)
        .collect();
    redact(&words.join(": "))
}
