//! The columns of a captured event besides its body.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, BinaryArray, Int64Array, MapArray, RecordBatch, StringArray};
use chrono::{DateTime, NaiveDateTime};
use serde_json::json;

/// The columns of a batch of captured events.
pub(super) struct EventColumns<'a> {
    sequence: &'a Int64Array,
    enqueued: Option<&'a StringArray>,
    system: Option<&'a MapArray>,
    properties: Option<&'a MapArray>,
    body: &'a BinaryArray,
}

impl<'a> EventColumns<'a> {
    /// The columns of a captured file, or the name of a missing one.
    pub(super) fn of(rows: &'a RecordBatch) -> Result<Self, &'static str> {
        let column = |name| rows.column_by_name(name);
        let sequence = column("SequenceNumber").and_then(|column| column.as_primitive_opt::<Int64Type>());
        let body = column("Body").and_then(|column| column.as_binary_opt::<i32>());
        Ok(Self {
            sequence: sequence.ok_or("SequenceNumber")?,
            enqueued: column("EnqueuedTimeUtc").and_then(|column| column.as_string_opt::<i32>()),
            system: column("SystemProperties").and_then(|column| column.as_map_opt()),
            properties: column("Properties").and_then(|column| column.as_map_opt()),
            body: body.ok_or("Body")?,
        })
    }

    /// The sequence number of an event in its partition.
    pub(super) fn sequence(&self, row: usize) -> i64 {
        self.sequence.value(row)
    }

    /// The body, if it has one.
    pub(super) fn body(&self, row: usize) -> Option<&'a [u8]> {
        self.body.is_valid(row).then(|| self.body.value(row))
    }

    /// The partition key.
    pub(super) fn key(&self, row: usize) -> Option<String> {
        property(self.system?, row, "x-opt-partition-key")
    }

    /// When Event Hubs received it, in microseconds since 1970: to the millisecond from the system properties, else
    /// to the second.
    pub(super) fn enqueued(&self, row: usize) -> Option<i64> {
        let precise = self.system.and_then(|system| property(system, row, "x-opt-enqueued-time"));
        let precise = precise.and_then(|millis| millis.parse::<i64>().ok()?.checked_mul(1_000));
        precise.or_else(|| {
            let text = self.enqueued.filter(|texts| texts.is_valid(row))?.value(row);
            moment(text)
        })
    }

    /// The properties that its sender set, as a JSON list; `None` if there are none.
    pub(super) fn headers(&self, row: usize) -> Option<String> {
        let entries = self.properties.filter(|maps| maps.is_valid(row))?.value(row);
        let (keys, values) = (entries.column(0).as_string_opt::<i32>()?, entries.column(1).as_string_opt::<i32>()?);
        let entry = |at| json!({ "key": keys.value(at), "value": values.is_valid(at).then(|| values.value(at)) });
        let list: Vec<_> = (0..entries.len()).map(entry).collect();
        (!list.is_empty()).then(|| serde_json::Value::Array(list).to_string())
    }
}

fn property(maps: &MapArray, row: usize, name: &str) -> Option<String> {
    let entries = Some(maps).filter(|maps| maps.is_valid(row))?.value(row);
    let (keys, values) = (entries.column(0).as_string_opt::<i32>()?, entries.column(1).as_string_opt::<i32>()?);
    let at = (0..keys.len()).find(|at| keys.value(*at) == name)?;
    values.is_valid(at).then(|| values.value(at).to_owned())
}

/// Parses a time in UTC, as Capture writes it (`11/16/2016 4:44:11 PM`) or in ISO form, to microseconds since 1970.
fn moment(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Some(moment.timestamp_micros());
    }
    let forms = ["%m/%d/%Y %I:%M:%S %p", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"];
    let read = forms.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())?;
    Some(read.and_utc().timestamp_micros())
}

#[cfg(test)]
mod tests {
    use super::moment;

    #[test]
    fn moments_are_read_as_capture_and_as_iso_write_them() {
        for (text, micros) in [
            ("11/16/2016 4:44:11 PM", Some(1_479_314_651_000_000)),
            ("12/9/2022 5:10:16 PM", Some(1_670_605_816_000_000)),
            ("1/1/2024 12:00:00 AM", Some(1_704_067_200_000_000)),
            ("1/1/2024 12:30:00 PM", Some(1_704_112_200_000_000)),
            ("2024-01-01T00:00:00.5Z", Some(1_704_067_200_500_000)),
            ("2024-01-01T01:00:00+01:00", Some(1_704_067_200_000_000)),
            ("2024-01-01T00:00:00", Some(1_704_067_200_000_000)),
            ("13/13/2024 1:00:00 PM", None),
            ("yesterday", None),
        ] {
            assert_eq!(moment(text), micros, "{text}");
        }
    }
}
