//! Records that come without a file around them: messages of a stream, bodies in a container.

use arrow_schema::SchemaRef;

use super::guard::guarded;
use super::json::{JsonDecoder, cut};
use super::{BATCH_ROWS, BadRecord, Decoded, FormatError, Numbers};

/// Makes rows of payloads, each of which is one record.
///
/// One that is none does not harm those beside it: it comes back with its bytes and a reason.
pub struct Payloads(JsonDecoder);

impl Payloads {
    /// Payloads of one JSON object each, as rows of the declared columns and `_rescued`.
    ///
    /// # Errors
    /// A declared column cannot be read from JSON.
    pub fn json(columns: SchemaRef) -> Result<Self, FormatError> {
        JsonDecoder::new(Some(columns)).map(Self)
    }

    /// The columns of the rows.
    pub fn schema(&self) -> &SchemaRef {
        self.0.schema()
    }

    /// Makes rows of at most [`BATCH_ROWS`] payloads. Record numbers are indexes of payloads.
    ///
    /// # Errors
    /// None that a payload could be the reason of.
    ///
    /// # Panics
    /// With more payloads than that.
    pub fn decode(&mut self, payloads: &[&[u8]]) -> Result<Decoded, FormatError> {
        assert!(payloads.len() <= BATCH_ROWS, "{} payloads are more than a batch", payloads.len());
        let sorted = guarded(0, || self.0.decode(payloads))?;
        let numbers = match sorted.kept {
            None => Numbers::From(0),
            Some(kept) => Numbers::Each(kept.into_iter().map(|at| at as u64).collect()),
        };
        let bad = sorted.bad.into_iter().map(|(at, problem)| {
            let (kept, message) = cut(payloads[at], &problem.message);
            BadRecord { record: at as u64, line: None, reason: problem.reason, message, payload: kept.to_vec() }
        });
        Ok(Decoded { rows: sorted.rows, numbers, bad: bad.collect(), done: payloads.len() as u64 })
    }
}
