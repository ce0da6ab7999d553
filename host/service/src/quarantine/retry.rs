//! Retries rows in quarantine.

use super::error::QuarantineError;
use crate::replay::read_plan;
use crate::scratch;
use crate::service::Service;
use crate::session::Session;
use sluicebox_pipeline::retry::{self, Retried, Retry};

/// Retries the rows of a hop's quarantine, or those with one reason, with the pipeline as it is now, after finishing
/// interrupted retries. Blocks.
///
/// # Errors
/// Why the retry is refused, or what failed. Every row is then where it was, or the next retry finishes this one.
pub fn retry(
    service: &Service,
    session: &Session,
    hop: &str,
    reason: Option<&str>,
) -> Result<Vec<Retried>, QuarantineError> {
    let folder = scratch::folder()?;
    let sandbox = service.sandbox()?;
    let request = Retry {
        plan: &session.loaded.plan,
        bound: &session.bound,
        lake: &session.lake,
        sandbox: &sandbox,
        scratch: folder.path(),
        read: &read_plan,
        runtime: service.handle(),
        hop,
        reason,
    };
    Ok(retry::retry(&request)?)
}
