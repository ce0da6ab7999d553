//! What a hop remembers: found by its positions or not at all, put again only where it changed.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::json;
use sluicebox_core::batch::Positions;
use sluicebox_lake::{Piece, States};

use super::support::Sandbox;

fn states(sandbox: &Sandbox) -> States {
    sandbox.lake.states("shop", "clean").expect("a folder for states")
}

fn at(position: i64) -> Positions {
    Positions::of("bronze.orders".into(), position)
}

/// Pieces as a job saves them, each compared with the one before it.
fn pieces(contents: &[(&str, &str)], before: &[Piece]) -> Vec<Piece> {
    let piece = |(key, text): &(&str, &str)| {
        let before = before.iter().find(|piece| piece.key() == *key);
        Piece::new((*key).to_owned(), text.as_bytes().to_vec(), before)
    };
    contents.iter().map(piece).collect()
}

fn files(sandbox: &Sandbox, folder: &str) -> BTreeSet<PathBuf> {
    let folder = sandbox.folder.path().join("lake/_state/shop/clean").join(folder);
    let entries = fs::read_dir(folder).expect("the folder is there").map(|entry| entry.expect("an entry").path());
    entries.filter(|path| path.is_file()).collect()
}

#[tokio::test]
async fn what_is_put_is_found_by_its_positions_alone() {
    let sandbox = Sandbox::new();
    let mut first = states(&sandbox);
    assert_eq!(first.load(&at(1)).await.expect("readable"), None);
    let put = pieces(&[("b", "second"), ("a", "first"), ("empty", "")], &[]);
    let head = json!({"version": 3, "event_time": null});
    let (path, _) = first.save(&at(1), &head, &put).await.expect("put");
    assert!(sandbox.folder.path().join("lake").join(path).is_file(), "the commit names a file");
    first.save(&at(2), &json!({}), &[]).await.expect("put");
    let mut second = states(&sandbox);
    assert_eq!(second.load(&at(1)).await.expect("readable"), Some((head, put)));
    assert_eq!(second.load(&at(2)).await.expect("readable"), Some((json!({}), Vec::new())));
    assert_eq!(second.load(&at(3)).await.expect("readable"), None);
}

#[tokio::test]
async fn what_did_not_change_is_not_put_again() {
    let sandbox = Sandbox::new();
    let mut states = states(&sandbox);
    let large = "x".repeat(100_000);
    let mut before = Vec::new();
    for commit in 1..=20 {
        let open = format!("open {commit}");
        let now = pieces(&[("sealed", &large), ("open", &open)], &before);
        let (_, put) = states.save(&at(commit), &json!(null), &now).await.expect("put");
        let expected = open.len() as u64 + if commit == 1 { 100_000 } else { 0 };
        assert_eq!(put, expected, "bytes put by commit {commit}");
        states.keep_newest(4, &at(commit)).await;
        before = now;
    }
    assert_eq!(files(&sandbox, "").len(), 4);
    assert_eq!(files(&sandbox, "pieces").len(), 5, "one sealed piece and four that were open");
    // Another run knows what is there from the state that it begins with.
    let mut next = self::states(&sandbox);
    let (_, found) = next.load(&at(20)).await.expect("readable").expect("a state");
    assert_eq!(found, before);
    let (_, put) = next.save(&at(21), &json!(null), &found).await.expect("put");
    assert_eq!(put, 0);
    for commit in 22..=25 {
        next.save(&at(commit), &json!(null), &found).await.expect("put");
    }
    next.keep_newest(4, &at(25)).await;
    assert_eq!(files(&sandbox, "pieces").len(), 2, "what only older states named is gone");
    assert_eq!(next.load(&at(25)).await.expect("readable").map(|(_, pieces)| pieces), Some(found));
}

#[tokio::test]
async fn a_state_that_somebody_needs_stays_whoever_cleans_up() {
    let sandbox = Sandbox::new();
    let (mut one, mut other) = (states(&sandbox), states(&sandbox));
    one.save(&at(1), &json!(null), &pieces(&[("a", "shared"), ("b", "one")], &[])).await.expect("put");
    other.save(&at(2), &json!(null), &pieces(&[("a", "shared"), ("b", "other")], &[])).await.expect("put");
    // A crash left a piece whose list never came; it could as well be another run's at work.
    let young = sandbox.folder.path().join("lake/_state/shop/clean/pieces").join("0".repeat(64));
    fs::write(&young, "").expect("writable");
    one.keep_newest(1, &at(2)).await;
    assert!(young.exists(), "too young to be taken for left behind");
    let (_, found) = states(&sandbox).load(&at(2)).await.expect("readable").expect("a state");
    assert_eq!(found, pieces(&[("a", "shared"), ("b", "other")], &[]));
    assert_eq!(states(&sandbox).load(&at(1)).await.expect("readable"), None);
}

#[tokio::test]
async fn a_damaged_state_is_an_error_and_not_another_state() {
    let sandbox = Sandbox::new();
    let put = pieces(&[("a", "first"), ("b", "second")], &[]);
    states(&sandbox).save(&at(1), &json!({"version": 1}), &put).await.expect("put");
    let all: Vec<PathBuf> = files(&sandbox, "").into_iter().chain(files(&sandbox, "pieces")).collect();
    assert_eq!(all.len(), 3);
    for path in all {
        let whole = fs::read(&path).expect("readable");
        for cut in [0, 1, whole.len() / 2, whole.len() - 2] {
            let mut damaged = whole.clone();
            damaged[cut] ^= 1;
            for bytes in [&whole[..cut], &damaged] {
                fs::write(&path, bytes).expect("writable");
                let error = states(&sandbox).load(&at(1)).await.expect_err("damaged");
                assert!(error.to_string().contains("is damaged"), "{error}");
            }
        }
        fs::write(&path, whole).expect("writable");
    }
    let piece = files(&sandbox, "pieces").pop_first().expect("a piece");
    fs::remove_file(piece).expect("writable");
    let error = states(&sandbox).load(&at(1)).await.expect_err("a piece is gone");
    assert!(error.to_string().contains("is damaged"), "{error}");
}
