//! Values as people write them elsewhere: `1.234,56`, `31.12.2024`, `ja`, seconds since 1970.

use std::borrow::Cow;

use chrono::{NaiveDate, NaiveDateTime, TimeZone, Timelike};

use super::value;
use sluicebox_core::plan::{EpochUnit, LocalOrInstant, TimeForm, ValueForm};

/// How the values of a column are written, ready to read them.
#[derive(Clone, Debug)]
pub(super) struct Form {
    form: ValueForm,
    decimal: u8,
    thousands: Option<String>,
}

impl Form {
    /// `form` made ready; `None` if it is the usual one.
    pub(super) fn new(form: &ValueForm) -> Option<Self> {
        (*form != ValueForm::default()).then(|| Self {
            form: form.clone(),
            decimal: form.decimal.unwrap_or(b'.'),
            thousands: form.thousands.map(String::from),
        })
    }

    /// A number in its usual form, with a point and nothing between groups of digits. `None` if groups are not
    /// of three digits, or a sign stands where it has no place.
    pub(super) fn number<'a>(&self, text: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        if text.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-') {
            return Some(Cow::Borrowed(text));
        }
        let mut plain = Vec::with_capacity(text.len());
        // Digits since the last sign between groups, and whether there was one.
        let (mut group, mut grouped) = (0, false);
        let mut rest = text;
        while let Some((byte, behind)) = rest.split_first() {
            if *byte == self.decimal {
                break;
            }
            if let Some(thousands) = &self.thousands
                && let Some(behind) = rest.strip_prefix(thousands.as_bytes())
            {
                if group == 0 || group > 3 || (grouped && group != 3) {
                    return None;
                }
                (group, grouped, rest) = (0, true, behind);
                continue;
            }
            if byte.is_ascii_digit() {
                group += 1;
            } else if !matches!(byte, b'-' | b'+' | b'e' | b'E') || *byte == b'.' {
                return None;
            }
            plain.push(*byte);
            rest = behind;
        }
        if grouped && group != 3 {
            return None;
        }
        if let Some((_, decimals)) = rest.split_first() {
            plain.push(b'.');
            if decimals.contains(&b'.') {
                return None;
            }
            plain.extend_from_slice(decimals);
        }
        Some(Cow::Owned(plain))
    }

    /// A day: in the forms that are set, else as usual. What two forms read differently is none.
    pub(super) fn date(&self, text: &[u8], usual: impl Fn(&[u8]) -> Option<i32>) -> Option<i32> {
        if self.form.dates.is_empty() {
            return usual(text);
        }
        let text = std::str::from_utf8(text).ok()?;
        let days = |form: &TimeForm| i32::try_from((form.day(text)? - NaiveDate::default()).num_days()).ok();
        only(self.form.dates.iter().map(days))
    }

    /// An instant in microseconds since 1970: a number, in the forms that are set, or else as usual. Without a
    /// zone it is in the one that is set. A time that there are two of in that zone, or none, is none.
    pub(super) fn timestamp(&self, text: &[u8], usual: impl Fn(&[u8]) -> Option<i64>) -> Option<i64> {
        let number = self.form.epoch.map(|unit| self.since_1970(text, unit));
        if self.form.timestamps.is_empty() {
            if let Some(number) = number {
                return number;
            }
            let micros = usual(text)?;
            return if says_zone(text) { Some(micros) } else { self.in_zone(micros) };
        }
        let text = std::str::from_utf8(text).ok()?;
        let formed = self.form.timestamps.iter().map(|form| match form.time(text)? {
            LocalOrInstant::Instant(at) => micros(at.naive_utc()),
            LocalOrInstant::Local(at) => self.in_zone(micros(at)?),
        });
        only(formed.chain(number))
    }

    /// The instant so many units after the beginning of 1970.
    fn since_1970(&self, text: &[u8], unit: EpochUnit) -> Option<i64> {
        let number = self.number(text)?;
        let micros = match unit {
            EpochUnit::Seconds => value::decimal(&number, 19, 6)?,
            EpochUnit::Milliseconds => value::decimal(&number, 19, 3)?,
            EpochUnit::Microseconds => value::decimal(&number, 19, 0)?,
            EpochUnit::Nanoseconds => {
                let nanos = value::decimal(&number, 22, 0)?;
                (nanos % 1_000 == 0).then_some(nanos / 1_000)?
            }
        };
        i64::try_from(micros).ok()
    }

    /// A truth value: the words that are set, else the usual ones.
    pub(super) fn boolean(&self, text: &[u8], usual: impl Fn(&[u8]) -> Option<bool>) -> Option<bool> {
        if self.form.true_values.is_empty() && self.form.false_values.is_empty() {
            return usual(text);
        }
        let one_of = |words: &[String]| words.iter().any(|word| is_word(word, text));
        match (one_of(&self.form.true_values), one_of(&self.form.false_values)) {
            (true, false) => Some(true),
            (false, true) => Some(false),
            _ => None,
        }
    }

    /// Whether days are written in another form than the usual one.
    pub(super) fn has_dates(&self) -> bool {
        !self.form.dates.is_empty()
    }

    /// Whether instants are numbers.
    pub(super) fn has_epoch(&self) -> bool {
        self.form.epoch.is_some()
    }

    /// Whether instants are.
    pub(super) fn has_timestamps(&self) -> bool {
        !self.form.timestamps.is_empty()
    }

    /// The instant at which clocks in the zone show what those in UTC show at `micros`.
    fn in_zone(&self, micros: i64) -> Option<i64> {
        let Some(zone) = self.form.timezone else { return Some(micros) };
        let shown = chrono::DateTime::from_timestamp_micros(micros)?.naive_utc();
        Some(zone.from_local_datetime(&shown).single()?.timestamp_micros())
    }
}

