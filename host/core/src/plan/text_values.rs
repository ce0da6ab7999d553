//! How values are written in text files, where that is not the usual way.

use chrono_tz::Tz;

use super::TimeForm;

/// How the values of a source are written, and those of single columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextValues {
    /// The values of every column that has no form of its own.
    pub all: ValueForm,
    /// Columns with a form of their own, which holds what `all` says where they say nothing.
    pub columns: Vec<(String, ValueForm)>,
}

/// How the values of a column are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValueForm {
    /// The sign before the fraction of a number; `None` is the point.
    pub decimal: Option<u8>,
    /// Between groups of three digits before it; none may stand there without.
    pub thousands: Option<char>,
    /// The forms of days, any of which may be met; none is ISO 8601.
    pub dates: Vec<TimeForm>,
    /// The forms of instants; none is ISO 8601.
    pub timestamps: Vec<TimeForm>,
    /// The zone of times that do not say one; `None` is UTC.
    pub timezone: Option<Tz>,
    /// The words for true; none are the usual ones.
    pub true_values: Vec<String>,
    /// The words for false; none are the usual ones.
    pub false_values: Vec<String>,
    /// Instants are numbers: so many of this since the beginning of 1970.
    pub epoch: Option<EpochUnit>,
}

/// The unit of instants that are numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpochUnit {
    /// Seconds.
    Seconds,
    /// Thousandths of them.
    Milliseconds,
    /// Millionths.
    Microseconds,
    /// Billionths; only those that are whole millionths have a place in a table.
    Nanoseconds,
}

impl TextValues {
    /// How the values of that column are written.
    pub fn of(&self, column: &str) -> &ValueForm {
        let own = self.columns.iter().find(|(name, _)| name == column);
        let own = own.or_else(|| self.columns.iter().find(|(name, _)| name.eq_ignore_ascii_case(column)));
        own.map_or(&self.all, |(_, form)| form)
    }
}
