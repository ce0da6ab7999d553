//! Generated data of a shop: customers, products and orders; and events of its programs.
//!
//! A row depends on the seed and its number alone, so any range can be generated at any
//! time and is always the same.

mod customers;
mod events;
mod export;
mod orders;
mod products;

use std::ops::Range;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use arrow_array::{ArrayRef, BinaryArray, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub use events::{Events, event_columns};
pub use export::{write_csv, write_events};

use sluicebox_core::plan::{Dataset, SimulateSpec};

/// Customers that orders refer to: 1 to this.
pub const CUSTOMERS: u32 = 20_000;

/// Products that orders refer to: 1 to this.
pub const PRODUCTS: u32 = 2_000;

/// The columns of a dataset. A dataset of events has one column with their bytes; [`event_columns`] says what these
/// hold.
pub fn schema(dataset: Dataset) -> SchemaRef {
    let price = DataType::Decimal128(10, 2);
    let columns: Vec<(&str, DataType)> = match dataset {
        Dataset::Customers => vec![
            ("customer_id", DataType::Int32),
            ("name", DataType::Utf8),
            ("email", DataType::Utf8),
            ("address", DataType::Utf8),
            ("registration_date", DataType::Date32),
        ],
        Dataset::Products => vec![
            ("product_id", DataType::Int32),
            ("name", DataType::Utf8),
            ("category", DataType::Utf8),
            ("price", price),
            ("stock", DataType::Int32),
        ],
        Dataset::Orders => vec![
            ("order_id", DataType::Int32),
            ("customer_id", DataType::Int32),
            ("product_id", DataType::Int32),
            ("order_date", DataType::Date32),
            ("quantity", DataType::Int32),
            ("status", DataType::Utf8),
            ("shipping_date", DataType::Date32),
        ],
        Dataset::OrderEvents | Dataset::Reviews | Dataset::AppEvents => vec![("event", DataType::Binary)],
    };
    let fields: Vec<Field> = columns.into_iter().map(|(name, kind)| Field::new(name, kind, true)).collect();
    Arc::new(Schema::new(fields))
}

/// The rows `range` of a dataset. The caller checks the bounds.
pub fn rows(spec: &SimulateSpec, range: Range<u64>) -> RecordBatch {
    let dice = Dice::new(spec);
    let columns = match spec.dataset {
        Dataset::Customers => customers::columns(&dice, range),
        Dataset::Products => products::columns(&dice, range),
        Dataset::Orders => orders::columns(&dice, range),
        Dataset::OrderEvents | Dataset::Reviews | Dataset::AppEvents => {
            let events: ArrayRef = Arc::new(BinaryArray::from_iter_values(Events::of(spec, range).iter()));
            vec![events]
        }
    };
    RecordBatch::try_new(schema(spec.dataset), columns)
        .expect("columns of one length and type because each dataset's builder follows its schema")
}

/// All rows of a dataset, `batch` at a time.
pub fn batches(spec: &SimulateSpec, batch: u64) -> impl Iterator<Item = RecordBatch> {
    let (spec, batch) = (spec.clone(), batch.max(1));
    (0..spec.rows.div_ceil(batch)).map(move |at| rows(&spec, at * batch..spec.rows.min((at + 1) * batch)))
}

/// Waits until an event is due.
pub fn wait(until: Instant) {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        // Nobody unparks this thread, but it may wake up by itself.
        thread::park_timeout(left);
    }
}

/// The random generator of rows.
struct Dice {
    generator: ChaCha8Rng,
    bad: f64,
}

/// Random words reserved for one row.
const WORDS: u128 = 256;

impl Dice {
    fn new(spec: &SimulateSpec) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(spec.seed);
        generator.set_stream(match spec.dataset {
            Dataset::Customers => 1,
            Dataset::Products => 2,
            Dataset::Orders => 3,
            Dataset::OrderEvents => 4,
            Dataset::Reviews => 5,
            Dataset::AppEvents => 6,
        });
        Self { generator, bad: spec.bad.clamp(0.0, 1.0) }
    }

    /// The generator of a row, and which of `kinds` faults it has, if any.
    fn row(&self, row: u64, kinds: u32) -> (ChaCha8Rng, Option<u32>) {
        let mut generator = self.generator.clone();
        generator.set_word_pos(u128::from(row) * WORDS);
        let bad = generator.random_bool(self.bad);
        let kind = generator.random_range(0..kinds);
        (generator, bad.then_some(kind))
    }
}

/// The first day of the data, 2023-01-01, in days since 1970.
const FIRST_DAY: i32 = 19_358;
