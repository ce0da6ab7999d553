//! Stores that fail, disks that are full, and things in the way.

use sluicebox_delta::DeltaError;
use sluicebox_stores::StoreError;
use std::fmt;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};
use sluicebox_core::fault::{Fault, Remedy};
use sluicebox_core::plan::WriteMode;
use sluicebox_delta::Provenance;
use sluicebox_lake::{Lake, LakeError};
use url::Url;

use super::support::{Sandbox, at, put, rows, sorted, spec, upsert};

/// What goes wrong with the next log entry.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Accident {
    /// It lands, but the answer is lost.
    AnswerLost,
    /// It does not land.
    Refused,
    /// It does not land, and nobody may write.
    Forbidden,
}

/// A store in memory with accidents.
#[derive(Debug)]
struct Faulty {
    inner: InMemory,
    next: Mutex<Vec<Accident>>,
    /// Reads that fail from now on, after an accident.
    blind: AtomicUsize,
    puts: AtomicUsize,
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a faulty store")
    }
}

impl Faulty {
    fn broken() -> object_store::Error {
        object_store::Error::Generic { store: "faulty", source: "the connection broke".into() }
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let accident = match location.as_ref().contains("_delta_log/") && !location.as_ref().contains("checkpoint") {
            true => self.next.lock().expect("not poisoned").pop(),
            false => None,
        };
        self.puts.fetch_add(1, Ordering::SeqCst);
        match accident {
            None => self.inner.put_opts(location, payload, opts).await,
            Some(Accident::Refused) => Err(Self::broken()),
            Some(Accident::Forbidden) => {
                Err(object_store::Error::PermissionDenied { path: location.to_string(), source: "read only".into() })
            }
            Some(Accident::AnswerLost) => {
                self.inner.put_opts(location, payload, opts).await?;
                Err(Self::broken())
            }
        }
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if location.as_ref().contains("_delta_log/") && self.blind.load(Ordering::SeqCst) > 0 {
            return Err(Self::broken());
        }
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

fn faulty() -> (Arc<Faulty>, Lake) {
    let store = Arc::new(Faulty {
        inner: InMemory::new(),
        next: Mutex::new(Vec::new()),
        blind: AtomicUsize::new(0),
        puts: AtomicUsize::new(0),
    });
    let url = Url::parse("memory:///some/lake").expect("a URL");
    let lake = Lake::with_store(store.clone(), &url).expect("a lake");
    (store, lake)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_landed_without_an_answer_counts_once() {
    for (mode, expected) in [(WriteMode::Append, 3), (upsert("id", None), 2), (WriteMode::Overwrite, 2)] {
        let (store, lake) = faulty();
        let mut table = lake.table(&spec("words", mode)).await.expect("table");
        put(&mut table, &[rows(&[1], &["a"])], at("f", 1)).await.expect("commit");
        store.next.lock().expect("lock").push(Accident::AnswerLost);
        let done = put(&mut table, &[rows(&[1, 2], &["b", "b"])], at("f", 2)).await.expect("it landed");
        assert_eq!((done.version, done.already), (2, false));
        let repeated = put(&mut table, &[rows(&[1, 2], &["b", "b"])], at("f", 2)).await.expect("again");
        assert!(repeated.already);
        assert_eq!(sorted(&table).await.len(), expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_commit_leaves_nothing() {
    let (store, lake) = faulty();
    let mut table = lake.table(&spec("words", WriteMode::Append)).await.expect("table");
    put(&mut table, &[rows(&[1], &["a"])], at("f", 1)).await.expect("commit");
    let before = objects(&store).await;
    store.next.lock().expect("lock").push(Accident::Refused);
    let error = put(&mut table, &[rows(&[2], &["b"])], at("f", 2)).await.expect_err("refused");
    assert_eq!(error.remedy(), Remedy::Retry, "{error}");
    assert_eq!(objects(&store).await, before, "its data file is gone");
    let done = put(&mut table, &[rows(&[2], &["b"])], at("f", 2)).await.expect("the next try");
    assert_eq!((done.version, done.already), (2, false));
    assert_eq!(sorted(&table).await, ["1|a", "2|b"]);

    store.next.lock().expect("lock").push(Accident::Forbidden);
    let error = put(&mut table, &[rows(&[3], &["c"])], at("f", 3)).await.expect_err("forbidden");
    assert_eq!(error.remedy(), Remedy::Stop, "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("writable")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_a_commit_of_unknown_fate_stay() {
    let (store, lake) = faulty();
    let mut table = lake.table(&spec("words", WriteMode::Append)).await.expect("table");
    put(&mut table, &[rows(&[1], &["a"])], at("f", 1)).await.expect("commit");
    store.next.lock().expect("lock").push(Accident::AnswerLost);
    let mut writer = table.begin().await.expect("begin");
    let writer = tokio::task::spawn_blocking(move || {
        writer.write(&rows(&[2], &["b"])).expect("write");
        writer
    })
    .await
    .expect("no panic");
    store.blind.store(1, Ordering::SeqCst);
    let error = table.commit(writer, super::support::commit(at("f", 2))).await.expect_err("blind");
    assert!(matches!(error, DeltaError::Unknown { .. }), "{error}");
    assert_eq!(error.remedy(), Remedy::Retry);
    store.blind.store(0, Ordering::SeqCst);
    let mut again = lake.table(&spec("words", WriteMode::Append)).await.expect("table");
    let repeated = put(&mut again, &[rows(&[2], &["b"])], at("f", 2)).await.expect("again");
    assert!(repeated.already);
    assert_eq!(sorted(&again).await, ["1|a", "2|b"]);
}

async fn objects(store: &Faulty) -> usize {
    use futures::StreamExt;
    store.inner.list(None).count().await
}

#[tokio::test]
async fn something_else_is_in_the_way() {
    let sandbox = Sandbox::new();
    let file = sandbox.folder.path().join("file");
    std::fs::write(&file, "x").expect("write");
    for place in [file.clone(), file.join("below")] {
        let error = Lake::open(place.to_str().expect("UTF-8")).expect_err("a file");
        assert!(
            matches!(&error, LakeError::Store(StoreError::NotAFolder { path }) if *path == file.display().to_string()),
            "{error}"
        );
    }
    for odd in ["", "  ", "s3://bucket/lake", "http://x", "file://host/x"] {
        assert!(Lake::open(odd).is_err(), "{odd}");
    }
    std::fs::create_dir_all(sandbox.path("").parent().expect("a parent")).expect("folders");
    std::fs::create_dir_all(sandbox.path("")).expect("folders");
    std::fs::write(sandbox.path("words"), "x").expect("write");
    let error = sandbox.lake.table(&spec("words", WriteMode::Append)).await.err().expect("a file");
    assert!(matches!(error, LakeError::Table(DeltaError::Store(StoreError::NotAFolder { .. }))), "{error}");
}

#[tokio::test]
async fn a_place_that_cannot_be_written() {
    // Not even root can make a folder there.
    let lake = Lake::open("/sys/lake").expect("nothing is created yet");
    let mut table = lake.table(&spec("words", WriteMode::Append)).await.expect("no table yet");
    let schema = rows(&[1], &["a"]).schema();
    let error = table.create(&schema, Provenance::default()).await.expect_err("read only");
    assert!(error.to_string().contains("/sys/lake"), "{error}");
    assert_eq!(error.remedy(), Remedy::Stop);
}

/// Set for the copy of this program that may only write small files.
const SMALL_FILES: &str = "SLUICE_TEST_SMALL_FILES";

#[tokio::test]
async fn a_full_disk_commits_nothing() {
    if std::env::var_os(SMALL_FILES).is_none() {
        let this = std::env::current_exe().expect("this program");
        // The limit makes writes fail as a full disk does; the signal that comes with it is ignored.
        let script =
            "trap '' XFSZ; ulimit -f 64; exec \"$0\" --exact lake::trouble::a_full_disk_commits_nothing --nocapture";
        let run = Command::new("sh").arg("-c").arg(script).arg(this).env(SMALL_FILES, "1").output().expect("sh");
        let output = String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "{output}");
        assert!(output.contains("1 passed"), "{output}");
        return;
    }
    let sandbox = Sandbox::new();
    for mode in [WriteMode::Append, upsert("id", None)] {
        let mut table = sandbox.lake.table(&spec("words", mode)).await.expect("table");
        put(&mut table, &[rows(&[1], &["a"])], at("f", 1)).await.expect("a small commit");
        let before = (super::support::data_files(&sandbox.path("words")), sorted(&table).await);
        let ids: Vec<i64> = (0..200_000).map(|id| (id * 7_919_i64).wrapping_mul(id) % 1_000_003).collect();
        let words: Vec<String> = ids.iter().map(|id| format!("{:x}", id.wrapping_mul(2_654_435_761))).collect();
        let many = rows(&ids, &words.iter().map(String::as_str).collect::<Vec<_>>());
        let error = put(&mut table, &[many], at("f", 2)).await.expect_err("no room");
        assert_eq!(error.remedy(), Remedy::Stop, "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("free some space")), "{error:?}");
        assert_eq!((super::support::data_files(&sandbox.path("words")), sorted(&table).await), before);
        std::fs::remove_dir_all(sandbox.path("words")).expect("clean");
    }
}

#[tokio::test]
async fn an_empty_entry_of_the_log_is_no_empty_commit() {
    let sandbox = Sandbox::new();
    let spec = spec("words", WriteMode::Append);
    let mut table = sandbox.lake.table(&spec).await.expect("table");
    for round in 1..=3 {
        put(&mut table, &[rows(&[round], &["a"])], at("f", round)).await.expect("commit");
    }
    std::fs::write(sandbox.path("words").join("_delta_log/00000000000000000003.json"), "").expect("write");
    let Err(error) = sandbox.lake.table(&spec).await else { panic!("the table was opened") };
    assert!(matches!(error, LakeError::Table(DeltaError::Log { version: 3, .. })), "{error}");
}
