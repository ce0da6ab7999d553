//! The watermark of a hop.
//!
//! The watermark is the minimum over all lanes of the latest event time, minus the lateness. It advances at commits
//! only, so that which rows are late depends on where commits ended, which the log records, and not on how rows were
//! split into batches.

use std::collections::BTreeMap;
use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, PrimitiveArray, RecordBatch, StringArray};
use serde_json::{Value, json};

use sluicebox_core::columns::SystemColumn;
use sluicebox_core::plan::EventTime;

/// How long, in microseconds, other lanes must have been flowing before a lane without rows counts as idle. Longer
/// than the backlog of one lane can delay the others.
const SILENCE: i64 = 10_000_000;

/// A longer pause between two arrivals, in microseconds, does not count as flowing: nobody was reading, or nobody
/// wrote.
const BREAK: i64 = 1_000_000;

/// Tracks event time, in microseconds since 1970-01-01 UTC.
#[derive(Debug)]
pub(super) struct EventClock {
    column: String,
    lateness: i64,
    /// The latest event time of all rows.
    latest: Option<i64>,
    /// The arrival time of the last row.
    arrived: Option<i64>,
    /// How long rows have been flowing, without pauses.
    flowed: i64,
    lanes: BTreeMap<String, LaneClock>,
    /// As of the last commit.
    watermark: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LaneClock {
    /// The latest event time of the lane's rows.
    latest: i64,
    /// The latest event time of all rows when the lane's last row arrived.
    alive: i64,
    /// The value of `flowed` at that time; `None` where rows have no arrival time.
    flowed: Option<i64>,
}

impl EventClock {
    /// Nothing seen yet.
    pub(super) fn new(spec: &EventTime) -> Self {
        let lateness = i64::try_from(spec.lateness.as_micros()).unwrap_or(i64::MAX);
        let column = spec.column.clone();
        Self { column, lateness, latest: None, arrived: None, flowed: 0, lanes: BTreeMap::new(), watermark: None }
    }

    /// The watermark as of the last commit.
    pub(super) fn watermark(&self) -> Option<i64> {
        self.watermark
    }

    /// Observes the event times of rows. One that is further ahead of the row's arrival than the lateness is a
    /// sender's mistake and is ignored, because it would make all other rows late.
    pub(super) fn see(&mut self, rows: &RecordBatch) {
        let Some(times) = micros(rows.column_by_name(&self.column)) else { return };
        let arrived = micros(SystemColumn::IngestedAt.values(rows));
        let lanes = Lanes::of(SystemColumn::Lane.values(rows));
        let mut start = 0;
        while start < rows.num_rows() {
            let end = lanes.run(start, rows.num_rows());
            let sound = |row: &usize| {
                let arrived = arrived.filter(|arrived| arrived.is_valid(*row));
                times.is_valid(*row)
                    && arrived
                        .is_none_or(|arrived| times.value(*row) <= arrived.value(*row).saturating_add(self.lateness))
            };
            if let Some(latest) = (start..end).filter(sound).map(|row| times.value(row)).max() {
                let alive = self.latest.map_or(latest, |all| all.max(latest));
                self.latest = Some(alive);
                let flowed = arrived.and_then(|arrived| self.flow(arrived, start..end));
                match self.lanes.get_mut(lanes.name(start)) {
                    Some(lane) => *lane = LaneClock { latest: lane.latest.max(latest), alive, flowed },
                    None => {
                        self.lanes.insert(lanes.name(start).to_owned(), LaneClock { latest, alive, flowed });
                    }
                }
            }
            start = end;
        }
    }

    /// Observes the arrival times of rows, and returns how long rows have been flowing.
    fn flow(&mut self, arrived: &PrimitiveArray<TimestampMicrosecondType>, rows: Range<usize>) -> Option<i64> {
        let last = rows.filter(|row| arrived.is_valid(*row)).map(|row| arrived.value(row)).max()?;
        let since = self.arrived.map_or(0, |before| last.saturating_sub(before));
        self.arrived = self.arrived.max(Some(last));
        self.flowed = self.flowed.saturating_add(since.clamp(0, BREAK));
        Some(self.flowed)
    }

