//! Reviews of a shop's products by product and day.

use std::iter::zip;

use serde::{Deserialize, Serialize};
use sluicebox_sdk::prelude::*;

/// Counts reviews and averages their ratings, by product and day. An average cannot be kept by
/// adding and taking away, so this is for a table of mode `replace`.
pub struct ReviewsSummary {
    groups: Groups,
    totals: Vec<Totals>,
}

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Totals {
    reviews: i64,
    ratings: i64,
}

const STATE_VERSION: u32 = 1;

impl Transform for ReviewsSummary {
    type Config = NoConfig;

    fn describe(_: &NoConfig) -> Result<Descriptor> {
        Ok(Descriptor::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
            .rows("reviews", [utf8("product_id"), date("review_date"), int32("rating")].map(required))
            .output(
                "summary",
                [utf8("product_key"), date("review_date_key"), int64("total_reviews"), decimal("avg_rating", 12, 2)]
                    .map(required),
            )
            .stateful(STATE_VERSION))
    }

    fn open(_: NoConfig, _: &Inputs, restored: Option<&State>) -> Result<Self> {
        let mut job = Self { groups: Groups::of([utf8("product_id"), date("review_date")])?, totals: Vec::new() };
        if let Some(state) = restored {
            job.groups.restore(state.get("groups").unwrap_or_default())?;
            job.totals = state.json("totals")?.unwrap_or_default();
        }
        Ok(job)
    }

    fn rows(&mut self, rows: &Rows, _: &mut Out) -> Result<()> {
        let groups = self.groups.number(&rows.columns(&["product_id", "review_date"])?)?;
        self.totals.resize(self.groups.len(), Totals::default());
        for (group, rating) in zip(groups, rows.i32("rating")?.iter()) {
            let totals = &mut self.totals[group];
            totals.reviews += 1;
            totals.ratings += i64::from(rating.unwrap_or(0));
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Out) -> Result<()> {
        let mut columns = self.groups.columns()?;
        columns.push(int64s(self.totals.iter().map(|totals| totals.reviews)));
        columns.push(decimals(12, 2, self.totals.iter().map(Totals::average))?);
        out.emit("summary", columns)
    }

    fn snapshot(&mut self, state: &mut State) -> Result<()> {
        state.put("groups", self.groups.save());
        state.put_json("totals", &self.totals)
    }
}

impl Totals {
    /// In hundredths, a half rounded up; there is no group without a review, and no rating below one.
    fn average(&self) -> i128 {
        let (reviews, ratings) = (i128::from(self.reviews.max(1)), i128::from(self.ratings));
        (200 * ratings + reviews) / (2 * reviews)
    }
}

sluicebox_sdk::export!(ReviewsSummary);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixtures_hold() {
        Harness::<ReviewsSummary>::check_fixture("fixtures/reviews");
    }
}
