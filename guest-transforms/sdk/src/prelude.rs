//! The usual imports of a module: `use sluicebox_sdk::prelude::*;`.

pub use crate::{
    Column, Descriptor, Failure, Groups, Inputs, Kept, Level, Lookup, Matches, NoConfig, Out, Reject, Result, Rows,
    SYSTEM_COLUMNS, State, Transform,
};
#[cfg(not(target_arch = "wasm32"))]
pub use crate::{Harness, Recorded, Rejected};
pub use crate::{Merge, Once, Seen, Sessions, WEIGHT, Watermark, Window, Windowed, Windows};
pub use crate::{binary, boolean, date, decimal, float64, int32, int64, required, timestamp, utf8, weight};
pub use crate::{booleans, dates, decimals, ensure, float64s, int32s, int64s, log, metric, strings, timestamps};
pub use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
