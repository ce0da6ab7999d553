//! How delimited text is written: its dialect.

use super::{Encoding, TextValues};

/// Delimited text with quoted fields, newlines in quotes included (RFC 4180), or a dialect of it.
#[derive(Clone, Debug)]
pub struct CsvFormat {
    /// Between fields; `None` goes by the file's name: a tab in `.tsv` files, a comma in all others.
    pub delimiter: Option<u8>,
    /// Around fields that hold a delimiter or newline.
    pub quote: u8,
    /// What quotes mean.
    pub quoting: Quoting,
    /// Makes the quote, the delimiter, the line end or itself behind it a character of the text.
    pub escape: Option<u8>,
    /// A line that begins with it is no record.
    pub comment: Option<u8>,
    /// Lines at the file's beginning, before the header, that are passed over.
    pub skip_rows: u64,
    /// Whether lines without any byte are passed over; `None` passes over them unless a file has one
    /// column, where such a line is a row with an empty field.
    pub skip_blank: Option<bool>,
    /// Whether a record may have fewer fields than the header, the rest being null, or empty ones beyond it.
    pub ragged: bool,
    /// Whether the first record names the columns. Without it the declared columns
    /// apply in order.
    pub header: bool,
    /// Fields with exactly this text are null, besides the empty one.
    pub nulls: Vec<String>,
    /// The character encoding.
    pub encoding: Encoding,
    /// How numbers, days, instants and truth values are written.
    pub values: Box<TextValues>,
}

/// What quotes in delimited text mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quoting {
    /// They enclose whole fields, as RFC 4180 says; any other quote makes its record a bad one.
    Strict,
    /// The same, but inside of a field that does not begin with one, a quote is a character like others.
    Lenient,
    /// Nothing: a quote is a character like others.
    None,
}

impl Default for CsvFormat {
    fn default() -> Self {
        Self {
            delimiter: None,
            quote: b'"',
            quoting: Quoting::Strict,
            escape: None,
            comment: None,
            skip_rows: 0,
            skip_blank: None,
            ragged: false,
            header: true,
            nulls: Vec::new(),
            encoding: Encoding::Utf8,
            values: Box::default(),
        }
    }
}

impl CsvFormat {
    /// The same for the file of that name: its delimiter is said.
    pub fn of_file(&self, name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
        let usual = if name.ends_with(".tsv") { b'\t' } else { b',' };
        Self { delimiter: Some(self.delimiter.unwrap_or(usual)), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::CsvFormat;

    #[test]
    fn the_delimiter_goes_by_the_files_name_where_none_is_set() {
        for (name, delimiter) in
            [("a.csv", b','), ("a.TSV", b'\t'), ("d/a.tsv.gz", b'\t'), ("tsv", b','), ("a.tsv.zst", b'\t')]
        {
            assert_eq!(CsvFormat::default().of_file(name).delimiter, Some(delimiter), "{name}");
        }
        let set = CsvFormat { delimiter: Some(b';'), ..CsvFormat::default() };
        assert_eq!(set.of_file("a.tsv").delimiter, Some(b';'));
    }
}
