//! How numbers, days, instants and truth values are written in text files.

use chrono_tz::Tz;
use serde_json::{Value as Json, json};

use crate::diagnostics::{Draft, meant};
use crate::document::{Entry, entries};
use crate::keys::{Char, Found, Key, KeySet, Kind, Maybe, Section, Shape, Texts, Word, Words};
use sluicebox_core::plan::{BadForm, EpochUnit, TimeForm, ValueForm};

pub(super) const DECIMAL: Key<Maybe<Char>> = Key::new("decimal", Char, "The sign before the fraction of a number.")
    .optional()
    .absent("`\".\"`")
    .example(r#"",""#);
pub(super) const THOUSANDS: Key<Maybe<Letter>> =
    Key::new("thousands", Letter, "What may stand between groups of three digits before it.")
        .more("A number with groups of another size is bad.")
        .optional()
        .example(r#"".""#);
pub(super) const DATE_FORMAT: Key<Maybe<TimeForms>> = Key::new(
    "date_format",
    TimeForms,
    "How days are written, as one form of `strftime` or a list.",
)
.more(
    "A day may be written in any form of a list; one that two forms read as different days is bad. `%y` is 1970 to \
             2069; names of months are English.",
)
.optional()
.absent("`2024-12-31`")
.example(r#""%d.%m.%Y""#);
pub(super) const TIMESTAMP_FORMAT: Key<Maybe<TimeForms>> =
    Key::new("timestamp_format", TimeForms, "How instants are written, as one form of `strftime` or a list.")
        .more("A form without a time means the first moment of the day.")
        .optional()
        .absent("ISO 8601")
        .example(r#"["%d.%m.%Y %H:%M:%S", "%d.%m.%Y"]"#);
pub(super) const TIMEZONE: Key<Maybe<Zone>> = Key::new(
    "timezone",
    Zone,
    "The time zone of instants that do not say one.",
)
.more(
    "A name of the IANA database. A time that clocks there showed twice or never, because they were set back or \
             forward, is bad.",
)
.optional()
.absent("`\"UTC\"`")
.example(r#""America/Sao_Paulo""#);
pub(super) const EPOCH: Key<Maybe<Word<EpochUnit>>> =
    Key::new("epoch", Word::new(), "Instants are numbers of this unit since the beginning of 1970.")
        .more(
            "A number of `ns` that is no whole number of microseconds is bad. What is no number is read by \
             `timestamp_format`, if there is one.",
        )
        .optional()
        .example(r#""ms""#);
pub(super) const TRUE: Key<Texts> = Key::new("true_values", Texts, "The words for true, in any case of the letters.")
    .default(Vec::new)
    .absent("`true`, `t`, `yes`, `y`, `1`")
    .example(r#"["ja"]"#);
pub(super) const FALSE: Key<Texts> =
    Key::new("false_values", Texts, "The words for false, in any case of the letters.")
        .default(Vec::new)
        .absent("`false`, `f`, `no`, `n`, `0`")
        .example(r#"["nein"]"#);
pub(super) const BY_COLUMN: Key<Maybe<ByColumn>> =
    Key::new("column", ByColumn, "What holds for single columns, by their names.")
        .more("Takes the keys from `decimal` to `false_values`.")
        .optional()
        .example(r#"{ paid_at = { epoch = "ms" } }"#);

/// The keys of one column.
pub(super) static COLUMN_KEYS: KeySet = KeySet {
    about: "How the values of one column are written.",
    keys: &[&DECIMAL, &THOUSANDS, &DATE_FORMAT, &TIMESTAMP_FORMAT, &TIMEZONE, &EPOCH, &TRUE, &FALSE],
};

/// Reads how values are written, and what holds for single columns.
pub(super) fn read(section: &Section<'_>) -> Option<(ValueForm, Vec<(String, ValueForm)>)> {
    let all = form(section, &ValueForm::default());
    let columns = section.get(&BY_COLUMN);
    let (all, columns) = (all?, columns?.unwrap_or_default());
    let over = |own: Written| own.over(&all);
    let columns = columns.into_iter().map(|(name, own)| (name, over(own))).collect();
    Some((all, columns))
}

/// What a section says, each as far as it does.
pub(super) struct Written {
    form: ValueForm,
}

impl Written {
    /// What holds where `all` does for what is not written.
    fn over(self, all: &ValueForm) -> ValueForm {
        let own = self.form;
        let list = |own: Vec<String>, all: &[String]| if own.is_empty() { all.to_vec() } else { own };
        let forms = |own: Vec<TimeForm>, all: &[TimeForm]| if own.is_empty() { all.to_vec() } else { own };
        // A column that says how its instants are written says all of it.
        let own_instants = own.epoch.is_some() || !own.timestamps.is_empty();
        let (epoch, timestamps) =
            if own_instants { (own.epoch, own.timestamps) } else { (all.epoch, all.timestamps.clone()) };
        ValueForm {
            decimal: own.decimal.or(all.decimal),
            thousands: own.thousands.or(all.thousands),
            dates: forms(own.dates, &all.dates),
            timestamps,
            timezone: own.timezone.or(all.timezone),
            true_values: list(own.true_values, &all.true_values),
            false_values: list(own.false_values, &all.false_values),
            epoch,
        }
    }
}

fn form(section: &Section<'_>, all: &ValueForm) -> Option<ValueForm> {
    let decimal = section.get(&DECIMAL);
    let thousands = section.get(&THOUSANDS);
    let dates = section.get(&DATE_FORMAT);
    let timestamps = section.get(&TIMESTAMP_FORMAT);
    let timezone = section.get(&TIMEZONE);
    let epoch = section.get(&EPOCH);
    let true_values = section.get(&TRUE);
    let false_values = section.get(&FALSE);
    if let (Some(decimal), Some(Some(thousands))) = (decimal, thousands)
        && char::from(decimal.or(all.decimal).unwrap_or(b'.')) == thousands
    {
        section.misplaced(
            &THOUSANDS,
            "is the decimal sign",
            "name the sign that stands between thousands, or leave it out",
        );
        return None;
    }
    let (true_values, false_values) = (true_values?, false_values?);
    if true_values.is_empty() != false_values.is_empty() {
        let (has, lacks) = if true_values.is_empty() { ("false", "true") } else { ("true", "false") };
        section.cx.report(
            Draft::error(format!("{} has words for {has} and none for {lacks}", section.what))
                .at(&section.head)
                .hint(format!("add `{lacks}_values`")),
        );
        return None;
    }
    Some(ValueForm {
        decimal: decimal?,
        thousands: thousands?,
        dates: dates?.unwrap_or_default(),
        timestamps: timestamps?.unwrap_or_default(),
        timezone: timezone?,
        true_values,
        false_values,
        epoch: epoch?,
    })
}

impl Words for EpochUnit {
    const ALL: &'static [(&'static str, Self)] =
        &[("s", Self::Seconds), ("ms", Self::Milliseconds), ("us", Self::Microseconds), ("ns", Self::Nanoseconds)];
}

/// One character of any script.
#[derive(Clone, Copy)]
pub(super) struct Letter;

impl Shape for Letter {
    fn label(&self) -> String {
        "one character".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "type": "string", "minLength": 1 })
    }
}

impl Kind for Letter {
    type Value = char;

    fn read(&self, found: &Found<'_, '_>) -> Option<char> {
        let text = found.any_text()?;
        let mut letters = text.chars();
        match (letters.next(), letters.next()) {
            (Some(letter), None) if !letter.is_ascii_alphanumeric() && !matches!(letter, '-' | '+' | '\n' | '\r') => {
                Some(letter)
            }
            _ => {
                let hint = "common ones are `.`, `,`, `'` and a space".to_owned();
                found.report(
                    format!("`{}` of {} must be one character, no letter or digit", found.name(), found.what()),
                    Some(hint),
                );
                None
            }
        }
    }
}

/// A form of days or instants, or a list of them.
#[derive(Clone, Copy)]
pub(super) struct TimeForms;

impl Shape for TimeForms {
    fn label(&self) -> String {
        "form or list of forms".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "anyOf": [
            { "type": "string", "minLength": 1 },
            { "type": "array", "items": { "type": "string", "minLength": 1 }, "minItems": 1 },
        ] })
    }
}

impl Kind for TimeForms {
    type Value = Vec<TimeForm>;

    fn read(&self, found: &Found<'_, '_>) -> Option<Vec<TimeForm>> {
        let texts = Texts::read_at(found, true)?;
        if texts.is_empty() {
            found.report(format!("`{}` of {} has no form", found.name(), found.what()), None);
            return None;
        }
        let mut forms = Vec::with_capacity(texts.len());
        for text in &texts {
            match TimeForm::new(&text.value) {
                Ok(form) => forms.push(form),
                Err(wrong) => {
                    let hint = match wrong {
                        BadForm::Syntax | BadForm::NoDay => {
                            "`%Y` is the year, `%m` the month, `%d` the day, `%H:%M:%S%.f` the time, `%z` an offset"
                        }
                        BadForm::ZoneName => "`%z` is an offset; where all times are of one zone, set `timezone`",
                    };
                    let message = format!("`{}` in `{}` of {} {wrong}", text.value, found.name(), found.what());
                    found.section.cx.report(Draft::error(message).at(&text.span).hint(hint));
                }
            }
        }
        (forms.len() == texts.len()).then_some(forms)
    }
}

/// A time zone of the IANA database.
#[derive(Clone, Copy)]
pub(super) struct Zone;

impl Shape for Zone {
    fn label(&self) -> String {
        "time zone".to_owned()
    }
}

impl Kind for Zone {
    type Value = Tz;

    fn read(&self, found: &Found<'_, '_>) -> Option<Tz> {
        let name = found.text()?;
        let zone = name.value.parse().ok();
        if zone.is_none() {
            let known = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
            let hint = match meant(&name.value, known) {
                Some(zone) => format!("did you mean `{zone}`?"),
                None => "write a name of the IANA database, such as `Europe/Paris`".to_owned(),
            };
            found.report(format!("unknown `{}` `{}` in {}", found.name(), name.value, found.what()), Some(hint));
        }
        zone
    }
}

/// Tables by the names of columns.
#[derive(Clone, Copy)]
pub(super) struct ByColumn;

impl Shape for ByColumn {
    fn label(&self) -> String {
        "table of column to table".to_owned()
    }

    fn schema(&self) -> Json {
        let column = crate::keys::json_schema::of(&COLUMN_KEYS);
        json!({ "type": "object", "additionalProperties": column, "minProperties": 1 })
    }
}

impl Kind for ByColumn {
    type Value = Vec<(String, Written)>;

    fn read(&self, found: &Found<'_, '_>) -> Option<Vec<(String, Written)>> {
        let columns = found.entries()?;
        let read: Vec<_> = columns.iter().filter_map(|entry| column(found, entry)).collect();
        (read.len() == columns.len()).then_some(read)
    }
}

fn column(found: &Found<'_, '_>, entry: &Entry) -> Option<(String, Written)> {
    let what = format!("column `{}` in `{}` of {}", entry.key, found.name(), found.what());
    let cx = found.section.cx;
    if entries(cx, &what, &entry.node)?.is_empty() {
        cx.report(Draft::error(format!("{what} says nothing")).at(&entry.key_span).hint("remove it"));
        return None;
    }
    let section = Section::open(cx, &COLUMN_KEYS, what, &entry.key_span, &entry.node)?;
    Some((entry.key.clone(), Written { form: form(&section, &ValueForm::default())? }))
}
