//! The outputs. Names, units and rounding of the first three are those of the store's
//! reports, so that they can be compared cell by cell.

use crate::figure::Figure::{Count, Country, CountryCode, Cut, Exact, Gender, Rounded};
use crate::figure::{Columns, Table};
use crate::tally::Tally;

/// Who bought anything, by country; top buyers bought ten products or more.
pub(crate) const BUYERS: Table = Table(&[
    &[
        ("country", Country),
        ("buyers", Count(|group| group.all.users)),
        ("top_buyers", Count(|group| group.top.users)),
        ("top_buyer_ratio", Rounded(1, |group| percent(group.top.users, group.all.users))),
        ("female_buyers", Count(|group| group.all.female)),
        ("male_buyers", Count(|group| group.all.male)),
        ("top_female_buyers", Count(|group| group.top.female)),
        ("top_male_buyers", Count(|group| group.top.male)),
        ("female_buyers_ratio", Rounded(1, |group| percent(group.all.female, group.all.users))),
        ("top_female_buyers_ratio", Rounded(1, |group| percent(group.top.female, group.top.users))),
        ("bought_per_wishlist_ratio", Rounded(2, |group| percent(group.all.bought, group.all.wished))),
        ("bought_per_like_ratio", Rounded(2, |group| percent(group.all.bought, group.all.liked))),
        ("top_bought_per_wishlist_ratio", Rounded(2, |group| percent(group.top.bought, group.top.wished))),
        ("top_bought_per_like_ratio", Rounded(2, |group| percent(group.top.bought, group.top.liked))),
        ("total_products_bought", Count(|group| group.all.bought)),
        ("total_products_wished", Count(|group| group.all.wished)),
        ("total_products_liked", Count(|group| group.all.liked)),
        ("top_total_products_bought", Count(|group| group.top.bought)),
        ("top_total_products_wished", Count(|group| group.top.wished)),
        ("top_total_products_liked", Count(|group| group.top.liked)),
        ("mean_products_bought", Rounded(1, |group| mean(&group.all, group.all.bought))),
        ("mean_products_wished", Rounded(1, |group| mean(&group.all, group.all.wished))),
        ("mean_products_liked", Rounded(1, |group| mean(&group.all, group.all.liked))),
        ("top_mean_products_bought", Rounded(1, |group| mean(&group.top, group.top.bought))),
        ("top_mean_products_wished", Rounded(1, |group| mean(&group.top, group.top.wished))),
        ("top_mean_products_liked", Rounded(1, |group| mean(&group.top, group.top.liked))),
    ],
    AUDIENCE,
]);

/// Who sold or lists anything, by country and gender.
pub(crate) const SELLERS: Table = Table(&[&[
    ("country", Country),
    ("sex", Gender),
    ("nb_sellers", Count(|group| group.all.users)),
    ("mean_products_sold", Rounded(2, |group| mean(&group.all, group.all.sold))),
    ("mean_products_listed", Rounded(2, |group| mean(&group.all, group.all.listed))),
    ("mean_seller_pass_rate", Rounded(2, |group| (group.all.pass_rate, 100 * i128::from(group.all.users)))),
    ("total_products_sold", Count(|group| group.all.sold)),
    ("total_products_listed", Count(|group| group.all.listed)),
    ("mean_products_bought", Rounded(2, |group| mean(&group.all, group.all.bought))),
    ("mean_products_wished", Rounded(2, |group| mean(&group.all, group.all.wished))),
    ("mean_products_liked", Rounded(2, |group| mean(&group.all, group.all.liked))),
    ("total_bought", Count(|group| group.all.bought)),
    ("total_wished", Count(|group| group.all.wished)),
    ("total_products_liked", Count(|group| group.all.liked)),
    ("mean_followers", Rounded(1, |group| mean(&group.all, group.all.followers))),
    ("mean_follows", Rounded(1, |group| mean(&group.all, group.all.follows))),
    ("percent_of_app_users", Cut(|group| mean(&group.all, group.all.any_app))),
    ("percent_of_ios_users", Cut(|group| mean(&group.all, group.all.ios_app))),
    ("mean_seniority", Exact(|group| mean(&group.all, group.all.seniority))),
]]);

