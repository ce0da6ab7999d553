//! The texts of one column: which types give every one of them back.

use std::sync::Arc;

use arrow_schema::{DataType, Field, TimeUnit};

use super::numbers::{Against, Numbers};
use super::{Evidence, InferredColumn};
use crate::csv::excerpt;
use crate::exact;
use crate::plain::type_name;
use crate::reading::Reading;
use crate::scalar;

/// Texts that are kept as examples.
const EXAMPLES: usize = 3;

/// What was seen of a column's texts.
#[derive(Debug)]
pub(crate) struct Seen {
    reading: Reading,
    evidence: Evidence,
    boolean: Option<Against>,
    number: Option<Against>,
    date: Option<Against>,
    timestamp: Option<Against>,
    numbers: Numbers,
}

impl Seen {
    pub(crate) fn new(reading: Reading) -> Self {
        Self {
            reading,
            evidence: Evidence::default(),
            boolean: None,
            number: None,
            date: None,
            timestamp: None,
            numbers: Numbers::default(),
        }
    }

    pub(crate) fn add_null(&mut self) {
        self.evidence.nulls += 1;
    }

    /// Takes a text of record `record` of `file`, counted from 0.
    pub(crate) fn add(&mut self, text: &[u8], file: &str, record: u64) {
        let after = self.evidence.values;
        self.evidence.values += 1;
        if after < 1_000 && self.evidence.examples.len() < EXAMPLES {
            let example = excerpt(text);
            if !self.evidence.examples.contains(&example) {
                self.evidence.examples.push(example);
            }
        }
        let text = text.trim_ascii();
        if text.is_empty() {
            // A text of spaces alone, or none in quotes: no other type has it.
            self.evidence.values -= 1;
            self.evidence.nulls += 1;
            return;
        }
        let against = || Against { after, text: excerpt(text), place: format!("{file}, record {}", record + 1) };
        let form = self.reading.form.clone();
        if self.number.is_none() {
            let plain = form.as_ref().map_or_else(|| Some(text.into()), |form| form.number(text));
            if !plain.is_some_and(|plain| self.numbers.add(&plain, &against)) {
                self.number = Some(against());
            }
        }
        if self.boolean.is_none() {
            let read = form.as_ref().map_or_else(|| exact::boolean(text), |form| form.boolean(text, exact::boolean));
            self.boolean = read.is_none().then(&against);
        }
        if self.date.is_none() {
            let read = form.as_ref().map_or_else(|| exact::date(text), |form| form.date(text, exact::date));
            self.date = read.is_none().then(&against);
        }
        if self.timestamp.is_none() {
            let usual = |text: &[u8]| if text.len() < 10 { None } else { exact::timestamp(text) };
            let read = form.as_ref().map_or_else(|| usual(text), |form| form.timestamp(text, usual));
            self.timestamp = read.is_none().then(&against);
        }
    }

    /// The column, with the narrowest type that gives all of the texts back.
    pub(crate) fn column(self, name: &str) -> InferredColumn {
        let utc = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let seen = self.evidence.values > 0;
        let form = self.reading.form.as_deref();
        // A number of seconds is a number unless somebody said that it is an instant.
        let epoch = form.is_some_and(|form| form.has_epoch());
        let kind = if !seen {
            DataType::Utf8
        } else if self.boolean.is_none() {
            DataType::Boolean
        } else if epoch && self.timestamp.is_none() {
            utc()
        } else if form.is_some_and(|form| form.has_dates()) && self.date.is_none() {
            DataType::Date32
        } else if form.is_some_and(|form| form.has_timestamps()) && self.timestamp.is_none() {
            utc()
        } else if self.number.is_none() {
            self.numbers.kind()
        } else if self.date.is_none() {
            DataType::Date32
        } else if self.timestamp.is_none() {
            utc()
        } else {
            DataType::Utf8
        };
        let mut evidence = self.evidence.clone();
        evidence.against = if seen { self.against(&kind) } else { vec!["no value was seen".to_owned()] };
        InferredColumn { field: Arc::new(Field::new(name, kind, true)), evidence: Some(evidence) }
    }

