//! Net changes of a quarantine: changes that undo each other are left out.
//!
//! If a row was rejected, its later deletion may be rejected, too. Retrying the row alone would bring back a row that
//! the upstream has deleted, over the one that replaced it.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::replay::hash_of;
use sluicebox_core::batch::Reject;
use sluicebox_core::columns::{SystemColumn, SystemNames};

/// By what a row holds and where it was refused: how often it waits and how often it was undone.
#[derive(Default)]
pub struct NetChanges {
    /// What the rows call their weight and their kind of change; `None` where they are no changes.
    marks: Option<[String; 2]>,
    pairs: HashMap<u128, Pair>,
}

#[derive(Default)]
struct Pair {
    /// Insertions without a deletion so far.
    waiting: u64,
    /// Insertions with a deletion, still in quarantine.
    undone: u64,
    /// Deletions with an insertion, still in quarantine.
    undoing: u64,
}

impl NetChanges {
    /// For changes under these names. Rows that are no changes undo nothing, whatever their columns are called.
    pub fn of(names: Option<&SystemNames>) -> Self {
        let marks = names.map(|names| [SystemColumn::Weight, SystemColumn::ChangeType].map(|mark| names.name(mark)));
        Self { marks, pairs: HashMap::new() }
    }

    /// Takes note of a row, in the order in which rows were refused.
    pub fn see(&mut self, reject: &Reject) {
        let Some((row, weight)) = self.change(reject) else { return };
        let pair = self.pairs.entry(row).or_default();
        if weight > 0 {
            pair.waiting += 1;
        } else if pair.waiting > 0 {
            pair.waiting -= 1;
            pair.undone += 1;
            pair.undoing += 1;
        }
    }

    /// Whether a row leaves the quarantine without a retry. Called once for each row, after all were added.
    pub fn is_settled(&mut self, reject: &Reject) -> bool {
        let Some((row, weight)) = self.change(reject) else { return false };
        let Some(pair) = self.pairs.get_mut(&row) else { return false };
        let left = if weight > 0 { &mut pair.undone } else { &mut pair.undoing };
        let settled = *left > 0;
        *left = left.saturating_sub(1);
        settled
    }

    /// A digest of what a change's row holds, and the change's weight; `None` for what is no change.
    ///
    /// Two rows of one digest would let one leave untried that nothing has undone, so that it has the bits
    /// that nobody can make meet.
    fn change(&self, reject: &Reject) -> Option<(u128, i64)> {
        let [weight, change_type] = self.marks.as_ref()?;
        let mut row: Map<String, Value> = serde_json::from_slice(&reject.payload).ok()?;
        let weight = row.remove(weight)?.as_i64()?;
        row.remove(change_type);
        // A stage's name has no such character, so that no two pairs are the same bytes.
        Some((hash_of(format!("{}\0{}", reject.stage, Value::Object(row)).as_bytes()), weight))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluicebox_core::batch::Stage;
    use sluicebox_core::reject::RejectCode;

    fn reject(payload: &str) -> Reject {
        Reject {
            lane: "l".into(),
            position: 1,
            line: None,
            reason: RejectCode::ExpectRange.into(),
            message: String::new(),
            stage: Stage::Table("gold.t".into()),
            payload: payload.as_bytes().to_vec(),
        }
    }

    #[test]
    fn what_was_undone_is_settled_and_the_rest_is_not() {
        let row = |v: i64, weight: i64| reject(&format!(r#"{{"id":1,"v":{v},"_weight":{weight},"_change_type":"x"}}"#));
        let seen = [row(5, 1), row(5, -1), row(6, 1), row(7, -1), row(7, 1), row(5, 1)];
        let mut pairs = NetChanges::of(Some(&SystemNames::default()));
        seen.iter().for_each(|reject| pairs.see(reject));
        let settled: Vec<bool> = seen.iter().map(|reject| pairs.is_settled(reject)).collect();
        // A deletion before its insertion undoes nothing.
        assert_eq!(settled, [true, true, false, false, false, false]);
        assert!(!pairs.is_settled(&reject("not JSON")) && !pairs.is_settled(&reject(r#"{"id":1}"#)));
    }
}
