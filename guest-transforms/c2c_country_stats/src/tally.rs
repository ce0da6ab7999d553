//! Users, read from the columns and added up.

use serde::{Deserialize, Serialize};
use sluicebox_sdk::arrow_array::types::{Decimal128Type, Int32Type};
use sluicebox_sdk::arrow_array::{BooleanArray, PrimitiveArray};
use sluicebox_sdk::arrow_schema::Field;
use sluicebox_sdk::prelude::*;

type Numbers<'a> = Column<'a, PrimitiveArray<Int32Type>>;

/// The columns of the users that count.
pub(crate) struct Users<'a> {
    country: Column<'a, StringArray>,
    country_code: Column<'a, StringArray>,
    snapshot: Column<'a, StringArray>,
    gender: Column<'a, StringArray>,
    bought: Numbers<'a>,
    wished: Numbers<'a>,
    liked: Numbers<'a>,
    sold: Numbers<'a>,
    listed: Numbers<'a>,
    pass_rate: Column<'a, PrimitiveArray<Decimal128Type>>,
    followers: Numbers<'a>,
    follows: Numbers<'a>,
    seniority: Numbers<'a>,
    offline_days: Numbers<'a>,
    any_app: Column<'a, BooleanArray>,
    ios_app: Column<'a, BooleanArray>,
}

impl<'a> Users<'a> {
    pub(crate) fn fields() -> Vec<Field> {
        let texts = ["country", "country_code", "snapshot", "gender"].map(utf8);
        let numbers = [
            "products_bought",
            "products_wished",
            "social_products_liked",
            "products_sold",
            "products_listed",
            "social_nb_followers",
            "social_nb_follows",
            "seniority",
            "days_since_last_login",
        ];
        let apps = ["has_any_app", "has_ios_app"].map(boolean);
        let mut fields = texts.to_vec();
        fields.extend(numbers.map(int32));
        fields.push(decimal("products_pass_rate", 10, 2));
        fields.extend(apps);
        fields
    }

    pub(crate) fn of(rows: &'a Rows) -> Result<Self> {
        Ok(Self {
            country: rows.utf8("country")?,
            country_code: rows.utf8("country_code")?,
            snapshot: rows.utf8("snapshot")?,
            gender: rows.utf8("gender")?,
            bought: rows.i32("products_bought")?,
            wished: rows.i32("products_wished")?,
            liked: rows.i32("social_products_liked")?,
            sold: rows.i32("products_sold")?,
            listed: rows.i32("products_listed")?,
            pass_rate: rows.decimal("products_pass_rate")?,
            followers: rows.i32("social_nb_followers")?,
            follows: rows.i32("social_nb_follows")?,
            seniority: rows.i32("seniority")?,
            offline_days: rows.i32("days_since_last_login")?,
            any_app: rows.bool("has_any_app")?,
            ios_app: rows.bool("has_ios_app")?,
        })
    }

    pub(crate) fn country(&self, row: usize) -> Option<&'a str> {
        self.country.get(row)
    }

    pub(crate) fn country_code(&self, row: usize) -> Option<&'a str> {
        self.country_code.get(row)
    }

    pub(crate) fn snapshot(&self, row: usize) -> Option<&'a str> {
        self.snapshot.get(row)
    }

    pub(crate) fn user(&self, row: usize) -> User<'a> {
        let number = |column: &Numbers| column.get(row).map_or(0, i64::from);
        User {
            gender: self.gender.get(row).unwrap_or("Other"),
            bought: number(&self.bought),
            wished: number(&self.wished),
            liked: number(&self.liked),
            sold: number(&self.sold),
            listed: number(&self.listed),
            pass_rate: self.pass_rate.get(row).unwrap_or(0),
            followers: number(&self.followers),
            follows: number(&self.follows),
            seniority: number(&self.seniority),
            offline_days: self.offline_days.get(row).map(i64::from),
            any_app: self.any_app.get(row) == Some(true),
            ios_app: self.ios_app.get(row) == Some(true),
        }
    }
}

/// One user.
pub(crate) struct User<'a> {
    pub(crate) gender: &'a str,
    pub(crate) bought: i64,
    pub(crate) sold: i64,
    pub(crate) listed: i64,
    wished: i64,
    liked: i64,
    pass_rate: i128,
    followers: i64,
    follows: i64,
    seniority: i64,
    offline_days: Option<i64>,
    any_app: bool,
    ios_app: bool,
}

/// Users added up.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) users: i64,
    pub(crate) female: i64,
    pub(crate) male: i64,
    /// Users who bought anything.
    pub(crate) buyers: i64,
    /// Users who sold or list anything.
    pub(crate) sellers: i64,
    pub(crate) bought: i64,
    pub(crate) wished: i64,
    pub(crate) liked: i64,
    pub(crate) sold: i64,
    pub(crate) listed: i64,
    /// In hundredths of a per cent.
    pub(crate) pass_rate: i128,
    pub(crate) followers: i64,
    pub(crate) follows: i64,
    pub(crate) seniority: i64,
    pub(crate) offline_days: i64,
    /// Users whose last login is known.
    pub(crate) seen: i64,
    pub(crate) any_app: i64,
    pub(crate) ios_app: i64,
}

impl Tally {
    pub(crate) fn add(&mut self, user: &User) {
        self.users += 1;
        self.female += i64::from(user.gender == "Female");
        self.male += i64::from(user.gender == "Male");
        self.buyers += i64::from(user.bought > 0);
        self.sellers += i64::from(user.sold > 0 || user.listed > 0);
        self.bought += user.bought;
        self.wished += user.wished;
        self.liked += user.liked;
        self.sold += user.sold;
        self.listed += user.listed;
        self.pass_rate += user.pass_rate;
        self.followers += user.followers;
        self.follows += user.follows;
        self.seniority += user.seniority;
        self.offline_days += user.offline_days.unwrap_or(0);
        self.seen += i64::from(user.offline_days.is_some());
        self.any_app += i64::from(user.any_app);
        self.ios_app += i64::from(user.ios_app);
    }
}
