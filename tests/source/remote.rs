//! Files in an object store are read as local ones are.

use std::sync::Arc;

use arrow_array::{Int64Array, RecordBatch};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::ArrowWriter;
use sluicebox_core::plan::{Compression, Encoding, Format, Timestamps};
use sluicebox_formats::{self as format, FileSpec, FormatError, Input, Meter};

use super::harness::{RUNTIME, csv};

fn input(name: &str, bytes: &[u8]) -> Input {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    RUNTIME.block_on(store.put(&Path::from(name), bytes.to_vec().into())).unwrap();
    Input::Remote { store, path: Path::from(name), runtime: RUNTIME.handle().clone() }
}

fn read(input: &Input, format: &Format, skip: u64) -> Result<(usize, u64), FormatError> {
    let meter = Meter::default();
    let spec = FileSpec {
        format,
        compression: Compression::Auto,
        columns: None,
        own_types: false,
        inferred: false,
        demands: Default::default(),
        skip,
        timestamps: Timestamps::Exact,
        whole: true,
    };
    let mut rows = format::open(input, &spec, &meter)?;
    let mut count = 0;
    while let Some(decoded) = rows.next()? {
        count += decoded.rows.num_rows();
    }
    Ok((count, meter.bytes()))
}

#[test]
fn text_and_parquet() {
    let text = format!("a\n{}", "1\n".repeat(20_000));
    let format = Format::Csv(csv());
    assert_eq!(read(&input("a.csv", text.as_bytes()), &format, 5).unwrap(), (19_995, text.len() as u64));
    let zipped = zstd::encode_all(text.as_bytes(), 1).unwrap();
    assert_eq!(read(&input("a.csv.zst", &zipped), &format, 0).unwrap(), (20_000, zipped.len() as u64));
    let rows = RecordBatch::try_from_iter([("a", Arc::new(Int64Array::from_iter_values(0..20_000)) as _)]).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    assert_eq!(read(&input("a.parquet", &bytes), &Format::Parquet, 9_000).unwrap().0, 11_000);
}

#[test]
fn a_missing_object_is_an_error() {
    let Input::Remote { store, runtime, .. } = input("a.csv", b"a\n1\n") else { unreachable!() };
    let gone = Input::Remote { store, path: Path::from("b.csv"), runtime };
    for format in [Format::Csv(csv()), Format::JsonLines { encoding: Encoding::Utf8 }, Format::Parquet, Format::Avro] {
        assert!(matches!(read(&gone, &format, 0), Err(FormatError::Store(_))), "{format:?}");
    }
}
