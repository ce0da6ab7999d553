//! Lanes, positions, listing.

use std::io::Write;

use sluicebox_core::batch::Positions;
use sluicebox_core::fault::Fault;
use sluicebox_core::plan::ChangedFiles;
use sluicebox_sources::{Next, Position, SourceError};

use super::harness::{Folder, schema};

fn numbers(count: usize) -> String {
    let mut text = "id,name\n".to_owned();
    for id in 0..count {
        text.push_str(&format!("{id},\"name\n{id}\"\n"));
    }
    text
}

#[test]
fn files_are_lanes_in_the_order_of_their_names() {
    let folder =
        Folder::csv().with("b.csv", "x\n3\n").with("a/z.csv", "x\n2\n").with("a.csv", "x\n1\n").with("c.txt", "x\n4\n");
    let read = folder.read();
    assert_eq!(read.places(), [("a.csv".to_owned(), 0), ("a/z.csv".to_owned(), 0), ("b.csv".to_owned(), 0)]);
    assert_eq!(read.table(), [["1"], ["2"], ["3"]]);
    assert_eq!([read.sealed("a.csv"), read.sealed("a/z.csv"), read.sealed("b.csv")], [Some(4); 3]);
    assert_eq!(read.finished.iter().map(|file| &*file.lane).collect::<Vec<_>>(), ["a.csv", "a/z.csv", "b.csv"]);
}

#[test]
fn a_second_run_finds_nothing_and_a_third_only_what_is_new() {
    let folder = Folder::csv().with("a.csv", "x\n1\n");
    let first = folder.read();
    let second = folder.read_after(&first.positions);
    assert_eq!((second.rows(), second.steps.len()), (0, 0));
    folder.write("0.csv", "x\n0\n");
    assert_eq!(folder.read_after(&first.positions).table(), [["0"]]);
}

#[test]
fn a_kill_after_any_batch_neither_loses_nor_repeats_a_row() {
    let folder = Folder::csv()
        .columns(&[("id", "int64"), ("name", "string")])
        .with("a.csv", numbers(30_000))
        .with("b.csv", numbers(9_000));
    let whole = folder.read();
    assert_eq!(whole.rows(), 39_000);
    assert!(whole.steps.len() > 4);
    let mut done = Positions::default();
    let mut rows = Vec::new();
    // One batch a life.
    loop {
        let mut source = folder.open(&done, None).unwrap();
        let Some(next) = source.next().unwrap().rows() else {
            break;
        };
        done.merge(&next.batch.positions);
        let batch = super::harness::Read { batches: vec![next.batch.rows], ..Default::default() };
        rows.extend(batch.places().into_iter().zip(batch.table()));
    }
    assert_eq!(rows, whole.places().into_iter().zip(whole.table()).collect::<Vec<_>>());
    assert_eq!(done, whole.positions);
}

#[test]
fn a_resume_at_any_record_goes_on_with_the_next() {
    let text = "a,b\n1,x\nbad\n2,\"y\n\n\"\n\n3,z\nbad,bad,bad\n4,w";
    let folder = Folder::csv().columns(&[("a", "int64"), ("b", "string")]).with("a.csv", text);
    let whole = folder.read();
    assert_eq!(whole.places().iter().map(|(_, at)| *at).collect::<Vec<_>>(), [0, 2, 3, 5]);
    for done in 0..=6 {
        let read = folder.read_after(&Positions::of("a.csv".into(), done));
        let left: Vec<_> = whole.places().into_iter().zip(whole.table()).filter(|((_, at), _)| *at >= done).collect();
        assert_eq!(read.places().into_iter().zip(read.table()).collect::<Vec<_>>(), left, "after {done}");
        assert_eq!(read.bad(), whole.bad().into_iter().filter(|bad| bad.0 >= done).collect::<Vec<_>>(), "after {done}");
        assert_eq!(read.sealed("a.csv"), Some(text.len() as u64));
    }
    let error = folder.try_read(&Positions::of("a.csv".into(), 7)).err().unwrap();
    assert!(error.hint().unwrap().contains("changed"), "{error:?}");
}

