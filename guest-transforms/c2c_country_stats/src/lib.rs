//! Figures by country, worked out from the users themselves.
//!
//! Three outputs are the store's own reports (buyers, sellers, top-seller countries)
//! made again: every column of theirs follows from the users of the first drop alone,
//! and so only users of the configured `snapshot` count in them. The fourth, for a
//! dashboard, counts every user.

mod figure;
mod tables;
mod tally;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sluicebox_sdk::prelude::*;

use tally::{Tally, Users};

/// Gathers users by country; emits at the end of the input, in the order of countries,
/// so that the same users give the same tables in whatever order they come.
///
/// A user without a country counts nowhere but in the metric `users_without_country`,
/// an unknown number of products or followers counts as none.
pub struct CountryStats {
    /// Only its users count in the reports.
    snapshot: Option<String>,
    groups: Groups,
}

/// Which users the store's reports are about.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The snapshot that they came with; without it, every user counts.
    snapshot: Option<String>,
}

#[derive(Default)]
struct Groups {
    buyers: ByKey,
    sellers: ByKey,
    countries: ByKey,
    dashboard: ByKey,
}

/// By country, and by gender where the report is.
type ByKey = BTreeMap<(String, String), Group>;

/// What is known of the users of a group.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Group {
    country_code: Option<String>,
    all: Tally,
    /// Those who bought or sold many products.
    top: Tally,
}

/// Products bought that make a top buyer.
const TOP_BUYER: i64 = 10;
/// Products sold that make a top seller.
const TOP_SELLER: i64 = 20;
const STATE_VERSION: u32 = 1;

impl Transform for CountryStats {
    type Config = Config;

    fn describe(_: &Config) -> Result<Descriptor> {
        Ok(Descriptor::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
            .rows("users", Users::fields())
            .output("buyers", tables::BUYERS.fields())
            .output("sellers", tables::SELLERS.fields())
            .output("countries", tables::COUNTRIES.fields())
            .output("dashboard", tables::DASHBOARD.fields())
            .stateful(STATE_VERSION))
    }

    fn open(config: Config, _: &Inputs, restored: Option<&State>) -> Result<Self> {
        let groups = restored.map(Groups::restore).transpose()?.unwrap_or_default();
        Ok(Self { snapshot: config.snapshot, groups })
    }

    fn rows(&mut self, rows: &Rows, _: &mut Out) -> Result<()> {
        let users = Users::of(rows)?;
        let mut without_country = 0_u32;
        for row in rows.indexes() {
            match users.country(row) {
                Some(country) => {
                    let reported = self.snapshot.is_none() || users.snapshot(row) == self.snapshot.as_deref();
                    self.groups.add(country, &users, row, reported);
                }
                None => without_country += 1,
            }
        }
        metric("users_without_country", f64::from(without_country));
        Ok(())
    }

    fn end(&mut self, out: &mut Out) -> Result<()> {
        let Groups { buyers, sellers, countries, dashboard } = &self.groups;
        out.emit("buyers", tables::BUYERS.columns(buyers.iter())?)?;
        out.emit("sellers", tables::SELLERS.columns(sellers.iter())?)?;
        let top = countries.iter().filter(|(_, group)| group.top.users > 0);
        out.emit("countries", tables::COUNTRIES.columns(top)?)?;
        out.emit("dashboard", tables::DASHBOARD.columns(dashboard.iter())?)
    }

    fn snapshot(&mut self, state: &mut State) -> Result<()> {
        self.groups.save(state)
    }
}

impl Groups {
    fn add(&mut self, country: &str, users: &Users, row: usize, reported: bool) {
        let user = users.user(row);
        let add = |groups: &mut ByKey, gender: &str, top: bool| {
            let group = groups.entry((country.to_owned(), gender.to_owned())).or_default();
            group.country_code = group.country_code.take().or_else(|| users.country_code(row).map(str::to_owned));
            group.all.add(&user);
            if top {
                group.top.add(&user);
            }
        };
        add(&mut self.dashboard, "", false);
        if !reported {
            return;
        }
        if user.bought > 0 {
            add(&mut self.buyers, "", user.bought >= TOP_BUYER);
        }
        if user.sold > 0 || user.listed > 0 {
            add(&mut self.sellers, user.gender, false);
        }
        if user.sold > 0 {
            add(&mut self.countries, "", user.sold >= TOP_SELLER);
        }
    }

    fn named(&mut self) -> [(&'static str, &mut ByKey); 4] {
        [
            ("buyers", &mut self.buyers),
            ("sellers", &mut self.sellers),
            ("countries", &mut self.countries),
            ("dashboard", &mut self.dashboard),
        ]
    }

    fn save(&mut self, state: &mut State) -> Result<()> {
        for (name, groups) in self.named() {
            state.put_json(name, &groups.iter().collect::<Vec<_>>())?;
        }
        Ok(())
    }

    fn restore(state: &State) -> Result<Self> {
        let mut restored = Self::default();
        for (name, groups) in restored.named() {
            let saved: Vec<((String, String), Group)> = state.json(name)?.unwrap_or_default();
            *groups = saved.into_iter().collect();
        }
        Ok(restored)
    }
}

sluicebox_sdk::export!(CountryStats);
