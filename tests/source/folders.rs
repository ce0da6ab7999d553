//! Which files of a folder are read, under which names, and how often: whatever the folder holds.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;
use sluicebox_core::batch::Positions;
use sluicebox_core::fault::Fault;
use sluicebox_core::plan::{ChangedFiles, Links};
use sluicebox_sources::{Position, SourceError};

use super::harness::{Folder, Read};

/// A folder whose files hold one number each.
fn numbered() -> Folder {
    Folder::csv().columns(&[("n", "int64")])
}

fn content(number: usize) -> String {
    format!("n\n{number}\n")
}

/// The numbers that were read, in their order.
fn numbers(read: &Read) -> Vec<usize> {
    let mut numbers: Vec<usize> = read.table().into_iter().map(|row| row[0].parse().unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

/// What was left out, by name.
fn left_out(read: &Read) -> BTreeMap<String, String> {
    assert_eq!(read.left_out.count(), read.left_out.named().len() as u64);
    read.left_out.named().iter().cloned().collect()
}

/// One more thing in a tree of folders; the numbers choose among what is there.
#[derive(Clone, Debug)]
enum Step {
    Folder(usize),
    File(usize),
    /// A link in a folder to something, relative or absolute.
    Link(usize, usize, bool),
    /// A second name of a file.
    Name(usize, usize),
    Dangling(usize),
    Pipe(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let at = any::<usize>;
    prop_oneof![
        at().prop_map(Step::Folder),
        at().prop_map(Step::File),
        (at(), at(), any::<bool>()).prop_map(|(folder, to, absolute)| Step::Link(folder, to, absolute)),
        (at(), at(), any::<bool>()).prop_map(|(folder, to, absolute)| Step::Link(folder, to, absolute)),
        (at(), at()).prop_map(|(folder, of)| Step::Name(folder, of)),
        at().prop_map(Step::Dangling),
        at().prop_map(Step::Pipe),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_file_of_a_tree_is_read_once_whatever_links_lead_to_it(
        steps in proptest::collection::vec(step(), 1..24), by_folder in any::<bool>(),
    ) {
        let mut folder = numbered();
        if by_folder {
            // Globs that name folders walk through links where others need not.
            folder.spec.glob = vec!["**/*.csv".to_owned(), "f*/*.csv".to_owned()];
        }
        let root = folder.path().to_owned();
        let mut folders = vec![root.clone()];
        let mut files: Vec<PathBuf> = Vec::new();
        let mut pipes = 0;
        for (number, step) in steps.into_iter().enumerate() {
            let inside = |at: usize| folders[at % folders.len()].clone();
            match step {
                Step::Folder(at) => {
                    let new = inside(at).join(format!("f{number}"));
                    fs::create_dir(&new).unwrap();
                    folders.push(new);
                }
                Step::File(at) => {
                    let new = inside(at).join(format!("{number}.csv"));
                    fs::write(&new, content(number)).unwrap();
                    files.push(new);
                }
                Step::Link(at, to, absolute) => {
                    let all: Vec<&PathBuf> = folders.iter().chain(&files).collect();
                    let to = all[to % all.len()];
                    let is_file = files.contains(to);
                    let name = if is_file { format!("l{number}.csv") } else { format!("fl{number}") };
                    let from = inside(at);
                    let up = from.strip_prefix(&root).unwrap().components().map(|_| "..").collect::<PathBuf>();
                    let target = match absolute {
                        true => to.clone(),
                        false => Path::new(".").join(up).join(to.strip_prefix(&root).unwrap()),
                    };
                    symlink(target, from.join(name)).unwrap();
                }
                Step::Name(at, of) if !files.is_empty() => {
                    fs::hard_link(&files[of % files.len()], inside(at).join(format!("h{number}.csv"))).unwrap();
                }
                Step::Name(..) => {}
                Step::Dangling(at) => symlink("nowhere", inside(at).join(format!("d{number}.csv"))).unwrap(),
                Step::Pipe(at) => {
                    let made = Command::new("mkfifo").arg(inside(at).join(format!("p{number}.csv"))).status().unwrap();
                    prop_assert!(made.success());
                    pipes += 1;
                }
            }
        }
        let read = folder.read();
        let expected: BTreeSet<usize> =
            files.iter().map(|file| file.file_stem().unwrap().to_str().unwrap().parse().unwrap()).collect();
        prop_assert_eq!(numbers(&read), expected.into_iter().collect::<Vec<_>>());
        let out = left_out(&read);
        // A glob that names folders may reach one by several names.
        let named = out.iter().filter(|(_, why)| why.contains("pipe")).map(|(name, _)| name.rsplit('/').next());
        prop_assert_eq!(named.collect::<BTreeSet<_>>().len(), pipes);
        prop_assert_eq!(folder.read_after(&read.positions).steps.len(), 0, "a second run finds nothing new");
    }

    #[test]
    fn a_file_stops_the_source_exactly_when_its_bytes_are_others(
        size in 1_usize..300_000, first in any::<u8>(), steps in proptest::collection::vec((0_u8..6, any::<usize>()), 1..5),
    ) {
        let folder = numbered();
        let path = folder.path().join("a.csv");
        let sealed = [b"n\n".to_vec(), vec![b'0' + first % 10; size], b"\n".to_vec()].concat();
        fs::write(&path, &sealed).unwrap();
        // Long before it is read, so that its time is one that counts.
        let old = std::time::SystemTime::now() - std::time::Duration::from_secs(3_600);
        let set_time = |time| File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        set_time(old);
        let done = folder.read().positions;
        prop_assert!(matches!(Position::read(done.get("a.csv")), Position::Sealed(_)));
        let mut now = sealed.clone();
        for (what, at) in steps {
            match what {
                // One byte of as many, the time of before included.
                0 | 1 => {
                    let at = 2 + at % size;
                    now[at] = if now[at] == b'7' { b'8' } else { b'7' };
                    fs::write(&path, &now).unwrap();
                    if what == 1 {
                        set_time(old);
                    }
                }
                // Another file in its place.
                2 => {
                    let other = folder.path().join("other");
                    fs::write(&other, &now).unwrap();
                    fs::rename(&other, &path).unwrap();
                }
                3 => set_time(std::time::SystemTime::now()),
                4 => {
                    now.extend_from_slice(b"1\n");
                    fs::write(&path, &now).unwrap();
                }
                _ => {
                    now.clone_from(&sealed);
                    fs::write(&path, &now).unwrap();
                }
            }
            match folder.try_read(&done) {
                Ok(read) => {
                    prop_assert!(now == sealed, "a correction was passed over");
                    prop_assert_eq!(read.rows(), 0);
                }
                Err(error) => {
                    prop_assert!(now != sealed, "{}", error);
                    prop_assert!(error.to_string().contains("a.csv"), "{}", error);
                }
            }
        }
    }

    #[test]
    fn every_name_is_a_lane_of_its_own(
        names in proptest::collection::btree_set(proptest::collection::vec(1_u8..=255, 1..6), 1..12),
    ) {
        let folder = numbered();
        let mut expected = Vec::new();
        for (number, name) in names.into_iter().enumerate() {
            let name: Vec<u8> = name.into_iter().filter(|byte| *byte != b'/').collect();
            let path = folder.path().join(OsStr::from_bytes(&[b"x", &name[..], b".csv"].concat()));
            if fs::write(&path, content(number)).is_ok() {
                expected.push((path, number));
            }
        }
        // The file system may take two names for one.
        expected.retain(|(path, number)| fs::read_to_string(path).unwrap() == content(*number));
        let read = folder.read();
        let mut wanted: Vec<usize> = expected.iter().map(|(_, number)| *number).collect();
        wanted.sort_unstable();
        prop_assert_eq!(numbers(&read), wanted);
        let lanes: BTreeSet<_> = read.places().into_iter().map(|(lane, _)| lane).collect();
        prop_assert_eq!(lanes.len(), expected.len());
        prop_assert_eq!(folder.read_after(&read.positions).steps.len(), 0);
    }
}

#[test]
fn a_link_that_is_moved_on_neither_repeats_nor_stops() {
    let mut folder = numbered().with("days/1/a.csv", content(1)).with("days/2/a.csv", content(2));
    symlink("days/1", folder.path().join("latest")).unwrap();
    symlink("days/1/a.csv", folder.path().join("newest.csv")).unwrap();
    for (glob, recursive) in [("**/*.csv", true), ("latest/*.csv", true), ("newest.csv", false)] {
        (folder.spec.glob, folder.spec.recursive) = (vec![glob.to_owned()], recursive);
        let first = folder.read();
        let all = glob == "**/*.csv";
        assert_eq!(numbers(&first), if all { vec![1, 2] } else { vec![1] }, "{glob}");
        let relink = |to: &str, name: &str| {
            fs::remove_file(folder.path().join(name)).unwrap();
            symlink(to, folder.path().join(name)).unwrap();
        };
        relink("days/2", "latest");
        relink("days/2/a.csv", "newest.csv");
        let second = folder.read_after(&first.positions);
        assert_eq!(numbers(&second), if all { vec![] } else { vec![2] }, "{glob}");
        relink("days/1", "latest");
        relink("days/1/a.csv", "newest.csv");
        let mut both = first.positions.clone();
        both.merge(&second.positions);
        assert_eq!(folder.read_after(&both).rows(), 0, "{glob}");
    }
}

#[test]
fn links_out_of_the_folder_are_followed_only_by_choice() {
    let outside = numbered().with("secret.csv", content(1)).with("more/b.csv", content(2));
    let mut folder = numbered().with("a.csv", content(0));
    symlink(outside.path().join("secret.csv"), folder.path().join("l.csv")).unwrap();
    symlink(outside.path().join("more"), folder.path().join("more")).unwrap();
    let read = folder.read();
    assert_eq!(numbers(&read), [0]);
    let out = left_out(&read);
    assert_eq!(out.keys().collect::<Vec<_>>(), ["l.csv", "more"]);
    assert!(out.values().all(|why| why.contains("links = \"anywhere\"")), "{out:?}");
    folder.spec.links = Links::Anywhere;
    let read = folder.read_after(&read.positions);
    assert_eq!((numbers(&read), read.left_out.count()), (vec![1, 2], 0));
    assert!(read.places().iter().all(|(lane, _)| lane.starts_with('/')), "a lane that no file inside can have");
    assert_eq!(folder.read_after(&read.positions).rows(), 1, "only what is inside is new to these positions");
}

#[test]
fn what_is_asked_for_and_not_read_is_named() {
    let mut folder = numbered()
        .with("a.csv", content(0))
        .with("_b.csv", content(1))
        .with(".c.csv", content(2))
        .with("d.csv.part", content(3))
        .with("_old/e.csv", content(4))
        .with("_SUCCESS", "")
        .with("notes.txt", "");
    symlink("gone.csv", folder.path().join("f.csv")).unwrap();
    fs::hard_link(folder.path().join("a.csv"), folder.path().join("g.csv")).unwrap();
    let read = folder.read();
    assert_eq!(numbers(&read), [0]);
    let names = [".c.csv", "_b.csv", "_old", "d.csv.part", "f.csv", "g.csv"];
    assert_eq!(left_out(&read).keys().collect::<Vec<_>>(), names);
    assert_eq!(left_out(&read)["g.csv"], "it is the same file as a.csv");
    folder.spec.glob = vec!["_b.csv".to_owned(), "_old/*.csv".to_owned()];
    let read = folder.read();
    assert_eq!((numbers(&read), read.left_out.count()), (vec![1, 4], 0), "who names them means them");
}

#[test]
fn a_file_that_may_not_be_read_waits_for_its_turn() {
    let folder = numbered().with("a.csv", content(0)).with("b.csv", content(1));
    let path = folder.path().join("a.csv");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if File::open(&path).is_ok() {
        eprintln!("SKIPPED: this user may read everything");
        return;
    }
    let read = folder.read();
    assert_eq!((numbers(&read), left_out(&read).len()), (vec![1], 1));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(numbers(&folder.read_after(&read.positions)), [0]);
}

#[test]
fn a_file_that_grows_while_it_is_read_is_read_as_it_was_listed() {
    let folder = numbered().with("a.csv", content(1));
    let mut source = folder.open(&Positions::default(), None).unwrap();
    let mut file = File::options().append(true).open(folder.path().join("a.csv")).unwrap();
    std::io::Write::write_all(&mut file, b"2\n").unwrap();
    let rows = source.next().unwrap().rows().unwrap();
    assert_eq!(rows.batch.rows.num_rows(), 1);
    assert_eq!(rows.finished.unwrap().bytes, 4);
    let error = folder.try_read(&rows.batch.positions).err().expect("it is longer now");
    assert!(matches!(error, SourceError::Rewritten { .. }), "{error}");
}

#[test]
fn a_pipe_that_takes_the_place_of_a_file_is_not_waited_for() {
    let folder = numbered().with("a.csv", content(1));
    let mut source = folder.open(&Positions::default(), None).unwrap();
    let path = folder.path().join("a.csv");
    fs::remove_file(&path).unwrap();
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let error = source.next().expect_err("it is no file any more");
    assert!(error.to_string().contains("a.csv"), "{error}");
}

#[test]
fn a_folder_with_more_than_may_be_looked_at_stops_the_source() {
    let mut folder = numbered();
    (0..20).for_each(|number| folder.write(&format!("{number}/a.csv"), content(number)));
    folder.spec.max_files = 40;
    assert_eq!(folder.read().rows(), 20);
    folder.spec.max_files = 39;
    let error = folder.fails();
    assert!(matches!(error, SourceError::TooMany { most: 39, .. }), "{error}");
    assert!(error.hint().unwrap().contains("max_files"));
}

#[test]
fn ends_that_earlier_versions_recorded_are_understood() {
    let mut folder = numbered().with("a.csv", content(1)).with("d/b.csv", content(2));
    symlink("d/b.csv", folder.path().join("l.csv")).unwrap();
    folder.spec.glob = vec!["*.csv".to_owned()];
    let sized = |lane: &str, bytes| Positions::of(lane.into(), Position::Sized(bytes).to_i64());
    let mut done = sized("a.csv", 4);
    // A link had its own name.
    done.merge(&sized("l.csv", 4));
    assert_eq!(folder.read_after(&done).rows(), 0);
    folder.write("a.csv", "n\n1\n2\n");
    let error = folder.try_read(&done).err().unwrap();
    let text = error.to_string();
    assert!(text.contains("a.csv") && text.contains("had 4 bytes") && text.contains("has 6 now"), "{text}");
    folder.spec.changed_files = ChangedFiles::Ignore;
    let read = folder.read_after(&done);
    assert_eq!(read.rows(), 0);
    assert!(left_out(&read)["a.csv"].contains("written to"));
    // What was half read under the name of a link goes on under it.
    let half = folder.read_after(&Positions::of("l.csv".into(), 0));
    assert!(half.positions.get("l.csv").is_some() && half.positions.get("d/b.csv").is_none());
}
