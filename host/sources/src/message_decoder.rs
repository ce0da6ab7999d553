//! Decodes message bodies to rows, with the writer schemas that they need.

use std::time::{Duration, Instant};

use arrow_schema::SchemaRef;
use tokio::runtime::Handle;

use super::SourceError;
use super::registry::SchemaRegistry;
use sluicebox_core::batch::Lane;
use sluicebox_core::plan::{AvroSchemas, Demands, MessageFormat, Timestamps};
use sluicebox_formats::{FormatError, MessageDecoder, Messages};

/// The time after which a registry is asked again for a schema that it did not have.
const ASK_AGAIN: Duration = Duration::from_secs(30);

/// Decodes bodies, and fetches the schemas that it needs.
pub(super) struct BodyDecoder {
    name: String,
    decoder: MessageDecoder,
    registry: Option<SchemaRegistry>,
    asked: Instant,
}

impl BodyDecoder {
    /// Decodes the bodies of the source `name`, whose messages come from `origin`.
    ///
    /// # Errors
    /// A schema file or a secret is missing.
    pub(super) fn open(
        name: &str,
        origin: &str,
        format: &MessageFormat,
        columns: &SchemaRef,
        runtime: &Handle,
    ) -> Result<Self, SourceError> {
        let decoder = decoder(name, origin, format, columns)?;
        let registry = match format {
            MessageFormat::Avro(AvroSchemas::Registry(spec)) => Some(SchemaRegistry::new(name, spec, runtime)?),
            _ => None,
        };
        Ok(Self { name: name.to_owned(), decoder, registry, asked: Instant::now() })
    }

    /// The same decoder with the demands of a contract.
    pub(super) fn demanding(self, demands: Demands) -> Self {
        Self { decoder: self.decoder.demanding(demands), ..self }
    }

    /// The same for times with digits below microseconds.
    pub(super) fn timestamps(self, timestamps: Timestamps) -> Self {
        Self { decoder: self.decoder.timestamps(timestamps), ..self }
    }

    /// Decodes bodies of one lane, at most [`sluicebox_formats::BATCH_ROWS`] of them.
    ///
    /// # Errors
    /// A schema registry does not answer, or decoding failed as a whole. Bodies that fail by themselves are in
    /// [`Messages::bad`].
    pub(super) fn decode(&mut self, lane: &Lane, bodies: &[&[u8]]) -> Result<Messages, SourceError> {
        if let Some(registry) = &self.registry {
            if self.asked.elapsed() >= ASK_AGAIN {
                self.asked = Instant::now();
                self.decoder.forget_bad_schemas();
            }
            for number in self.decoder.unknown_schemas(bodies) {
                let schema = registry.schema(number)?;
                self.decoder.learn_schema(number, schema.as_deref().map_err(Clone::clone));
            }
        }
        self.decoder.decode(bodies).map_err(|error| self.failed(lane, error))
    }

    /// The error of a whole lane.
    pub(super) fn failed(&self, lane: &Lane, source: FormatError) -> SourceError {
        SourceError::Message { name: self.name.clone(), lane: lane.to_string(), source: Box::new(source) }
    }
}

/// Checks the settings of a decoder before there are messages.
///
/// # Errors
/// The settings cannot work.
pub(super) fn check(name: &str, origin: &str, format: &MessageFormat, columns: &SchemaRef) -> Result<(), SourceError> {
    decoder(name, origin, format, columns).map(drop)
}

fn decoder(
    name: &str,
    origin: &str,
    format: &MessageFormat,
    columns: &SchemaRef,
) -> Result<MessageDecoder, SourceError> {
    MessageDecoder::new(format, columns).map_err(|source| SourceError::Message {
        name: name.to_owned(),
        lane: origin.to_owned(),
        source: Box::new(source),
    })
}
