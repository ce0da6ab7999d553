//! Encodes rows as one record-batch message.

use arrow_array::RecordBatch;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::Schema;

use super::cause::Cause;

/// The most bytes of one list across the boundary.
const LIST: u64 = (1 << 28) - 1;

/// Encodes the batches of one port, one after the other, into the same memory.
pub(super) struct Encoder {
    writer: StreamWriter<Vec<u8>>,
}

impl Encoder {
    pub(super) fn new(schema: &Schema) -> Result<Self, Cause> {
        // The writer begins with the schema, which the module already has; every later write is exactly one
        // record-batch message.
        StreamWriter::try_new(Vec::new(), schema)
            .map(|writer| Self { writer })
            .map_err(|source| Cause::Encode { source })
    }

    /// Encodes one message. Only the rows of a slice are copied, not its parent.
    pub(super) fn encode(&mut self, rows: &RecordBatch) -> Result<&[u8], Cause> {
        self.writer.get_mut().clear();
        self.writer.write(rows).map_err(|source| Cause::Encode { source })?;
        let message = self.writer.get_ref();
        let actual = message.len() as u64;
        if actual > LIST {
            return Err(Cause::TooMuch { unit: "bytes", limit: LIST, actual });
        }
        Ok(message)
    }
}
