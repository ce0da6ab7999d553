//! The native parts of the order job by themselves, on one thread: decode CSV, write Parquet, clean,
//! write Parquet. No tables, no sandbox, no progress: what cannot be saved without better parts.
//!
//! usage: ceiling INPUT.csv FOLDER. Prints one JSON object with seconds per part.

use std::error::Error;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::builder::{BooleanBuilder, StringBuilder};
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array as _, ArrayRef, RecordBatch, StringArray};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow_select::filter::filter_record_batch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;

const BATCH: usize = 8_192;
/// Small row groups cost nothing once encodings fit the data, and a rewrite can skip more of them.
const ROW_GROUP: usize = 64 << 10;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(input), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err("usage: ceiling INPUT.csv FOLDER".into());
    };
    let folder = Path::new(&folder);
    fs::create_dir_all(folder)?;
    let schema = schema();
    let mut csv = arrow_csv::ReaderBuilder::new(schema.clone())
        .with_header(true)
        .with_batch_size(BATCH)
        .build(File::open(input)?)?;
    let mut bronze = writer(&folder.join("bronze.parquet"), &schema)?;
    let mut silver = writer(&folder.join("silver.parquet"), &schema)?;

    let mut parts = [Duration::ZERO; 4];
    let (mut rows_in, mut rows_out, mut last) = (0, 0, None);
    loop {
        let Some(batch) = timed(&mut parts[0], || csv.next().transpose())? else { break };
        timed(&mut parts[1], || bronze.write(&batch))?;
        let clean = timed(&mut parts[2], || clean(&batch, &mut last))?;
        timed(&mut parts[3], || silver.write(&clean))?;
        rows_in += batch.num_rows();
        rows_out += clean.num_rows();
    }
    timed(&mut parts[1], || bronze.close())?;
    timed(&mut parts[3], || silver.close())?;
    let [decode, write_bronze, clean, write_silver] = parts.map(|part| part.as_secs_f64());
    println!(
        "{}",
        serde_json::json!({
            "rows_in": rows_in, "rows_out": rows_out,
            "decode": decode, "write_bronze": write_bronze, "clean": clean, "write_silver": write_silver,
        })
    );
    Ok(())
}

fn timed<T>(part: &mut Duration, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let result = work();
    *part += started.elapsed();
    result
}

fn schema() -> SchemaRef {
    let field = |name: &str, data_type| Field::new(name, data_type, true);
    Arc::new(Schema::new(vec![
        field("order_id", DataType::Int64),
        field("customer_id", DataType::Int64),
        field("product_id", DataType::Utf8),
        field("category", DataType::Utf8),
        field("state", DataType::Utf8),
        field("quantity", DataType::Int32),
        field("price", DataType::Float64),
        field("ts", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
    ]))
}

/// Encodings that fit these columns: a dictionary only where values repeat.
fn writer(path: &Path, schema: &SchemaRef) -> Result<ArrowWriter<File>, Box<dyn Error>> {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_max_row_group_row_count(Some(ROW_GROUP))
        .set_dictionary_enabled(false);
    for running in ["order_id", "ts"] {
        properties = properties.set_column_encoding(ColumnPath::from(running), Encoding::DELTA_BINARY_PACKED);
    }
    for repeating in ["product_id", "category", "state", "quantity"] {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(repeating), true);
    }
    Ok(ArrowWriter::try_new(File::create(path)?, schema.clone(), Some(properties.build()))?)
}

/// What the module does: rejects quantities below 1, drops repeats, tidies the category.
fn clean(batch: &RecordBatch, last: &mut Option<i64>) -> Result<RecordBatch, ArrowError> {
    let orders = batch.column(0).as_primitive::<Int64Type>();
    let quantities = batch.column(5).as_primitive::<Int32Type>();
    let mut keep = BooleanBuilder::with_capacity(batch.num_rows());
    for (order, quantity) in orders.iter().zip(quantities) {
        let repeat = order.is_some() && order == *last;
        *last = order;
        keep.append_value(!repeat && quantity.is_some_and(|quantity| quantity > 0));
    }
    let kept = filter_record_batch(batch, &keep.finish())?;
    let mut columns: Vec<ArrayRef> = kept.columns().to_vec();
    columns[3] = Arc::new(lower_case(kept.column(3).as_string()));
    RecordBatch::try_new(kept.schema(), columns)
}

fn lower_case(values: &StringArray) -> StringArray {
    let mut lower = StringBuilder::with_capacity(values.len(), values.value_data().len());
    for value in values {
        lower.append_option(value.map(|value| value.trim().to_ascii_lowercase()));
    }
    lower.finish()
}
