//! Tables that other programs wrote: the Delta Acceptance Tests.

use sluicebox_delta::DeltaError;
use std::collections::BTreeMap;
use std::path::PathBuf;

use arrow_array::RecordBatch;
use futures::TryStreamExt;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sluicebox_core::plan::WriteMode;
use sluicebox_lake::{Lake, LakeError};

use super::support::{at, lines, put, spec};

/// Tables whose files know columns by other names than their readers do are read and not written,
/// for the sake of this feature.
const MAPPED: [(&str, &str); 2] = [("column_mapping", "columnMapping"), ("iceberg_compat_v1", "icebergCompatV1")];

fn tables() -> Option<PathBuf> {
    let data = std::env::var_os("SLUICE_DATA").map(PathBuf::from);
    let data = data.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"));
    Some(data.join("delta-acceptance/out/reader_tests/generated")).filter(|folder| folder.is_dir())
}

fn expected(folder: &std::path::Path) -> Vec<RecordBatch> {
    let mut batches = Vec::new();
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("expected rows").map(|entry| entry.expect("entry").path()).collect();
    files.sort();
    for file in files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "parquet")) {
        let file = std::fs::File::open(file).expect("a file");
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet").build().expect("a reader");
        batches.extend(reader.map(|batch| batch.expect("rows")));
    }
    batches
}

#[tokio::test]
async fn tables_of_other_programs_are_read() {
    let Some(tables) = tables() else {
        println!("the Delta Acceptance Tests are absent: set SLUICE_DATA to the folder that holds delta-acceptance");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("silver")).expect("a layer");
    let lake = Lake::open(folder.path().to_str().expect("UTF-8")).expect("a lake");
    let mut outcomes = BTreeMap::new();
    for entry in std::fs::read_dir(&tables).expect("tables") {
        let entry = entry.expect("entry");
        let name = entry.file_name().to_string_lossy().into_owned();
        std::os::unix::fs::symlink(entry.path().join("delta"), folder.path().join("silver").join(&name))
            .expect("a link");
        outcomes.insert(name.clone(), outcome(&lake, &name, &entry.path()).await);
    }
    assert_eq!(outcomes.len(), 19);
    for (name, outcome) in outcomes {
        let (found, wanted) = outcome.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(found, wanted, "{name}");
    }
    for (name, refused) in MAPPED {
        let mut table = lake.table(&spec(name, WriteMode::Append)).await.expect("it can be read");
        let rows = table.scan(None).await.expect("rows").try_collect::<Vec<_>>().await.expect("rows");
        let written = put(&mut table, &rows[..1], at("s", 1)).await;
        assert!(
            matches!(&written, Err(DeltaError::Feature { feature, .. }) if feature == refused),
            "{name}: {written:?}"
        );
    }
}

async fn outcome(lake: &Lake, name: &str, folder: &std::path::Path) -> Result<(Vec<String>, Vec<String>), DeltaError> {
    let table = lake.table(&spec(name, WriteMode::Append)).await.map_err(of_table)?;
    let wanted = expected(&folder.join("expected/latest/table_content"));
    let columns: Vec<String> = wanted[0].schema().fields().iter().map(|field| field.name().clone()).collect();
    let found: Vec<RecordBatch> = table.scan(Some(&columns)).await?.try_collect().await?;
    // Both sides in the table's types: the expected files keep timestamps in an old form.
    let schema = found.first().map(RecordBatch::schema);
    let mut wanted: Vec<String> = wanted
        .iter()
        .flat_map(|batch| {
            let columns = batch.columns().iter().enumerate().map(|(index, column)| match &schema {
                Some(schema) => arrow_cast::cast(column, schema.field(index).data_type()).expect("a cast"),
                None => column.clone(),
            });
            let columns: Vec<_> = columns.collect();
            match &schema {
                Some(schema) => lines(&RecordBatch::try_new(schema.clone(), columns).expect("a batch")),
                None => Vec::new(),
            }
        })
        .collect();
    let mut found: Vec<String> = found.iter().flat_map(lines).collect();
    wanted.sort();
    found.sort();
    Ok((found, wanted))
}

/// The error of a table out of that of its lake.
fn of_table(error: LakeError) -> DeltaError {
    match error {
        LakeError::Table(error) => error,
        other => panic!("only the table can fail here: {other}"),
    }
}
