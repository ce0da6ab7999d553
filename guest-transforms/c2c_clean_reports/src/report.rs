//! What each report holds and what follows from it.

use sluicebox_sdk::arrow_schema::Field;
use sluicebox_sdk::prelude::*;

/// One of the store's reports.
pub(crate) struct Report {
    /// Also the name of the output.
    pub(crate) name: &'static str,
    /// The columns that name a row.
    pub(crate) keys: &'static [&'static str],
    counts: &'static [&'static str],
    rates: &'static [&'static str],
    /// Means that the store left unrounded.
    means: &'static [&'static str],
    pub(crate) derived: &'static [(&'static str, Derived)],
}

/// A column of a report. Its header in the file is its name without the underscores.
pub(crate) struct Column {
    name: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Key,
    Count,
    Rate,
    Mean,
}

/// A column that follows from others, named by their headers. A null makes it null.
pub(crate) enum Derived {
    /// `a / (b + 1)`, in hundredths: the store adds 1 so that nothing is divided by zero.
    RatioPlusOne(&'static str, &'static str),
    /// `a / b`, in hundredths; null where `b` is 0.
    Ratio(&'static str, &'static str),
    /// Whether a percentage is above this.
    Above(&'static str, i128),
    /// Whether one percentage is above another.
    Exceeds(&'static str, &'static str),
    /// Small below 500, Medium below 2000, else Large.
    Size(&'static str),
    /// By the mean number of days since the last login.
    Activity(&'static str),
}

pub(crate) const BUYERS: Report = Report {
    name: "buyers",
    keys: &["country"],
    counts: &[
        "buyers",
        "top_buyers",
        "female_buyers",
        "male_buyers",
        "top_female_buyers",
        "top_male_buyers",
        "total_products_bought",
        "total_products_wished",
        "total_products_liked",
        "top_total_products_bought",
        "top_total_products_wished",
        "top_total_products_liked",
    ],
    rates: &[
        "top_buyer_ratio",
        "female_buyers_ratio",
        "top_female_buyers_ratio",
        "bought_per_wishlist_ratio",
        "bought_per_like_ratio",
        "top_bought_per_wishlist_ratio",
        "top_bought_per_like_ratio",
        "mean_products_bought",
        "mean_products_wished",
        "mean_products_liked",
        "top_mean_products_bought",
        "top_mean_products_wished",
        "top_mean_products_liked",
        "mean_offline_days",
        "top_mean_offline_days",
        "mean_followers",
        "mean_following",
        "top_mean_followers",
        "top_mean_following",
    ],
    means: &[],
    derived: &[
        ("female_to_male_ratio", Derived::RatioPlusOne("femalebuyers", "malebuyers")),
        ("wishlist_to_purchase_ratio", Derived::RatioPlusOne("totalproductswished", "totalproductsbought")),
        ("high_engagement", Derived::Above("boughtperwishlistratio", 50)),
        ("growing_female_market", Derived::Exceeds("femalebuyersratio", "topfemalebuyersratio")),
    ],
};

pub(crate) const SELLERS: Report = Report {
    name: "sellers",
    keys: &["country", "sex"],
    counts: &[
        "nb_sellers",
        "total_products_sold",
        "total_products_listed",
        "total_bought",
        "total_wished",
        "total_products_liked",
    ],
    rates: &[
        "mean_products_sold",
        "mean_products_listed",
        "mean_seller_pass_rate",
        "mean_products_bought",
        "mean_products_wished",
        "mean_products_liked",
        "mean_followers",
        "mean_follows",
        "percent_of_app_users",
        "percent_of_ios_users",
    ],
    means: &["mean_seniority"],
    derived: &[
        ("seller_size_category", Derived::Size("nbsellers")),
        ("mean_products_listed_per_seller", Derived::Ratio("totalproductslisted", "nbsellers")),
        ("high_seller_pass_rate", Derived::Above("meansellerpassrate", 75)),
    ],
};

pub(crate) const COUNTRIES: Report = Report {
    name: "countries",
    keys: &["country"],
    counts: &[
        "sellers",
        "top_sellers",
        "female_sellers",
        "male_sellers",
        "top_female_sellers",
        "top_male_sellers",
        "top_total_products_sold",
        "total_products_sold",
        "top_total_products_listed",
        "total_products_listed",
    ],
    rates: &[
        "top_seller_ratio",
        "female_sellers_ratio",
        "top_female_sellers_ratio",
        "country_sold_ratio",
        "best_sold_ratio",
        "mean_offline_days",
        "top_mean_offline_days",
        "mean_followers",
        "mean_following",
        "top_mean_followers",
        "top_mean_following",
    ],
    means: &["top_mean_products_sold", "top_mean_products_listed", "mean_products_sold", "mean_products_listed"],
    derived: &[
        ("high_female_seller_ratio", Derived::Above("femalesellersratio", 50)),
        ("performance_indicator", Derived::RatioPlusOne("toptotalproductssold", "toptotalproductslisted")),
        ("activity_level", Derived::Activity("meanofflinedays")),
    ],
};

impl Report {
    /// The report's own columns, in the order of the table.
    pub(crate) fn columns(&self) -> impl Iterator<Item = Column> {
        let of = |names: &'static [&'static str], kind| names.iter().map(move |name| Column { name, kind });
        let counts = of(self.counts, Kind::Count).chain(of(self.rates, Kind::Rate));
        of(self.keys, Kind::Key).chain(counts).chain(of(self.means, Kind::Mean))
    }
}

impl Column {
    /// As it is read.
    pub(crate) fn read(&self) -> Field {
        self.field(&self.name.replace('_', ""))
    }

    /// As it is made.
    pub(crate) fn made(&self, keys: &[&str]) -> Field {
        self.field(self.name).with_nullable(!keys.contains(&self.name))
    }

    fn field(&self, name: &str) -> Field {
        match self.kind {
            Kind::Key => utf8(name),
            Kind::Count => int32(name),
            Kind::Rate => decimal(name, 12, 2),
            Kind::Mean => float64(name),
        }
    }
}

impl Derived {
    pub(crate) fn field(&self, name: &str) -> Field {
        match self {
            Derived::RatioPlusOne(..) | Derived::Ratio(..) => decimal(name, 12, 2),
            Derived::Above(..) | Derived::Exceeds(..) => boolean(name),
            Derived::Size(_) | Derived::Activity(_) => utf8(name),
        }
    }

    /// The column for every row.
    pub(crate) fn column(&self, rows: &Rows) -> Result<ArrayRef> {
        Ok(match self {
            Derived::RatioPlusOne(above, below) => ratio(rows, above, below, 1)?,
            Derived::Ratio(above, below) => ratio(rows, above, below, 0)?,
            Derived::Above(rate, percent) => {
                booleans(rows.decimal(rate)?.iter().map(|rate| Some(rate? > percent * 100)))
            }
            Derived::Exceeds(one, other) => {
                let pairs = rows.decimal(one)?.iter().zip(rows.decimal(other)?.iter());
                booleans(pairs.map(|(one, other)| Some(one? > other?)))
            }
            Derived::Size(count) => strings(rows.i32(count)?.iter().map(|count| {
                count.map(|count| match count {
                    ..500 => "Small",
                    500..2_000 => "Medium",
                    _ => "Large",
                })
            })),
            Derived::Activity(days) => strings(rows.decimal(days)?.iter().map(|hundredths| {
                hundredths.map(|hundredths| match hundredths {
                    ..3_000 => "Highly Active",
                    3_000..6_000 => "Moderately Active",
                    _ => "Low Activity",
                })
            })),
        })
    }
}

/// `above / (below + plus)`, in hundredths rounded to the nearest.
fn ratio(rows: &Rows, above: &str, below: &str, plus: i128) -> Result<ArrayRef> {
    let pairs = rows.i32(above)?.iter().zip(rows.i32(below)?.iter());
    decimals(
        12,
        2,
        pairs.map(|(above, below)| {
            let (above, below) = (i128::from(above?), i128::from(below?) + plus);
            (below > 0 && above >= 0).then(|| (200 * above + below) / (2 * below))
        }),
    )
}
