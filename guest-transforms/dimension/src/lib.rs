//! One row for each key of a table, with the values that most of its rows have.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::iter::zip;

use serde::{Deserialize, Serialize};
use sluicebox_sdk::prelude::*;

/// Makes a dimension out of a table that repeats its attributes in every row, not always
/// the same ones: `key = "stock_code"`, `attributes = ["description", "category"]`,
/// `time = "invoiced_at"`.
///
/// For each key it takes the combination of attributes that most rows have; of
/// combinations with nulls, one with the fewest. Of equals the one that was seen last
/// counts, then the least in the order of letters. Nothing depends on the order in which
/// rows come. A row without a key belongs to nobody and is only counted, as a metric.
pub struct Dimension {
    config: Config,
    combinations: Groups,
    seen: Vec<Seen>,
}

/// What the dimension is about. All of its columns but `time` are text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    key: String,
    attributes: Vec<String>,
    /// When a row was true.
    time: String,
}

/// The rows of one key, or of one combination of its attributes.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Seen {
    rows: i64,
    first: Option<i64>,
    last: Option<i64>,
}

const STATE_VERSION: u32 = 1;

impl Transform for Dimension {
    type Config = Config;

    fn describe(config: &Config) -> Result<Descriptor> {
        if config.attributes.is_empty() {
            return Err(Failure::config("`attributes` names none"));
        }
        let texts = || config.attributes.iter().map(|name| utf8(name));
        let seen = [required(int64("rows")), timestamp("first_seen_at"), timestamp("last_seen_at")];
        Ok(Descriptor::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
            .rows("rows", [utf8(&config.key)].into_iter().chain(texts()).chain([timestamp(&config.time)]))
            .output("dimension", [required(utf8(&config.key))].into_iter().chain(texts()).chain(seen))
            .stateful(STATE_VERSION))
    }

    fn open(config: Config, _: &Inputs, restored: Option<&State>) -> Result<Self> {
        let by = [&config.key].into_iter().chain(&config.attributes);
        let mut combinations = Groups::of(by.map(|name| utf8(name)))?;
        let mut seen = Vec::new();
        if let Some(state) = restored {
            combinations.restore(state.get("combinations").unwrap_or_default())?;
            seen = state.json("seen")?.unwrap_or_default();
        }
        Ok(Self { config, combinations, seen })
    }

    fn rows(&mut self, rows: &Rows, _: &mut Out) -> Result<()> {
        let key = rows.utf8(&self.config.key)?;
        let by = [&self.config.key].into_iter().chain(&self.config.attributes);
        let kept = Kept::filter(rows, |row| key.get(row).is_some());
        metric("rows_without_key", (rows.len() - kept.len()) as f64);
        let columns = by.map(|name| kept.of_column(rows.column(name)?)).collect::<Result<Vec<_>>>()?;
        let time = rows.timestamp(&self.config.time)?;
        let combinations = self.combinations.number(&columns)?;
        self.seen.resize(self.combinations.len(), Seen::NEVER);
        for (combination, row) in zip(combinations, kept.rows()) {
            self.seen[combination].add(Seen::once(time.get(*row as usize)));
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Out) -> Result<()> {
        let columns = self.combinations.columns()?;
        let texts: Vec<&StringArray> = columns.iter().map(text).collect::<Result<_>>()?;
        let (keys, attributes) = texts.split_at(1);
        let value = |column: &StringArray, row: usize| column.is_valid(row).then(|| column.value(row).to_owned());

        // By key, so that the same rows give the same table in whatever order they come.
        let mut best: BTreeMap<&str, (Seen, Vec<usize>)> = BTreeMap::new();
        for (row, seen) in self.seen.iter().enumerate() {
            let (all, rows) = best.entry(keys[0].value(row)).or_insert((Seen::NEVER, Vec::new()));
            all.add(*seen);
            rows.push(row);
        }
        let rank = |row: &usize| {
            let values: Vec<_> = attributes.iter().map(|column| value(column, *row)).collect();
            let nulls = values.iter().filter(|value| value.is_none()).count();
            (nulls, Reverse((self.seen[*row].rows, self.seen[*row].last)), values)
        };
        let chosen: Vec<_> = best.values().map(|(_, rows)| rows.iter().copied().min_by_key(&rank)).collect();
        let mut made = vec![strings(best.keys().copied())];
        for column in attributes {
            made.push(strings(chosen.iter().map(|row| row.and_then(|row| value(column, row)))));
        }
        made.push(int64s(best.values().map(|(all, _)| all.rows)));
        made.push(timestamps(best.values().map(|(all, _)| all.first)));
        made.push(timestamps(best.values().map(|(all, _)| all.last)));
        out.emit("dimension", made)
    }

    fn snapshot(&mut self, state: &mut State) -> Result<()> {
        state.put("combinations", self.combinations.save());
        state.put_json("seen", &self.seen)
    }
}

impl Seen {
    const NEVER: Self = Self { rows: 0, first: None, last: None };