    /// Advances the watermark at a commit.
    ///
    /// An idle lane does not hold the watermark back: a file that was read to its end, or a partition without
    /// senders. A lane is idle when the others have advanced by more than the lateness and have been flowing for long
    /// enough; while a backlog is read, hours of event time pass in a moment and prove nothing.
    pub(super) fn advance(&mut self) -> Option<i64> {
        let latest = self.latest?;
        let lateness = self.lateness;
        let flowed = self.flowed;
        let is_silent = |lane: &LaneClock| lane.flowed.is_none_or(|then| flowed.saturating_sub(then) > SILENCE);
        self.lanes.retain(|_, lane| latest.saturating_sub(lane.alive) <= lateness || !is_silent(lane));
        let reached = self.lanes.values().map(|lane| lane.latest).min().unwrap_or(latest);
        self.watermark = self.watermark.max(Some(reached.saturating_sub(lateness)));
        self.watermark
    }

    /// The clock's state for the next run.
    pub(super) fn save(&self) -> Value {
        let lanes: serde_json::Map<String, Value> = self
            .lanes
            .iter()
            .map(|(name, lane)| (name.clone(), json!([lane.latest, lane.alive, lane.flowed])))
            .collect();
        json!({
            "latest": self.latest, "watermark": self.watermark, "arrived": self.arrived, "flowed": self.flowed,
            "lanes": lanes,
        })
    }

    /// Restores what [`save`](Self::save) returned; missing values stay as they are.
    pub(super) fn restore(&mut self, saved: &Value) {
        self.latest = saved["latest"].as_i64();
        self.watermark = saved["watermark"].as_i64();
        self.arrived = saved["arrived"].as_i64();
        self.flowed = saved["flowed"].as_i64().unwrap_or_default();
        let lanes = saved["lanes"].as_object().into_iter().flatten();
        self.lanes = lanes
            .filter_map(|(name, lane)| {
                let (latest, alive) = (lane[0].as_i64()?, lane[1].as_i64()?);
                Some((name.clone(), LaneClock { latest, alive, flowed: lane[2].as_i64() }))
            })
            .collect();
    }
}

fn micros(column: Option<&ArrayRef>) -> Option<&PrimitiveArray<TimestampMicrosecondType>> {
    column?.as_primitive_opt::<TimestampMicrosecondType>()
}

/// The lane of each row; rows without one are all of the same.
enum Lanes<'a> {
    None,
    Text(&'a StringArray),
    Keys(&'a PrimitiveArray<Int32Type>, &'a StringArray),
}

impl<'a> Lanes<'a> {
    fn of(column: Option<&'a ArrayRef>) -> Self {
        let Some(column) = column else { return Self::None };
        if let Some(texts) = column.as_string_opt::<i32>() {
            return Self::Text(texts);
        }
        let keys = column.as_dictionary_opt::<Int32Type>();
        match keys.and_then(|keys| Some((keys.keys(), keys.values().as_string_opt::<i32>()?))) {
            Some((keys, values)) => Self::Keys(keys, values),
            None => Self::None,
        }
    }

    fn name(&self, row: usize) -> &'a str {
        match self {
            Self::None => "",
            Self::Text(texts) if texts.is_valid(row) => texts.value(row),
            Self::Keys(keys, values) if keys.is_valid(row) => values.value(keys.value(row) as usize),
            Self::Text(_) | Self::Keys(..) => "",
        }
    }

