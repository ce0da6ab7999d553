//! Why a row is in quarantine: a code that people filter by, and that this program decides by.

use std::fmt;

/// Declares the codes once: the variant, its text, and what it means.
macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident = $text:literal,)*) => {
        /// What the host itself refuses a row for. The texts are stable: they stand in quarantine tables.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum RejectCode {
            $($(#[$doc])* $code,)*
        }

        impl RejectCode {
            /// Every code, in the order of their texts' families.
            pub const ALL: &[Self] = &[$(Self::$code),*];

            /// Its text, such as `csv.type`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$code => $text,)*
                }
            }

            /// The code of that text.
            pub fn read(text: &str) -> Option<Self> {
                match text {
                    $($text => Some(Self::$code),)*
                    _ => None,
                }
            }
        }
    };
}

codes! {
    /// A record has more or fewer fields than there are columns.
    CsvColumnCount = "csv.column-count",
    /// Bytes that are no text of the file's encoding.
    CsvEncoding = "csv.encoding",
    /// A required column is empty.
    CsvNull = "csv.null",
    /// A quote where none may be, so that the record is no CSV.
    CsvQuote = "csv.quote",
    /// A message that is not exactly one record.
    CsvRecords = "csv.records",
    /// A record that is longer than records may be.
    CsvTooLong = "csv.too-long",
    /// A text that is no value of its column's type.
    CsvType = "csv.type",
    /// A quoted field that is never closed.
    CsvUnclosedQuote = "csv.unclosed-quote",
    /// Values that lie deeper in each other than is read.
    JsonDepth = "json.depth",
    /// Bytes that are no UTF-8.
    JsonEncoding = "json.encoding",
    /// A record lacks a field that its contract wants.
    JsonMissingField = "json.missing-field",
    /// A record has a field that its contract does not let in.
    JsonNewField = "json.new-field",
    /// A required column is null.
    JsonNull = "json.null",
    /// A record that is not one JSON object.
    JsonSyntax = "json.syntax",
    /// A record that is longer than records may be.
    JsonTooLong = "json.too-long",
    /// A value that is none of its column's type.
    JsonType = "json.type",
    /// A required column is null.
    ParquetNull = "parquet.null",
    /// A value that is none of its column's type.
    ParquetType = "parquet.type",
    /// A message that does not begin as Avro messages do.
    AvroFrame = "avro.frame",
    /// The schema of a message lacks a field that its contract wants.
    AvroMissingField = "avro.missing-field",
    /// The schema of a message has a field that its contract does not let in.
    AvroNewField = "avro.new-field",
    /// A required column is null.
    AvroNull = "avro.null",
    /// Bytes that are no record of their schema.
    AvroRecord = "avro.record",
    /// A schema that is none, or that cannot be read into the columns.
    AvroSchema = "avro.schema",
    /// The registry does not know the schema of a message.
    AvroSchemaUnknown = "avro.schema-unknown",
    /// A value that is none of its column's type.
    AvroType = "avro.type",
    /// A captured event without a body.
    CaptureNoBody = "capture.no-body",
    /// A message without a body.
    KafkaNoBody = "kafka.no-body",
    /// A row lacks a column of its table.
    ContractMissingColumn = "contract.missing-column",
    /// A row has a value in a column that its table does not have.
    ContractNewColumn = "contract.new-column",
    /// A row has null in a column that must not be.
    ContractNotNull = "contract.not-null",
    /// A value that its table's column cannot hold.
    ContractTypeChange = "contract.type-change",
    /// A value of a partition column that Delta's log cannot write: the empty text, which it does not tell from
    /// null, or a year that has not four digits.
    PartitionValue = "partition.value",
    /// A quarantined row whose payload cannot be read as the rows that it would join.
    RetryPayload = "retry.payload",
    /// A quarantined record that is several records, or none, as its source is read now.
    RetryRecords = "retry.records",
    /// A value that its column's rule does not match.
    ExpectMatches = "expect.matches",
    /// Null where a value is expected.
    ExpectNotNull = "expect.not-null",
    /// A value that is not in the list of those that are expected.
    ExpectOneOf = "expect.one-of",
    /// A value outside of the range that is expected.
    ExpectRange = "expect.range",
    /// A value that another row of the commit has.
    ExpectUnique = "expect.unique",
}

/// How a record differs from the columns that it was to fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// A value has another type than its column.
    Type,
    /// It has a field that no column takes.
    NewField,
    /// It lacks the field of a column.
    MissingField,
}

impl RejectCode {
    /// What a decoder found to differ from the declared columns, where that is the reason: the table's contract
    /// answers to it.
    pub const fn difference(self) -> Option<Difference> {
        match self {
            Self::CsvType | Self::JsonType | Self::ParquetType | Self::AvroType => Some(Difference::Type),
            Self::JsonNewField | Self::AvroNewField => Some(Difference::NewField),
            Self::JsonMissingField | Self::AvroMissingField => Some(Difference::MissingField),
            _ => None,
        }
    }
}

impl fmt::Display for RejectCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq<&str> for RejectCode {
    fn eq(&self, text: &&str) -> bool {
        self.as_str() == *text
    }
}

/// Who refused a row, and for what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The host, by a rule of its own.
    Host(RejectCode),
    /// A module, in its own words; or a host of another version, by a code that this one does not know.
    Module(String),
}

impl Reason {
    /// Its text, as quarantine tables have it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Host(code) => code.as_str(),
            Self::Module(text) => text,
        }
    }

    /// The reason that a quarantine table names for a row that the host refused.
    pub fn of_host(text: &str) -> Self {
        RejectCode::read(text).map_or_else(|| Self::Module(text.to_owned()), Self::Host)
    }
}

impl From<RejectCode> for Reason {
    fn from(code: RejectCode) -> Self {
        Self::Host(code)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_read_back_and_is_alone() {
        let texts: std::collections::HashSet<&str> = RejectCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(texts.len(), RejectCode::ALL.len());
        for code in RejectCode::ALL {
            assert_eq!(RejectCode::read(code.as_str()), Some(*code));
            assert_eq!(Reason::of_host(code.as_str()), Reason::Host(*code));
            assert!(code.as_str().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'.' || byte == b'-'));
        }
        assert_eq!(Reason::of_host("newer.code"), Reason::Module("newer.code".to_owned()));
    }
}