fn is_word(word: &str, text: &[u8]) -> bool {
    word.as_bytes().eq_ignore_ascii_case(text)
        || std::str::from_utf8(text).is_ok_and(|text| !text.is_ascii() && word.to_lowercase() == text.to_lowercase())
}

/// Whether an instant of ISO 8601 says its zone.
fn says_zone(text: &[u8]) -> bool {
    text.iter().skip(10).any(|byte| matches!(byte, b'+' | b'-' | b'Z' | b'z'))
}

/// What all readings that there are agree on.
fn only<T: PartialEq>(readings: impl Iterator<Item = Option<T>>) -> Option<T> {
    let mut found = None;
    for reading in readings.flatten() {
        if found.as_ref().is_some_and(|found| *found != reading) {
            return None;
        }
        found = Some(reading);
    }
    found
}

fn micros(time: NaiveDateTime) -> Option<i64> {
    // A leap second has a billion nanoseconds or more.
    let nanos = time.nanosecond();
    (nanos < 1_000_000_000 && nanos.is_multiple_of(1_000)).then(|| time.and_utc().timestamp_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(change: impl Fn(&mut ValueForm)) -> Form {
        let mut form = ValueForm::default();
        change(&mut form);
        Form::new(&form).unwrap()
    }

    fn forms(texts: &[&str]) -> Vec<TimeForm> {
        texts.iter().map(|text| TimeForm::new(text).unwrap()).collect()
    }

    #[test]
    fn numbers_have_their_signs_where_people_write_them() {
        let german = form(|form| (form.decimal, form.thousands) = (Some(b','), Some('.')));
        for (text, plain) in [
            ("1.234,56", Some("1234.56")),
            ("1.234", Some("1234")),
            ("-12.345.678,9", Some("-12345678.9")),
            ("1234,5", Some("1234.5")),
            ("12", Some("12")),
            ("-0,500", Some("-0.500")),
            ("1,5E-3", Some("1.5E-3")),
            ("1.5", None),
            ("1.2345", None),
            ("1234.567", None),
            (".123", None),
            ("1,234.5", None),
            ("1..234", None),
            ("12 345", None),
        ] {
            let read = german.number(text.as_bytes());
            assert_eq!(read.as_deref(), plain.map(str::as_bytes), "{text}");
        }
        let french = form(|form| (form.decimal, form.thousands) = (Some(b','), Some('\u{202f}')));
        assert_eq!(french.number("1\u{202f}234,5".as_bytes()).as_deref(), Some(&b"1234.5"[..]));
        let comma = form(|form| form.decimal = Some(b','));
        assert_eq!(comma.number(b"1.234"), None, "a point has no meaning there");
        let swiss = form(|form| form.thousands = Some('\''));
        assert_eq!(swiss.number(b"1'234.50").as_deref(), Some(&b"1234.50"[..]));
    }

    #[test]
    fn days_are_read_in_each_form_and_never_guessed() {
        let days = form(|form| form.dates = forms(&["%d.%m.%Y", "%Y-%m-%d"]));
        let read = |form: &Form, text: &str| form.date(text.as_bytes(), |_| None);
        assert_eq!(read(&days, "31.12.1970"), Some(364));
        assert_eq!(read(&days, "1970-01-02"), Some(1));
        assert_eq!(read(&days, "31/12/1970"), None);
        assert_eq!(read(&days, "31.12.1970 "), None);
        assert_eq!(read(&days, "30.02.1970"), None);
        let doubtful = form(|form| form.dates = forms(&["%d/%m/%Y", "%m/%d/%Y"]));
        assert_eq!(read(&doubtful, "31/12/1970"), Some(364));
        assert_eq!(read(&doubtful, "02/02/1970"), Some(32));
        assert_eq!(read(&doubtful, "02/03/1970"), None, "it may be two days");
    }

    #[test]
    fn times_without_a_zone_are_of_the_one_that_is_set() {
        let usual = |text: &[u8]| value::timestamp(text);
        let brazil = form(|form| form.timezone = "America/Sao_Paulo".parse().ok());
        let hour = 3_600_000_000;
        assert_eq!(brazil.timestamp(b"1970-01-01 00:00:00", usual), Some(3 * hour));
        assert_eq!(brazil.timestamp(b"1970-01-01T00:00:00Z", usual), Some(0));
        assert_eq!(brazil.timestamp(b"1970-01-01T00:00:00-01:00", usual), Some(hour));
        let berlin = form(|form| {
            form.timezone = "Europe/Berlin".parse().ok();
            form.timestamps = forms(&["%d.%m.%Y %H:%M:%S%.f", "%d.%m.%Y %H:%M", "%d.%m.%Y"]);
        });
        let read = |text: &str| berlin.timestamp(text.as_bytes(), usual);
        assert_eq!(read("01.01.1970 01:00"), Some(0));
        assert_eq!(read("01.01.1970"), Some(-hour));
        assert_eq!(read("01.01.1970 01:00:00.5"), Some(500_000));
        assert_eq!(read("01.01.1970 01:00:00.1234567"), None, "a digit would be lost");
        assert_eq!(read("31.03.2024 02:30"), None, "clocks never showed it");
        assert_eq!(read("27.10.2024 02:30"), None, "clocks showed it twice");
        let offset = form(|form| form.timestamps = forms(&["%Y%m%d %H%M%z"]));
        assert_eq!(offset.timestamp(b"19700101 0100+0100", usual), Some(0));
    }

    #[test]
    fn instants_may_be_numbers() {
        let usual = |_: &[u8]| None;
        for (unit, text, micros) in [
            (EpochUnit::Seconds, "1.5", Some(1_500_000)),
            (EpochUnit::Seconds, "1.0000005", None),
            (EpochUnit::Milliseconds, "-1", Some(-1_000)),
            (EpochUnit::Microseconds, "7", Some(7)),
            (EpochUnit::Nanoseconds, "7000", Some(7)),
            (EpochUnit::Nanoseconds, "7001", None),
            (EpochUnit::Seconds, "9223372036854775807", None),
            (EpochUnit::Seconds, "today", None),
        ] {
            let form = form(|form| form.epoch = Some(unit));
            assert_eq!(form.timestamp(text.as_bytes(), usual), micros, "{unit:?} {text}");
        }
    }

    #[test]
    fn truth_has_words_of_its_own() {
        let words = form(|form| {
            (form.true_values, form.false_values) = (vec!["Ja".to_owned(), "ÉTÉ".to_owned()], vec!["Nein".to_owned()])
        });
        let read = |text: &str| words.boolean(text.as_bytes(), |_| Some(true));
        assert_eq!([read("ja"), read("NEIN"), read("true"), read("été")], [Some(true), Some(false), None, Some(true)]);
    }
}