    /// The end of the consecutive rows of one lane that begin at `start`.
    fn run(&self, start: usize, rows: usize) -> usize {
        match self {
            Self::None => rows,
            // Rows of one lane are mostly adjacent, so dictionary keys are compared before names.
            Self::Keys(keys, _) if keys.null_count() == 0 => {
                let rest = &keys.values()[start..rows];
                start + rest.iter().position(|key| *key != rest[0]).unwrap_or(rest.len())
            }
            _ => {
                let name = self.name(start);
                (start..rows).find(|row| self.name(*row) != name).unwrap_or(rows)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use arrow_array::TimestampMicrosecondArray;
    use arrow_schema::{Field, Schema};
    use sluicebox_core::columns::SystemNames;

    use super::*;

    fn clock() -> EventClock {
        EventClock::new(&EventTime { column: "at".into(), lateness: Duration::from_micros(10) })
    }

    /// Rows whose columns are the host's where they have its names.
    fn marked<const N: usize>(columns: [(&str, ArrayRef); N]) -> RecordBatch {
        let names = SystemNames::default();
        let fields: Vec<Field> = columns
            .iter()
            .map(|(name, values)| Field::new(*name, values.data_type().clone(), true))
            .map(|field| names.named(field.name()).map_or(field.clone(), |own| own.mark(field)))
            .collect();
        let columns = columns.into_iter().map(|(_, values)| values).collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
    }

    fn rows(lanes: &[&str], at: &[i64]) -> RecordBatch {
        let at: ArrayRef = Arc::new(TimestampMicrosecondArray::from(at.to_vec()).with_timezone("UTC"));
        let lanes: ArrayRef = Arc::new(StringArray::from(lanes.to_vec()));
        marked([("at", at), ("_lane", lanes)])
    }

    #[test]
    fn it_is_the_least_of_the_lanes_less_the_lateness_and_never_goes_back() {
        let mut clock = clock();
        assert_eq!(clock.advance(), None);
        clock.see(&rows(&["a", "a", "b"], &[100, 90, 95]));
        assert_eq!(clock.watermark(), None, "it moves at commits only");
        assert_eq!(clock.advance(), Some(85));
        clock.see(&rows(&["a"], &[104]));
        assert_eq!(clock.advance(), Some(85), "b is where it was");
        clock.see(&rows(&["c"], &[50]));
        assert_eq!(clock.advance(), Some(85), "a new lane with old rows does not bring it back");
    }

    #[test]
    fn a_lane_without_rows_holds_nobody_up_for_long() {
        let mut clock = clock();
        clock.see(&rows(&["a", "b"], &[100, 100]));
        clock.see(&rows(&["a"], &[110]));
        assert_eq!(clock.advance(), Some(90));
        clock.see(&rows(&["a"], &[111]));
        assert_eq!(clock.advance(), Some(101));
        // A lane that is behind and has rows is catching up, and is waited for.
        clock.see(&rows(&["b", "a"], &[103, 130]));
        clock.see(&rows(&["b"], &[104]));
        assert_eq!(clock.advance(), Some(101));
    }

    /// Rows of one lane with an arrival time.
    fn came(lane: &str, at: i64, arrived: i64) -> RecordBatch {
        let time =
            |value: i64| -> ArrayRef { Arc::new(TimestampMicrosecondArray::from(vec![value]).with_timezone("UTC")) };
        let lanes: ArrayRef = Arc::new(StringArray::from(vec![lane]));
        marked([("at", time(at)), ("_lane", lanes), ("_ingested_at", time(arrived))])
    }

    #[test]
    fn a_lane_whose_backlog_comes_after_that_of_another_is_waited_for() {
        const SECOND: i64 = 1_000_000;
        let mut clock = clock();
        clock.see(&came("a", 100, SECOND));
        clock.see(&came("b", 100, SECOND));
        // Nobody read for a minute; then the backlog of one lane arrives at once, and that of the other after it.
        clock.see(&came("a", 5_000, 61 * SECOND));
        assert_eq!(clock.advance(), Some(90));
        clock.see(&came("b", 4_000, 62 * SECOND));
        assert_eq!(clock.advance(), Some(3_990));
        // But a lane without rows does not hold the watermark back while others flow for long, also after a restart.
        for second in 63..=73 {
            let mut next = EventClock::new(&EventTime { column: "at".into(), lateness: Duration::from_micros(10) });
            next.restore(&clock.save());
            clock = next;
            clock.see(&came("a", 5_000 + second, second * SECOND));
        }
        assert_eq!(clock.advance(), Some(5_063));
    }

    #[test]
    fn a_moment_that_is_yet_to_come_does_not_count() {
        let mut clock = clock();
        let at = rows(&["a", "a", "a"], &[100, 900, 111]);
        let arrived: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![100, 100, 101]).with_timezone("UTC"));
        let columns = [("at", at.column(0).clone()), ("_ingested_at", arrived)];
        clock.see(&marked(columns));
        assert_eq!(clock.advance(), Some(101));
    }

    #[test]
    fn it_goes_on_where_it_was_saved() {
        let mut first = clock();
        first.see(&rows(&["a", "b"], &[100, 95]));
        first.advance();
        let mut second = clock();
        second.restore(&first.save());
        assert_eq!(second.watermark(), Some(85));
        for clock in [&mut first, &mut second] {
            clock.see(&rows(&["b"], &[99]));
        }
        assert_eq!((first.advance(), first.save()), (second.advance(), second.save()));
    }
}
