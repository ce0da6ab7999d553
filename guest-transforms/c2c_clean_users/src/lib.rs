//! Users of a fashion store, cleaned: typed, named and described.
//!
//! Drops of several years differ in columns and in what an identifier is (64 bits signed,
//! later 32 bits unsigned); 64-bit integers hold both. `snapshot` says which drop a user
//! came with, because figures of one drop must not count the users of another.

mod words;

use std::collections::BTreeMap;

use serde::Deserialize;
use sluicebox_sdk::arrow_schema::Field;
use sluicebox_sdk::prelude::*;

/// Cleans users; the first output has one row for each user with an identifier and no
/// negative count.
pub struct CleanUsers {
    config: Config,
}

/// How drops are told apart.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The snapshot that a landed file belongs to, by the file's name. A file that is not
    /// named here is a snapshot of its own, called as the file is.
    #[serde(default)]
    snapshots: BTreeMap<String, String>,
}

/// Columns that are only renamed: from, to.
const COPIED: [(&str, &str); 14] = [
    ("type", "type"),
    ("country", "country"),
    ("language", "language"),
    ("productsPassRate", "products_pass_rate"),
    ("civilityGenderId", "civility_gender_id"),
    ("hasAnyApp", "has_any_app"),
    ("hasAndroidApp", "has_android_app"),
    ("hasIosApp", "has_ios_app"),
    ("hasProfilePicture", "has_profile_picture"),
    ("daysSinceLastLogin", "days_since_last_login"),
    ("seniority", "seniority"),
    ("seniorityAsMonths", "seniority_as_months"),
    ("seniorityAsYears", "seniority_as_years"),
    ("websiteLongevity", "website_longevity"),
];

/// Columns that count something and cannot be below zero: from, to.
const COUNTS: [(&str, &str); 7] = [
    ("socialNbFollowers", "social_nb_followers"),
    ("socialNbFollows", "social_nb_follows"),
    ("socialProductsLiked", "social_products_liked"),
    ("productsListed", "products_listed"),
    ("productsSold", "products_sold"),
    ("productsWished", "products_wished"),
    ("productsBought", "products_bought"),
];

const IDENTIFIER: &str = "identifierHash";
const LANE: &str = "_lane";

/// What is worked out for one user.
struct User {
    id: i64,
    country_code: Option<String>,
    language: &'static str,
    gender: &'static str,
    title: Option<&'static str>,
    /// In hundredths of a year.
    since_login: Option<i128>,
    /// In hundredths of a year.
    age: Option<i128>,
    age_group: Option<&'static str>,
    descriptor: String,
    snapshot: Option<String>,
}

impl Transform for CleanUsers {
    type Config = Config;

    fn describe(_: &Config) -> Result<Descriptor> {
        let copied = COPIED.iter().map(|(from, _)| column(from, from));
        let counts = COUNTS.iter().map(|(from, _)| int32(from));
        let read = [int64(IDENTIFIER), utf8("countryCode"), utf8("gender"), utf8("civilityTitle"), utf8(LANE)];
        let made = [
            required(int64("identifier_hash")),
            utf8("country_code"),
            required(utf8("language_full")),
            required(utf8("gender")),
            utf8("civility_title"),
            decimal("years_since_last_login", 10, 2),
            decimal("account_age_years", 10, 2),
            utf8("account_age_group"),
            required(utf8("user_descriptor")),
            utf8("snapshot"),
        ];
        let copied_to = COPIED.iter().map(|(from, to)| column(from, to));
        let counted_to = COUNTS.iter().map(|(_, to)| int32(to));
        Ok(Descriptor::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
            .rows("rows", read.into_iter().chain(copied).chain(counts))
            .output("users", made.into_iter().chain(copied_to).chain(counted_to))
            .row_preserving())
    }

    fn open(config: Config, _: &Inputs, _: Option<&State>) -> Result<Self> {
        Ok(Self { config })
    }

    fn rows(&mut self, rows: &Rows, out: &mut Out) -> Result<()> {
        let (id, lane) = (rows.i64(IDENTIFIER)?, rows.utf8(LANE)?);
        let (code, language) = (rows.utf8("countryCode")?, rows.utf8("language")?);
        let (gender, title) = (rows.utf8("gender")?, rows.utf8("civilityTitle")?);
        let (login, seniority) = (rows.i32("daysSinceLastLogin")?, rows.i32("seniority")?);
        let counts = COUNTS.iter().map(|(from, _)| rows.i32(from)).collect::<Result<Vec<_>>>()?;

        let (kept, users) = out.sift(rows, |row| {
            let id = id.required(row)?;
            for (count, (name, _)) in counts.iter().zip(COUNTS) {
                let value = count.get(row).unwrap_or(0);
                ensure(value >= 0, "count.negative", || format!("{name} of user {id} is {value}"))?;
            }
            let country_code = code.get(row).map(str::to_uppercase);
            let (language, gender) = (words::language(language.get(row)), words::gender(gender.get(row)));
            let title = title.get(row).map(words::title);
            Ok(User {
                id,
                descriptor: words::descriptor(gender, country_code.as_deref(), title, language),
                country_code,
                language,
                gender,
                title,
                since_login: login.get(row).map(hundredths_of_years),
                age: seniority.get(row).map(hundredths_of_years),
                age_group: seniority.get(row).map(words::age_group),
                snapshot: lane.get(row).map(|lane| self.snapshot_of(lane).to_owned()),
            })
        });

        let mut columns = vec![
            int64s(users.iter().map(|user| user.id)),
            strings(users.iter().map(|user| user.country_code.as_deref())),
            strings(users.iter().map(|user| user.language)),
            strings(users.iter().map(|user| user.gender)),
            strings(users.iter().map(|user| user.title)),
            decimals(10, 2, users.iter().map(|user| user.since_login))?,
            decimals(10, 2, users.iter().map(|user| user.age))?,
            strings(users.iter().map(|user| user.age_group)),
            strings(users.iter().map(|user| user.descriptor.as_str())),
            strings(users.iter().map(|user| user.snapshot.as_deref())),
        ];
        for (from, _) in COPIED.iter().chain(&COUNTS) {
            columns.push(kept.of_column(rows.column(from)?)?);
        }
        out.emit("users", columns)
    }
}

impl CleanUsers {
    /// A lane is the file's path in the drop folder.
    fn snapshot_of<'a>(&'a self, lane: &'a str) -> &'a str {
        let file = lane.rsplit('/').next().unwrap_or(lane);
        self.config.snapshots.get(file).map_or(file, String::as_str)
    }
}

/// A copied column of its own type.
fn column(from: &str, name: &str) -> Field {
    match from {
        "type" | "country" | "language" => utf8(name),
        "productsPassRate" | "seniorityAsMonths" | "seniorityAsYears" => decimal(name, 10, 2),
        _ if from.starts_with("has") => boolean(name),
        _ => int32(name),
    }
}

/// Days as hundredths of years of 365 days, rounded to the nearest.
fn hundredths_of_years(days: i32) -> i128 {
    let hundredths = i128::from(days) * 100;
    (2 * hundredths + hundredths.signum() * 365) / 730
}

sluicebox_sdk::export!(CleanUsers);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixtures_hold() {
        Harness::<CleanUsers>::check_fixture("fixtures/two-drops");
    }

    #[test]
    fn years_are_rounded_to_the_nearest_hundredth() {
        let cases = [(0, 0), (365, 100), (709, 194), (3205, 878), (1, 0), (2, 1), (-365, -100), (i32::MAX, 588351684)];
        for (days, expected) in cases {
            assert_eq!(hundredths_of_years(days), expected, "{days} days");
        }
    }
}
