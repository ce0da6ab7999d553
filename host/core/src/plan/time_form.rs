//! Forms of days and instants, as `strftime` has them: `%d.%m.%Y`.

use chrono::format::{Fixed, Item, Numeric, Parsed, StrftimeItems, parse};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use thiserror::Error;

/// A form in which days or instants are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeForm {
    items: Vec<Item<'static>>,
    has_time: bool,
    has_offset: bool,
}

/// What is wrong with a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadForm {
    /// It has a `%` that means nothing.
    #[error("is no form as `strftime` has them")]
    Syntax,
    /// It has the name of a zone, which says too little: there are several zones of one name.
    #[error("has `%Z`, which is not read")]
    ZoneName,
    /// No day can be told from it.
    #[error("does not say the year, the month and the day")]
    NoDay,
}

/// A time as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalOrInstant {
    /// What clocks show, somewhere.
    Local(NaiveDateTime),
    /// When it was.
    Instant(DateTime<Utc>),
}

impl TimeForm {
    /// The form that `text` describes.
    ///
    /// # Errors
    /// It describes none by which a day can be read.
    pub fn new(text: &str) -> Result<Self, BadForm> {
        let items = StrftimeItems::new(text).parse_to_owned().map_err(|_| BadForm::Syntax)?;
        let has = |wanted: fn(&Item<'_>) -> bool| items.iter().any(wanted);
        if has(|item| matches!(item, Item::Fixed(Fixed::TimezoneName))) {
            return Err(BadForm::ZoneName);
        }
        let has_time =
            has(|item| matches!(item, Item::Numeric(Numeric::Hour | Numeric::Hour12 | Numeric::Timestamp, _)))
                || has(is_whole);
        let has_offset = has(|item| {
            let offset = matches!(
                item,
                Item::Fixed(
                    Fixed::TimezoneOffset
                        | Fixed::TimezoneOffsetColon
                        | Fixed::TimezoneOffsetDoubleColon
                        | Fixed::TimezoneOffsetTripleColon
                        | Fixed::TimezoneOffsetColonZ
                        | Fixed::TimezoneOffsetZ
                )
            );
            offset || is_whole(item) || matches!(item, Item::Numeric(Numeric::Timestamp, _))
        });
        let form = Self { items, has_time, has_offset };
        // What it prints of a day, it must be able to read.
        let day = NaiveDate::from_ymd_opt(2001, 11, 22).and_then(|day| day.and_hms_opt(13, 14, 15));
        let printed = day.map(|day| day.and_utc().format_with_items(form.items.iter()).to_string());
        match printed.and_then(|printed| form.time(&printed)) {
            Some(_) => Ok(form),
            None => Err(BadForm::NoDay),
        }
    }

    /// The day that `text` says, if all of it is of this form.
    pub fn day(&self, text: &str) -> Option<NaiveDate> {
        self.parse(text)?.to_naive_date().ok()
    }

    /// The time that `text` says, if all of it is of this form. A form of days means their first moment.
    pub fn time(&self, text: &str) -> Option<LocalOrInstant> {
        let mut parsed = self.parse(text)?;
        if self.has_time && parsed.minute().is_none() && parsed.timestamp().is_none() {
            parsed.set_minute(0).ok()?;
        }
        if self.has_offset {
            if parsed.timestamp().is_some() && parsed.offset().is_none() {
                parsed.set_offset(0).ok()?;
            }
            return Some(LocalOrInstant::Instant(parsed.to_datetime().ok()?.to_utc()));
        }
        let day = parsed.to_naive_date().ok()?;
        let time = if self.has_time { parsed.to_naive_time().ok()? } else { NaiveTime::MIN };
        Some(LocalOrInstant::Local(day.and_time(time)))
    }

    fn parse(&self, text: &str) -> Option<Parsed> {
        let mut parsed = Parsed::new();
        parse(&mut parsed, text, self.items.iter()).ok()?;
        // A second that no clock of ours has would be counted as another one.
        (parsed.second() != Some(60)).then_some(parsed)
    }
}

/// Whether the item is a date, a time and an offset in one.
fn is_whole(item: &Item<'_>) -> bool {
    matches!(item, Item::Fixed(Fixed::RFC2822 | Fixed::RFC3339))
}

#[cfg(test)]
mod tests {
    use super::{BadForm, TimeForm};

    #[test]
    fn a_form_says_a_day() {
        for form in ["%d.%m.%Y", "%Y%m%d", "%d-%b-%y", "%F %T", "%s", "%j %Y", "%Y-%m-%dT%H:%M%z", "%d/%m/%Y %I:%M %p"]
        {
            assert!(TimeForm::new(form).is_ok(), "{form}");
        }
        for (form, wrong) in [
            ("%Q", BadForm::Syntax),
            ("%H:%M", BadForm::NoDay),
            ("%d.%m.", BadForm::NoDay),
            ("%d.%m.%Y %Z", BadForm::ZoneName),
            ("plain", BadForm::NoDay),
        ] {
            assert_eq!(TimeForm::new(form), Err(wrong), "{form}");
        }
    }

    #[test]
    fn all_of_a_text_is_of_its_form() {
        let form = TimeForm::new("%d.%m.%Y").unwrap();
        assert!(form.day("1.2.2024").is_some());
        for text in ["31.12.2024 ", "31.12.2024x", "30.02.2024", "31/12/2024", "", "32.01.2024"] {
            assert_eq!(form.day(text), None, "{text}");
        }
    }
}