/// Who sold anything, for countries with top sellers, who sold twenty products or more.
pub(crate) const COUNTRIES: Table = Table(&[
    &[
        ("country", Country),
        ("sellers", Count(|group| group.all.users)),
        ("top_sellers", Count(|group| group.top.users)),
        ("top_seller_ratio", Rounded(1, |group| percent(group.top.users, group.all.users))),
        ("female_sellers_ratio", Rounded(1, |group| percent(group.all.female, group.all.users))),
        ("top_female_sellers_ratio", Rounded(1, |group| percent(group.top.female, group.top.users))),
        ("female_sellers", Count(|group| group.all.female)),
        ("male_sellers", Count(|group| group.all.male)),
        ("top_female_sellers", Count(|group| group.top.female)),
        ("top_male_sellers", Count(|group| group.top.male)),
        ("country_sold_ratio", Rounded(2, |group| quotient(group.all.sold, group.all.listed))),
        ("best_sold_ratio", Rounded(2, |group| quotient(group.top.sold, group.top.listed))),
        ("top_total_products_sold", Count(|group| group.top.sold)),
        ("total_products_sold", Count(|group| group.all.sold)),
        ("top_total_products_listed", Count(|group| group.top.listed)),
        ("total_products_listed", Count(|group| group.all.listed)),
        ("top_mean_products_sold", Exact(|group| mean(&group.top, group.top.sold))),
        ("top_mean_products_listed", Exact(|group| mean(&group.top, group.top.listed))),
        ("mean_products_sold", Exact(|group| mean(&group.all, group.all.sold))),
        ("mean_products_listed", Exact(|group| mean(&group.all, group.all.listed))),
    ],
    AUDIENCE,
]);

/// Who they are, the last columns of two reports.
const AUDIENCE: Columns = &[
    ("mean_offline_days", Rounded(1, |group| offline(&group.all))),
    ("top_mean_offline_days", Rounded(1, |group| offline(&group.top))),
    ("mean_followers", Rounded(1, |group| mean(&group.all, group.all.followers))),
    ("mean_following", Rounded(1, |group| mean(&group.all, group.all.follows))),
    ("top_mean_followers", Rounded(1, |group| mean(&group.top, group.top.followers))),
    ("top_mean_following", Rounded(1, |group| mean(&group.top, group.top.follows))),
];

/// Everybody, by country.
pub(crate) const DASHBOARD: Table = Table(&[&[
    ("country", Country),
    ("country_code", CountryCode),
    ("users", Count(|group| group.all.users)),
    ("female_users", Count(|group| group.all.female)),
    ("male_users", Count(|group| group.all.male)),
    ("buyers", Count(|group| group.all.buyers)),
    ("sellers", Count(|group| group.all.sellers)),
    ("products_bought", Count(|group| group.all.bought)),
    ("products_wished", Count(|group| group.all.wished)),
    ("products_liked", Count(|group| group.all.liked)),
    ("products_sold", Count(|group| group.all.sold)),
    ("products_listed", Count(|group| group.all.listed)),
    ("buyer_percent", Rounded(2, |group| percent(group.all.buyers, group.all.users))),
    ("seller_percent", Rounded(2, |group| percent(group.all.sellers, group.all.users))),
    ("mean_followers", Rounded(2, |group| mean(&group.all, group.all.followers))),
    ("mean_offline_days", Rounded(2, |group| offline(&group.all))),
]]);

fn quotient(above: i64, below: i64) -> (i128, i128) {
    (above.into(), below.into())
}

fn percent(above: i64, below: i64) -> (i128, i128) {
    (100 * i128::from(above), below.into())
}

fn mean(tally: &Tally, sum: i64) -> (i128, i128) {
    quotient(sum, tally.users)
}

/// Over those whose last login is known.
fn offline(tally: &Tally) -> (i128, i128) {
    quotient(tally.offline_days, tally.seen)
}
