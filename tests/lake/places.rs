//! A lake lies in exactly the folder that was named, whatever its name.

use sluicebox_core::plan::WriteMode;
use sluicebox_lake::Lake;

use super::support::{at, put, rows, sorted, spec, upsert};

#[tokio::test]
async fn folders_of_every_name() {
    let names = [
        "my lake",
        "a%20b",
        "100% #1 + é",
        "q?x&y=z",
        "%2e%2e",
        "日本 😀",
        "a;b,c",
        "[x]{y}",
        "~",
        "back\\slash",
        "#7",
        "a:b",
    ];
    let folder = tempfile::tempdir().expect("a folder");
    for name in names {
        let path = folder.path().join(name);
        let lake = Lake::open(path.to_str().expect("UTF-8")).expect(name);
        let spec = spec("t", upsert("id", None));
        let mut table = lake.table(&spec).await.expect(name);
        // Enough for a checkpoint, and for a reader that begins with it.
        for round in 0..25 {
            put(&mut table, &[rows(&[1, round], &["x", "y"])], at("f", round + 1)).await.expect(name);
        }
        let expected = sorted(&table).await;
        assert_eq!(expected.len(), 25, "{name}");
        let again = Lake::open(path.to_str().expect("UTF-8")).expect(name).table(&spec).await.expect(name);
        assert_eq!(sorted(&again).await, expected, "{name}");
        assert_eq!(again.version(), Some(25), "{name}");
        assert!(path.join("silver/t/_delta_log/00000000000000000025.json").is_file(), "{name}");
        assert_eq!(lake.tables().await.expect(name), [("silver".to_owned(), "t".to_owned())]);
    }
    let mut found: Vec<String> = std::fs::read_dir(folder.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    found.sort();
    let mut expected = names.map(str::to_owned).to_vec();
    expected.sort();
    assert_eq!(found, expected, "nothing lies beside");
}

#[tokio::test]
async fn a_hint_at_a_checkpoint_that_is_gone_is_not_needed() {
    let folder = tempfile::tempdir().expect("a folder");
    let lake = Lake::open(folder.path().to_str().expect("UTF-8")).expect("a lake");
    let spec = spec("t", WriteMode::Append);
    let mut table = lake.table(&spec).await.expect("table");
    for round in 0..22 {
        put(&mut table, &[rows(&[round], &["x"])], at("f", round + 1)).await.expect("commit");
    }
    let log = folder.path().join("silver/t/_delta_log");
    std::fs::remove_file(log.join("00000000000000000020.checkpoint.parquet")).expect("there is a checkpoint");
    assert!(log.join("_last_checkpoint").is_file());
    let mut again = lake.table(&spec).await.expect("the log is all there");
    assert_eq!((again.version(), sorted(&again).await.len()), (Some(22), 22));
    put(&mut again, &[rows(&[22], &["x"])], at("f", 23)).await.expect("commit");
    table.refresh().await.expect("refresh");
    assert_eq!(sorted(&table).await.len(), 23);
}
