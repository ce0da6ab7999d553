//! Reviews of a shop's products, cleaned: with their ids, a rating and a day.

use sluicebox_sdk::prelude::*;

/// Rejects reviews that lack their own id, their product's, a day or a rating above zero. A
/// review without words is still a review.
pub struct CleanReviews;

impl Transform for CleanReviews {
    type Config = NoConfig;

    fn describe(_: &NoConfig) -> Result<Descriptor> {
        Ok(Descriptor::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
            .rows(
                "rows",
                [utf8("review_id"), utf8("product_id"), int32("rating"), date("review_date"), utf8("review_text")],
            )
            .pass_through("clean", "rows", SYSTEM_COLUMNS, [utf8("review_text")])
            .row_preserving())
    }

    fn open(_: NoConfig, _: &Inputs, _: Option<&State>) -> Result<Self> {
        Ok(Self)
    }

    fn rows(&mut self, rows: &Rows, out: &mut Out) -> Result<()> {
        let (review, product) = (rows.utf8("review_id")?, rows.utf8("product_id")?);
        let (rating, day, text) = (rows.i32("rating")?, rows.date("review_date")?, rows.utf8("review_text")?);
        let (kept, texts) = out.sift(rows, |row| {
            let id = review.required(row)?;
            product.required(row)?;
            day.required(row)?;
            let rating = rating.required(row)?;
            ensure(rating > 0, "rating.not-positive", || format!("the rating of review {id} is {rating}"))?;
            Ok(text.get(row).map(str::trim).filter(|text| !text.is_empty()))
        });
        out.keep("clean", kept.column("review_text", strings(texts)))
    }
}

sluicebox_sdk::export!(CleanReviews);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixtures_hold() {
        Harness::<CleanReviews>::check_fixture("fixtures/reviews");
    }
}
