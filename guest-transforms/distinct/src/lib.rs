//! Each key once: for rows that are delivered at least once.

use serde::Deserialize;
use sluicebox_sdk::arrow_schema::Field;
use sluicebox_sdk::prelude::*;

/// Passes on the first row of each key and rejects every other: `key = ["partition",
/// "sequence"]`. Key columns are text or whole numbers; null is a value like any other.
///
/// It remembers every key that it has seen, in about the bytes of the key itself.
pub struct Distinct {
    key: Vec<String>,
    seen: Groups,
}

/// What a row is known by.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    key: Vec<String>,
    /// Whether the key columns are whole numbers instead of text.
    #[serde(default)]
    numbers: bool,
}

impl Config {
    fn columns(&self) -> Vec<Field> {
        self.key.iter().map(|name| if self.numbers { int64(name) } else { utf8(name) }).collect()
    }
}

const STATE_VERSION: u32 = 2;

impl Transform for Distinct {
    type Config = Config;

    fn describe(config: &Config) -> Result<Descriptor> {
        if config.key.is_empty() {
            return Err(Failure::config("`key` names no column"));
        }
        Ok(Descriptor::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
            .rows("rows", config.columns())
            .pass_through("distinct", "rows", &[], [])
            .row_preserving()
            .stateful(STATE_VERSION))
    }

    fn open(config: Config, _: &Inputs, restored: Option<&State>) -> Result<Self> {
        let mut seen = Groups::of(config.columns())?;
        if let Some(state) = restored {
            seen.restore_as("seen", state)?;
        }
        Ok(Self { key: config.key, seen })
    }

    fn rows(&mut self, rows: &Rows, out: &mut Out) -> Result<()> {
        let key: Vec<&str> = self.key.iter().map(String::as_str).collect();
        let new = self.seen.is_new(&rows.columns(&key)?)?;
        let (kept, _) = out.sift(rows, |row| ensure(new[row], "key.again", || "its key was there before".into()));
        out.keep("distinct", kept)
    }

    fn snapshot(&mut self, state: &mut State) -> Result<()> {
        self.seen.save_as("seen", state);
        Ok(())
    }
}

sluicebox_sdk::export!(Distinct);

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"{"key": ["id"], "numbers": true}"#;

    #[test]
    fn a_key_passes_once_also_after_a_restart() {
        let mut harness = Harness::<Distinct>::open(CONFIG).unwrap();
        let recorded = harness.push_json("rows", "{\"id\": 1}\n{\"id\": 2}\n{\"id\": 1}\n{}\n{}").unwrap();
        assert_eq!(recorded.codes(), [(2, "key.again"), (4, "key.again")]);
        let state = harness.snapshot().unwrap();
        let mut next = Harness::<Distinct>::open_with(CONFIG, &[], Some(state.clone())).unwrap();
        let recorded = next.push_json("rows", "{\"id\": 2}\n{\"id\": 3}").unwrap();
        assert_eq!(recorded.codes(), [(0, "key.again")]);
        assert_ne!(next.snapshot().unwrap(), state);
    }
}