    /// Why the column is not of the types that some of its values are of.
    fn against(&self, kind: &DataType) -> Vec<String> {
        let mut told = Vec::new();
        if *kind == DataType::Utf8 {
            let others = [
                (&self.boolean, DataType::Boolean),
                (&self.number, DataType::Float64),
                (&self.date, DataType::Date32),
                (&self.timestamp, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
            ];
            for (against, other) in others {
                let Some(against) = against else { continue };
                let number = other == DataType::Float64;
                let back = if number { self.comes_back(&against.text) } else { None };
                match back {
                    Some((kind, back)) => told.push(format!(
                        "not {kind}: `{}` ({}) would come back as `{back}`",
                        against.text, against.place
                    )),
                    None if against.after > 0 => {
                        let other = if number { "a number".to_owned() } else { type_name(&other) };
                        told.push(format!("not {other}: `{}` ({}) is none", against.text, against.place));
                    }
                    None => {}
                }
            }
        }
        if self.number.is_none() {
            told.extend(self.numbers.against(kind));
        }
        told
    }

    /// What a text that looks like a number would become as one.
    fn comes_back(&self, text: &str) -> Option<(String, String)> {
        let reading = Reading { exact: false, ..self.reading.clone() };
        [DataType::Int64, DataType::Float64]
            .into_iter()
            .find_map(|kind| Some((type_name(&kind), scalar::shown(text.as_bytes(), &kind, &reading)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluicebox_core::plan::{EpochUnit, TimeForm, ValueForm};

    fn column_of(form: &ValueForm, texts: &[&str]) -> InferredColumn {
        let mut seen = Seen::new(Reading::new(true, form));
        for (record, text) in texts.iter().enumerate() {
            seen.add(text.as_bytes(), "a.csv", record as u64);
        }
        seen.column("c")
    }

    fn kind(texts: &[&str]) -> String {
        type_name(column_of(&ValueForm::default(), texts).field.data_type())
    }

    #[test]
    fn a_type_gives_every_text_back() {
        for (texts, expected) in [
            (&["1", "-2", "9223372036854775807"][..], "int64"),
            (&["1", "9223372036854775808"], "decimal(38,0)"),
            (&["123456789012345678901234567890123456789"], "string"),
            (&["80331", "01067"], "string"),
            (&["4930", "+49"], "string"),
            (&["12E4", "45E6"], "string"),
            (&["888E010010", "101"], "string"),
            (&["1.50", "0.25", "-3.00"], "decimal(18,2)"),
            (&["1234567890123456.78", "0.10"], "decimal(38,2)"),
            (&["10.5", "3.25"], "float64"),
            (&["1.5", "3"], "float64"),
            (&["1.5", "2.0"], "float64"),
            (&["1.1", "1.10"], "string"),
            (&["10.50", "5"], "decimal(18,2)"),
            (&["0.1", "NaN", "1.2e-05"], "float64"),
            (&["nan", "NaN"], "string"),
            (&["1", "NaN"], "float64"),
            (&["9007199254740993", "0.5"], "decimal(38,1)"),
            (&["1e999", "1.5"], "string"),
            (&["true", "False"], "bool"),
            (&["yes", "no"], "string"),
            (&["0", "1"], "int64"),
            (&["2024-01-31", "1999-12-01"], "date"),
            (&["2024-01-31", "2024-01-31T10:00:00Z"], "timestamp"),
            (&["2024-01-31 10:00:00.1234567"], "string"),
            (&["31.12.2024"], "string"),
            (&[""], "string"),
            (&["", "7"], "int64"),
        ] {
            assert_eq!(kind(texts), expected, "{texts:?}");
        }
    }

    #[test]
    fn other_ways_of_writing() {
        let german = ValueForm {
            decimal: Some(b','),
            thousands: Some('.'),
            dates: vec![TimeForm::new("%d.%m.%Y").unwrap()],
            true_values: vec!["ja".to_owned()],
            false_values: vec!["nein".to_owned()],
            ..ValueForm::default()
        };
        let epoch = ValueForm { epoch: Some(EpochUnit::Milliseconds), ..ValueForm::default() };
        for (form, texts, expected) in [
            (&german, &["1.234,56", "0,50"][..], "decimal(18,2)"),
            (&german, &["1.234", "17"], "int64"),
            (&german, &["1.5"], "string"),
            (&german, &["31.12.2024"], "date"),
            (&german, &["Ja", "nein"], "bool"),
            (&epoch, &["1700000000000"], "timestamp"),
            (&epoch, &["soon"], "string"),
        ] {
            assert_eq!(type_name(column_of(form, texts).field.data_type()), expected, "{texts:?}");
        }
    }

    #[test]
    fn evidence_says_why() {
        let told = |texts: &[&str]| column_of(&ValueForm::default(), texts).evidence.unwrap().against.join("; ");
        assert_eq!(told(&["80331", "01067"]), "not int64: `01067` (a.csv, record 2) would come back as `1067`");
        assert_eq!(told(&["7", "x"]), "not a number: `x` (a.csv, record 2) is none");
        assert_eq!(told(&["x", "y"]), "");
        assert_eq!(
            told(&["1", "9223372036854775808"]),
            "not int64: `9223372036854775808` (a.csv, record 2) is beyond 64 bits"
        );
        assert_eq!(told(&["1.50"]), "every value has 2 digits behind the point");
        let evidence = column_of(&ValueForm::default(), &["b", "b", "a"]).evidence.unwrap();
        assert_eq!((evidence.values, evidence.nulls, evidence.examples), (3, 0, vec!["b".to_owned(), "a".to_owned()]));
    }
}