#[test]
fn a_file_that_was_written_to_after_a_part_of_it_was_read_stops_the_source() {
    let mut folder = Folder::csv().columns(&[("id", "int64")]).with("a.csv", "id\n1\n2\n3\n");
    let done = Positions::of("a.csv".into(), 2);
    let written = std::fs::metadata(folder.path().join("a.csv")).unwrap().modified().unwrap();
    let earlier = written - std::time::Duration::from_secs(60);
    let error = folder.open_since(&done, earlier.into()).err().expect("it may not be what was read");
    assert!(matches!(error, SourceError::ChangedWithin { records: 2, .. }), "{error}");
    let later = written + std::time::Duration::from_secs(60);
    assert!(folder.open_since(&done, later.into()).is_ok(), "nobody wrote to it since");
    folder.spec.changed_files = ChangedFiles::Ignore;
    assert!(folder.open_since(&done, earlier.into()).is_ok());
}

#[test]
fn a_file_that_changed_after_its_end_stops_the_source() {
    let mut folder = Folder::csv().with("a.csv", "x\n1\n");
    let done = folder.read().positions;
    folder.write("a.csv", "x\n1\n2\n");
    let error = folder.try_read(&done).err().unwrap();
    let text = error.to_string();
    assert!(text.contains("a.csv") && text.contains("written to"), "{text}");
    assert!(error.hint().is_some());
    folder.spec.changed_files = ChangedFiles::Ignore;
    let read = folder.read_after(&done);
    assert_eq!((read.rows(), read.left_out.count()), (0, 1));
}

#[test]
fn empty_files_and_bare_headers_are_sealed_at_once() {
    let folder = Folder::csv()
        .with("a.csv", "")
        .with("b.csv", "x,y\n")
        .with("c.csv", "x,y")
        .with("d.csv", "\u{feff}")
        .with("e.csv", "\n\r\n\n")
        .with("f.csv", "x,y\n1,2");
    let read = folder.read();
    assert_eq!(read.table(), [["1", "2"]]);
    for (lane, bytes) in [("a.csv", 0), ("b.csv", 4), ("c.csv", 3), ("d.csv", 3), ("e.csv", 4), ("f.csv", 7)] {
        assert_eq!(read.sealed(lane), Some(bytes), "{lane}");
    }
    assert_eq!(read.finished.len(), 6);
    assert_eq!(folder.read_after(&read.positions).steps.len(), 0);
}

#[test]
fn hidden_and_unfinished_files_are_left_out() {
    let folder = Folder::csv()
        .with(".a.csv", "x\n1\n")
        .with("_a.csv", "x\n1\n")
        .with("._a.csv", "x\n1\n")
        .with("a.csv.tmp", "x\n1\n")
        .with("_temporary/a.csv", "x\n1\n")
        .with("a.csv.part", "x\n1\n");
    assert_eq!(folder.read().rows(), 0);
}

#[test]
fn globs_choose_files_and_recursion_is_asked_for() {
    let mut folder = Folder::csv()
        .with("users.csv", "x\n1\n")
        .with("orders.csv", "x\n2\n")
        .with("sub/users.csv", "x\n3\n")
        .with("users.dat", "x\n4\n");
    folder.spec.recursive = false;
    folder.spec.glob = vec!["*users*".to_owned()];
    assert_eq!(folder.read().table(), [["1"], ["4"]]);
    folder.spec.recursive = true;
    assert_eq!(folder.read().table(), [["1"], ["4"]], "a star stays within its folder");
    folder.spec.glob = vec!["**/users.csv".to_owned(), "orders.*".to_owned()];
    assert_eq!(folder.read().table(), [["2"], ["3"], ["1"]]);
}

#[test]
fn a_missing_folder_and_a_file_in_its_place_are_named() {
    let mut folder = Folder::csv().with("a.csv", "x\n1\n");
    let path = folder.spec.path.clone();
    folder.spec.path = format!("{path}/nowhere");
    let error = folder.fails();
    assert!(error.to_string().contains("/nowhere does not exist") && error.hint().is_some(), "{error}");
    folder.spec.path = format!("{path}/a.csv");
    assert!(folder.fails().to_string().contains("is not a folder"));
    folder.spec.path = "gopher://host/x".to_owned();
    assert!(folder.fails().to_string().contains("gopher://host/x"));
}

