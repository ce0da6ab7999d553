//! Rows let in again.

use super::error::QuarantineError;
use crate::replay::read_plan;
use crate::scratch;
use crate::service::Service;
use crate::session::Session;
use sluicebox_pipeline::retry::{self, Retried, Retry};

/// Retries the rows of a hop's quarantine, or those refused for one reason, with the pipeline as it is now; first
/// finishes what earlier retries began. Blocks.
///
/// # Errors
/// What stands in the way, or what failed; then every row is where it was, or the next retry finishes this one.
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
