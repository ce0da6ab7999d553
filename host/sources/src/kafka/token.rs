//! OAUTHBEARER tokens of a reader, which expire.

use backon::BlockingRetryable as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use serde_json::Value;
use tokio::runtime::Handle;

use crate::{SourceError, http, secret};
use sluicebox_core::plan::{KafkaConnection, Sasl, Token};
use sluicebox_core::redact::redact;

/// The lifetime of a token that does not state one, in milliseconds.
const UNSAID: i64 = 5 * 60 * 1_000;

/// Where tokens come from.
pub(super) struct Tokens {
    name: String,
    token: Token,
    client: reqwest::Client,
    runtime: Handle,
}

/// A token.
pub(super) struct Fresh {
    /// The token's text.
    pub(super) text: String,
    /// When it expires, in milliseconds since 1970.
    pub(super) until: i64,
    /// Its subject.
    pub(super) subject: String,
}

impl Tokens {
    /// The tokens of a connection, if it uses any.
    ///
    /// # Errors
    /// The secret behind them is missing.
    pub(super) fn of(name: &str, to: &KafkaConnection, runtime: &Handle) -> Result<Option<Self>, SourceError> {
        let Some(Sasl::Token(token)) = &to.security.sasl else { return Ok(None) };
        let behind = match token {
            Token::Given(secret) => secret,
            Token::Issued { client_secret, .. } => client_secret,
        };
        // Reported now, rather than as the reason why no broker answers.
        secret::reveal(name, behind)?;
        let client = http::client(name, None)?;
        Ok(Some(Self { name: name.to_owned(), token: token.clone(), client, runtime: runtime.clone() }))
    }

    /// A fresh token. Blocks.
    pub(super) fn fresh(&self) -> Result<Fresh, String> {
        match &self.token {
            Token::Given(secret) => {
                let text = secret::reveal(&self.name, secret).map_err(|error| error.to_string())?;
                Ok(fresh(text, None))
            }
            Token::Issued { url, client_id, client_secret, scope } => {
                let secret = secret::reveal(&self.name, client_secret).map_err(|error| error.to_string())?;
                let mut form = vec![
                    ("grant_type", "client_credentials"),
                    ("client_id", client_id.as_str()),
                    ("client_secret", secret.as_str()),
                ];
                form.extend(scope.as_deref().map(|scope| ("scope", scope)));
                let asked = || self.runtime.block_on(self.ask(url, &form));
                let answer = asked.retry(http::patience()).when(|(passing, _)| *passing).call();
                answer.map_err(|(_, why)| format!("no token from {}: {why}", redact(url)))
            }
        }
    }

    /// Makes one request; an error with whether it may pass.
    async fn ask(&self, url: &str, form: &[(&str, &str)]) -> Result<Fresh, (bool, String)> {
        let passing = |error: reqwest::Error| (true, http::told(&error));
        let answer = self.client.post(url).form(form).send().await.map_err(passing)?;
        let status = answer.status();
        let told: Value = serde_json::from_str(&answer.text().await.map_err(passing)?).unwrap_or_default();
        if !status.is_success() {
            let said = told["error_description"].as_str().or(told["error"].as_str());
            let why = said.map_or_else(|| status.to_string(), |said| format!("{status}: {said}"));
            return Err((http::may_pass(status), why));
        }
        match told["access_token"].as_str() {
            Some(text) => Ok(fresh(text.to_owned(), told["expires_in"].as_i64())),
            None => Err((false, "the answer has no `access_token`".to_owned())),
        }
    }
}

/// A token with its lifetime in seconds, or as the token itself states it.
fn fresh(text: String, seconds: Option<i64>) -> Fresh {
    // Most tokens are JWTs, whose middle part is JSON. Other tokens are passed on as they are.
    let claims = text.split('.').nth(1).and_then(|claims| URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok());
    let claims: Value = claims.and_then(|claims| serde_json::from_slice(&claims).ok()).unwrap_or_default();
    let now = Utc::now().timestamp_millis();
    let until = match (seconds, claims["exp"].as_i64()) {
        (Some(seconds), _) => now.saturating_add(seconds.saturating_mul(1_000)),
        (None, Some(until)) => until.saturating_mul(1_000),
        (None, None) => now + UNSAID,
    };
    let subject = claims["sub"].as_str().unwrap_or("sluicebox").to_owned();
    Fresh { text, until, subject }
}