#[test]
fn a_file_that_disappears_after_the_listing_is_named() {
    let folder = Folder::csv().with("a.csv", "x\n1\n").with("b.csv", "x\n2\n");
    let mut source = folder.open(&Positions::default(), None).unwrap();
    source.next().unwrap().rows().unwrap();
    std::fs::remove_file(folder.dir.path().join("b.csv")).unwrap();
    let error = source.next().err().unwrap();
    assert!(error.to_string().contains("b.csv"), "{error}");
    assert!(error.hint().unwrap().contains("moved away"), "{error:?}");
}

#[test]
fn archives_are_read_member_by_member() {
    let folder = Folder::csv();
    let gzip = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let text = numbers(20_000);
    let (one, two) = text.split_at(100_000);
    let both = [gzip(one), gzip(two)].concat();
    folder.write("a.csv.gz", &both);
    let frames = [zstd::encode_all(one.as_bytes(), 1).unwrap(), zstd::encode_all(two.as_bytes(), 1).unwrap()].concat();
    folder.write("b.csv.zst", &frames);
    let read = folder.read();
    assert_eq!(read.rows(), 40_000);
    assert_eq!(read.sealed("a.csv.gz"), Some(both.len() as u64));
    assert_eq!(read.sealed("b.csv.zst"), Some(frames.len() as u64));
    for (name, bytes) in [("a.csv.gz", both), ("b.csv.zst", frames)] {
        let folder = Folder::csv().columns(&[("id", "int64"), ("name", "string")]);
        folder.write(name, &bytes[..bytes.len() - 20]);
        let mut source = folder.open(&Positions::default(), None).unwrap();
        let mut rows = 0;
        let error = loop {
            match source.next() {
                Ok(Next::Rows(next)) => {
                    rows += next.batch.rows.num_rows();
                    assert!(next.finished.is_none());
                }
                Ok(other) => panic!("the cut was not seen: {other:?}"),
                Err(error) => break error,
            }
        };
        assert!(rows > 8_000, "what came before the cut is delivered");
        assert!(error.hint().unwrap().contains("ends in the middle"), "{name}: {error:?}");
    }
}

#[test]
fn what_is_known_of_a_table_rules_the_next_file() {
    let folder = Folder::csv().with("a.csv", "zip,n\n7,1\n");
    assert_eq!(folder.schema(None).unwrap(), schema(&[("zip", "int64"), ("n", "int64")]));
    let known = schema(&[("zip", "string")]);
    assert_eq!(folder.schema(Some(known.clone())).unwrap(), schema(&[("zip", "string")]));
    let mut source = folder.open(&Positions::default(), Some(known)).unwrap();
    let rows = source.next().unwrap().rows().unwrap().batch.rows;
    assert_eq!(rows.schema().field(0), schema(&[("zip", "string")]).field(0));
    assert_eq!(rows.schema().field(1), schema(&[("n", "string")]).field(0), "an unknown column is text");
}

#[test]
fn columns_that_were_inferred_hold_for_later_files() {
    let folder = Folder::csv().with("a.csv", "n,s\n1,x\n");
    let first = folder.read();
    folder.write("b.csv", "n,s\nnot a number,y\n2,z\n");
    let read = folder.try_read_known(&first.positions, Some(first.batches[0].schema())).unwrap();
    assert_eq!(read.table(), [["2", "z"]]);
    assert_eq!(read.bad(), [(0, 2, "csv.type", "not a number,y".to_owned())]);
    assert!(Position::read(read.positions.get("b.csv")).is_end());
}

#[test]
fn an_empty_folder_gives_nothing_and_has_no_columns() {
    let folder = Folder::csv().with("a.csv", "");
    assert_eq!(folder.read().rows(), 0);
    assert!(folder.schema(None).unwrap_err().to_string().contains("cannot be inferred"));
}
