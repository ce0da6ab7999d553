//! Write transform modules for Sluicebox.
//!
//! A module implements [`Transform`] and names it in [`export!`]. It describes its inputs and outputs, then takes
//! rows and emits rows. This one fits on a screen and cleans products:
//!
//! ```
//! use sluicebox_sdk::prelude::*;
//!
//! pub struct CleanProducts;
//!
//! impl Transform for CleanProducts {
//!     type Config = NoConfig;
//!
//!     fn describe(_: &NoConfig) -> Result<Descriptor> {
//!         Ok(Descriptor::new("clean_products", "0.1.0")
//!             .rows("rows", [int64("product_id"), decimal("price", 10, 2), int32("stock")])
//!             .pass_through("clean", "rows", SYSTEM_COLUMNS, [required(utf8("product_id")), required(int32("stock"))])
//!             .row_preserving())
//!     }
//!
//!     fn open(_: NoConfig, _: &Inputs, _: Option<&State>) -> Result<Self> {
//!         Ok(Self)
//!     }
//!
//!     fn rows(&mut self, rows: &Rows, out: &mut Out) -> Result<()> {
//!         let (id, price, stock) = (rows.i64("product_id")?, rows.decimal("price")?, rows.i32("stock")?);
//!         let (kept, made) = out.sift(rows, |row| {
//!             let id = id.required(row)?;
//!             let price = price.required(row)?;
//!             ensure(price > 0, "price.not-positive", || format!("price of product {id} is not positive"))?;
//!             Ok((id.to_string(), stock.get(row).unwrap_or(0)))
//!         });
//!         let (ids, stocks): (Vec<_>, Vec<_>) = made.into_iter().unzip();
//!         out.keep("clean", kept.column("product_id", strings(ids)).column("stock", int32s(stocks)))
//!     }
//! }
//!
//! sluicebox_sdk::export!(CleanProducts);
//!
//! // A test needs no host:
//! let mut harness = Harness::<CleanProducts>::open("{}")?;
//! let recorded = harness.push_json("rows", r#"
//!     {"product_id": 1, "price": 9.99, "name": "Teapot"}
//!     {"product_id": 2, "price": 0.00, "name": "Gift"}
//! "#)?;
//! assert_eq!(recorded.json("clean"), [r#"{"product_id":"1","price":9.99,"stock":0,"name":"Teapot"}"#]);
//! assert_eq!(recorded.codes(), [(1, "price.not-positive")]);
//! # Ok::<(), Failure>(())
//! ```
//!
//! A module has no files, no network, no clock and no randomness; its only effects are [`Out`], [`log`] and
//! [`metric`].

mod describe;
mod failure;
mod gather;
mod job;
mod keys;
mod once;
mod out;
mod rows;
mod state;
mod values;
mod weights;
mod windows;

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod guest;
#[cfg(not(target_arch = "wasm32"))]
mod harness;
#[cfg(not(target_arch = "wasm32"))]
mod json;

pub mod prelude;

pub use describe::{
    Descriptor, SYSTEM_COLUMNS, binary, boolean, date, decimal, float64, int32, int64, required, timestamp, utf8,
};
pub use failure::{Failure, Result};
#[cfg(not(target_arch = "wasm32"))]
pub use harness::{Harness, Recorded, Rejected};
pub use job::Inputs;
pub use keys::{Groups, Lookup, Matches};
pub use once::{Once, Seen};
pub use out::{Kept, Out, Reject, ensure};
pub use rows::{Column, Rows};
pub use state::State;
pub use values::{booleans, dates, decimals, float64s, int32s, int64s, strings, timestamps};
pub use weights::{WEIGHT, weight};
pub use windows::{Merge, Sessions, Watermark, Window, Windowed, Windows};

pub use arrow_array;
pub use arrow_schema;
pub use arrow_select;
pub use serde;

/// A transform module.
pub trait Transform: Sized + 'static {
    /// The `config` of the hop in the pipeline file. With `#[serde(deny_unknown_fields)]` misspelt keys are errors;
    /// [`NoConfig`] is for modules without configuration.
    type Config: serde::de::DeserializeOwned;

    /// Describes the module under this configuration. Must be pure.
    fn describe(config: &Self::Config) -> Result<Descriptor>;

    /// Starts a job on the bound inputs, with the state that an earlier job saved.
    fn open(config: Self::Config, inputs: &Inputs, restored: Option<&State>) -> Result<Self>;

    /// Takes rows of a lookup table. Every lookup table is passed as a whole, before the first call of `rows`; an
    /// empty batch comes first, so that the columns of an empty table are known too.
    fn lookup(&mut self, rows: &Rows) -> Result<()> {
        Err(Failure::internal(format!("this module does nothing with the lookup {:?}", rows.port())))
    }

    /// Takes rows.
    fn rows(&mut self, rows: &Rows, out: &mut Out) -> Result<()>;

    /// No more rows will come on any port: emit what was held back.
    fn end(&mut self, _out: &mut Out) -> Result<()> {
        Ok(())
    }

    /// The host is about to commit: emit what is ready. The watermark is the event time, in microseconds since
    /// 1970-01-01 UTC, before which no row is expected.
    fn flush(&mut self, _watermark: Option<i64>, _out: &mut Out) -> Result<()> {
        Ok(())
    }

    /// Saves all state. Needed by a module that is [`stateful`](Descriptor::stateful).
    fn snapshot(&mut self, _state: &mut State) -> Result<()> {
        Ok(())
    }
}

/// The configuration of a module without one: any key in it is an error.
#[derive(Clone, Copy, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

/// The level of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For the module's author.
    Debug,
    /// Worth knowing.
    Info,
    /// Worth a look.
    Warn,
    /// Wrong.
    Error,
}

/// Writes a line to the host's log. The host keeps a limited number for each call.
pub fn log(level: Level, message: &str) {
    #[cfg(target_arch = "wasm32")]
    guest::log(level, message);
    #[cfg(not(target_arch = "wasm32"))]
    harness::log(level, message);
}

/// Adds to a metric that the host reports for the hop.
pub fn metric(name: &str, value: f64) {
    #[cfg(target_arch = "wasm32")]
    guest::metric(name, value);
    #[cfg(not(target_arch = "wasm32"))]
    harness::metric(name, value);
}

/// Exports a transform from the component: `sluicebox_sdk::export!(CleanProducts);`, once in a crate of type
/// `cdylib`. It does nothing in a native build.
#[macro_export]
macro_rules! export {
    ($transform:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Component = $crate::guest::Component<$transform>;
    $crate::guest::bindings::export!(Component with_types_in $crate::guest::bindings);
        };
    };
}