    fn once(at: Option<i64>) -> Self {
        Self { rows: 1, first: at, last: at }
    }

    fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.first = self.first.into_iter().chain(other.first).min();
        self.last = self.last.max(other.last);
    }
}

fn text(column: &ArrayRef) -> Result<&StringArray> {
    column.as_any().downcast_ref().ok_or_else(|| Failure::internal("a text column came back as another type"))
}

sluicebox_sdk::export!(Dimension);

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"{"key": "code", "attributes": ["name", "kind"], "time": "at"}"#;

    const ROWS: [&str; 8] = [
        r#"{"code": "2", "name": "MUG", "kind": "Kitchen", "at": "2011-01-01T00:00:00Z"}"#,
        r#"{"code": "2", "name": "MUG", "kind": "Kitchen", "at": "2011-01-03T00:00:00Z"}"#,
        r#"{"code": "2", "name": "BLUE MUG", "kind": "Kitchen", "at": "2011-01-09T00:00:00Z"}"#,
        r#"{"code": "1", "name": "OLD BAG", "kind": "Bags", "at": "2011-01-01T00:00:00Z"}"#,
        r#"{"code": "1", "name": "NEW BAG", "kind": "Bags", "at": "2011-01-02T00:00:00Z"}"#,
        r#"{"code": "3", "kind": "Other", "at": "2011-01-02T00:00:00Z"}"#,
        r#"{"code": "1", "kind": "Other", "at": "2011-01-05T00:00:00Z"}"#,
        r#"{"name": "NOBODY'S", "kind": "Other", "at": "2011-01-02T00:00:00Z"}"#,
    ];

    const DIMENSION: [&str; 3] = [
        r#"{"code":"1","name":"NEW BAG","kind":"Bags","rows":3,"first_seen_at":"2011-01-01T00:00:00Z","last_seen_at":"2011-01-05T00:00:00Z"}"#,
        r#"{"code":"2","name":"MUG","kind":"Kitchen","rows":3,"first_seen_at":"2011-01-01T00:00:00Z","last_seen_at":"2011-01-09T00:00:00Z"}"#,
        r#"{"code":"3","kind":"Other","rows":1,"first_seen_at":"2011-01-02T00:00:00Z","last_seen_at":"2011-01-02T00:00:00Z"}"#,
    ];

    #[test]
    fn most_rows_then_the_last_decide_in_whatever_order_they_come() {
        for turn in 0..ROWS.len() {
            let mut rows = ROWS;
            rows.rotate_left(turn);
            let mut harness = Harness::<Dimension>::open(CONFIG).unwrap();
            harness.push_json("rows", &rows[..3].join("\n")).unwrap();
            harness.push_json("rows", &rows[3..].join("\n")).unwrap();
            assert_eq!(harness.end("rows").unwrap().json("dimension"), DIMENSION, "turned by {turn}");
        }
    }

    #[test]
    fn a_job_goes_on_where_another_stopped() {
        let mut first = Harness::<Dimension>::open(CONFIG).unwrap();
        first.push_json("rows", &ROWS[..4].join("\n")).unwrap();
        let state = first.snapshot().unwrap();
        let mut second = Harness::<Dimension>::open_with(CONFIG, &[], Some(state)).unwrap();
        second.push_json("rows", &ROWS[4..].join("\n")).unwrap();
        assert_eq!(second.end("rows").unwrap().json("dimension"), DIMENSION);
    }
}
