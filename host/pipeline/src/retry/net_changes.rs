//! Changes in quarantine that undo each other.
//!
//! Of a row that was refused, what takes it away later may be refused, too: both wait in quarantine. Trying the
//! first alone would bring back a row that its upstream has no more, over the one that took its place.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Map, Value};

use sluicebox_core::batch::{Reject, column};

/// By what a row holds and where it was refused: how often it waits and how often it was undone.
#[derive(Default)]
pub struct NetChanges(HashMap<u64, Pair>);

#[derive(Default)]
struct Pair {
    /// Rows that nothing has undone so far.
    waiting: u64,
    /// Rows that were undone, and have yet to leave.
    undone: u64,
    /// What undid them, and has yet to leave.
    undoing: u64,
}

impl NetChanges {
    /// Takes note of a row, in the order in which rows were refused.
    pub fn see(&mut self, reject: &Reject) {
        let Some((row, weight)) = change(reject) else { return };
        let pair = self.0.entry(row).or_default();
        if weight > 0 {
            pair.waiting += 1;
        } else if pair.waiting > 0 {
            pair.waiting -= 1;
            pair.undone += 1;
            pair.undoing += 1;
        }
    }

    /// Whether a row leaves the quarantine without being tried. Each is asked about once, when all were seen.
    pub fn is_settled(&mut self, reject: &Reject) -> bool {
        let Some((row, weight)) = change(reject) else { return false };
        let Some(pair) = self.0.get_mut(&row) else { return false };
        let left = if weight > 0 { &mut pair.undone } else { &mut pair.undoing };
        let settled = *left > 0;
        *left = left.saturating_sub(1);
        settled
    }
}

/// A number for what a change's row holds, and the change's weight; `None` for what is no change.
fn change(reject: &Reject) -> Option<(u64, i64)> {
    let mut row: Map<String, Value> = serde_json::from_slice(&reject.payload).ok()?;
    let weight = row.remove(column::WEIGHT)?.as_i64()?;
    row.remove(column::CHANGE_TYPE);
    let mut hasher = DefaultHasher::new();
    reject.stage.to_string().hash(&mut hasher);
    Value::Object(row).to_string().hash(&mut hasher);
    Some((hasher.finish(), weight))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluicebox_core::batch::Stage;

    fn reject(payload: &str) -> Reject {
        Reject {
            lane: "l".into(),
            position: 1,
            line: None,
            reason: "range".to_owned(),
            message: String::new(),
            stage: Stage::Table("gold.t".into()),
            payload: payload.as_bytes().to_vec(),
        }
    }

    #[test]
    fn what_was_undone_is_settled_and_the_rest_is_not() {
        let row = |v: i64, weight: i64| reject(&format!(r#"{{"id":1,"v":{v},"_weight":{weight},"_change_type":"x"}}"#));
        let seen = [row(5, 1), row(5, -1), row(6, 1), row(7, -1), row(7, 1), row(5, 1)];
        let mut pairs = NetChanges::default();
        seen.iter().for_each(|reject| pairs.see(reject));
        let settled: Vec<bool> = seen.iter().map(|reject| pairs.is_settled(reject)).collect();
        // What takes a row away before it came undoes nothing.
        assert_eq!(settled, [true, true, false, false, false, false]);
        assert!(!pairs.is_settled(&reject("not JSON")) && !pairs.is_settled(&reject(r#"{"id":1}"#)));
    }
}
