//! What the sandbox costs: the same module code natively and behind the boundary, in one
//! process, batch by batch in turn.
//!
//! `cargo run --release -p sluicebox-bench --bin boundary` prints a table and writes
//! `target/bench/boundary.json`. It needs the modules `bench_orders` and
//! `bench_clean` in `guest-transforms/dist` (`just modules`).

use std::error::Error;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fmt, fs};

use arrow_array::{
    ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use bench_clean::CleanOrders;
use bench_orders::BenchOrders;
use serde_json::{Value, json};
use sluicebox_core::plan::Limits;
use sluicebox_sandbox::{CacheDir, Job, Module, Sandbox, Spent, spawn_guest_thread};
use sluicebox_sdk::{Harness, Transform};

// What the `sluice` binary uses.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn Error + Send + Sync>;

const SIZES: [usize; 4] = [1, 1_024, 8_192, 65_536];
/// Rows pushed in all, and the least and most pushes that they make. The median push
/// counts, which a machine's other work hardly moves.
const ROWS: usize = 8 << 20;
const PUSHES: (usize, usize) = (201, 20_001);
/// Rows apart that the batches of a round are cut from the data.
const DISTINCT: usize = 16;

fn main() -> ExitCode {
    let run = spawn_guest_thread("boundary", run).map_err(Failure::from).map(|thread| thread.join());
    match run {
        Ok(Ok(Ok(()))) => ExitCode::SUCCESS,
        Ok(Ok(Err(error))) | Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
    }
}

fn run() -> Result<(), Failure> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let sandbox = Sandbox::new(CacheDir::None)?;
    let load = |name: &str| -> Result<Module, Failure> {
        let path = root.join(format!("guest-transforms/dist/{name}.wasm"));
        if !path.exists() {
            return Err(format!("{} is not built: run `just modules`", path.display()).into());
        }
        Ok(sandbox.load(&path)?)
    };
    let start = Instant::now();
    let module = load("bench_orders")?;
    let compile = start.elapsed();
    let cleaning = load("bench_clean")?;
    let fixed = fixed(&module)?;

    let mut cases = Vec::new();
    let chosen = Chosen::of(std::env::args().skip(1));
    for size in SIZES.into_iter().filter(|size| chosen.size(*size)) {
        for mode in ["full", "keep", "amount", "clean"].into_iter().filter(|mode| chosen.mode(mode)) {
            let case = match mode {
                "clean" => measure::<CleanOrders>(&cleaning, mode, "", size)?,
                _ => measure::<BenchOrders>(&module, mode, &json!({ "mode": mode }).to_string(), size)?,
            };
            eprintln!("{mode} at {size} rows: {:.1} ns a row", case.sandboxed);
            cases.push(case);
        }
    }
    print(&cases, compile, &fixed);
    write(&root, &cases, compile, &fixed, module.digest())
}

/// The cases to measure: `boundary keep 8192` measures one alone, for a profiler to look at.
struct Chosen {
    modes: Vec<String>,
    sizes: Vec<usize>,
}

impl Chosen {
    fn of(words: impl Iterator<Item = String>) -> Self {
        let (sizes, modes): (Vec<_>, Vec<_>) = words.partition(|word| word.parse::<usize>().is_ok());
        Self { modes, sizes: sizes.iter().filter_map(|size| size.parse().ok()).collect() }
    }

    fn mode(&self, mode: &str) -> bool {
        self.modes.is_empty() || self.modes.iter().any(|chosen| chosen == mode)
    }

    fn size(&self, size: usize) -> bool {
        self.sizes.is_empty() || self.sizes.contains(&size)
    }
}

/// Nanoseconds for each row.
struct Case {
    mode: &'static str,
    size: usize,
    /// The same code natively: filter and columns only.
    native: f64,
    sandboxed: f64,
    encode: f64,
    /// Copying both ways and decoding in the module, without its work.
    cross: f64,
    decode: f64,
    /// The module's own work, in WebAssembly.
    compute: f64,
    goal: Option<Goal>,
}

/// What a case should stay below.
#[derive(Clone, Copy)]
enum Goal {
    /// Nanoseconds for each row.
    Nanoseconds(f64),
    /// Times the native side of the same run.
    TimesNative(f64),
}

impl Case {
    fn ratio(&self) -> f64 {
        self.sandboxed / self.native
    }

    fn met(&self) -> Option<bool> {
        self.goal.map(|goal| match goal {
            Goal::Nanoseconds(most) => self.sandboxed <= most,
            Goal::TimesNative(most) => self.ratio() <= most,
        })
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Goal::Nanoseconds(most) => write!(f, "≤ {most} ns"),
            Goal::TimesNative(most) => write!(f, "≤ {most} × native"),
        }
    }
}

fn measure<T: Transform>(module: &Module, mode: &'static str, config: &str, size: usize) -> Result<Case, Failure> {
    let batches: Vec<_> = {
        let all = orders(size * DISTINCT);
        (0..DISTINCT).map(|at| all.slice(at * size, size)).collect()
    };
    let mut native = Harness::<T>::open(config).map_err(|error| error.to_string())?;
    let mut job = open(module, config, &batches[0])?;
    // What crosses is the columns that the mode wants; idle takes them all, so the other
    // modes' crossing is measured from what their own calls spend.
    let mut idle = (mode == "full").then(|| open(module, r#"{"mode":"idle"}"#, &batches[0])).transpose()?;

    let pushes = (ROWS / size).clamp(PUSHES.0, PUSHES.1);
    let mut times = Times::default();
    for at in 0..pushes {
        let batch = &batches[at % DISTINCT];
        let start = Instant::now();
        black_box(native.push("rows", batch).map_err(|error| error.to_string())?);
        times.native.push(start.elapsed());

        let start = Instant::now();
        let output = black_box(job.push(0, batch, None)?);
        times.sandboxed.push(start.elapsed());
        times.add(output.spent);
        drop(output);

        if let Some(idle) = &mut idle {
            times.idle.push(idle.push(0, batch, None)?.spent.module);
        }
    }
    let each = |times: &mut Vec<Duration>| median(times).as_nanos() as f64 / size as f64;
    let idle = each(&mut times.idle);
    let goal = match (mode, size) {
        ("full", 8_192) => Some(Goal::Nanoseconds(50.0)),
        ("keep", 8_192) => Some(Goal::Nanoseconds(20.0)),
        ("clean", 8_192) => Some(Goal::TimesNative(1.5)),
        _ => None,
    };
    Ok(Case {
        mode,
        size,
        native: each(&mut times.native),
        sandboxed: each(&mut times.sandboxed),
        encode: each(&mut times.encode),
        cross: idle + each(&mut times.copy),
        decode: each(&mut times.decode),
        compute: (each(&mut times.module) - idle).max(0.0),
        goal,
    })
}

/// Of every push.
#[derive(Default)]
struct Times {
    native: Vec<Duration>,
    sandboxed: Vec<Duration>,
    idle: Vec<Duration>,
    encode: Vec<Duration>,
    module: Vec<Duration>,
    copy: Vec<Duration>,
    decode: Vec<Duration>,
}

impl Times {
    fn add(&mut self, spent: Spent) {
        self.encode.push(spent.encode);
        self.module.push(spent.module);
        self.copy.push(spent.copy);
        self.decode.push(spent.decode);
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn open(module: &Module, config: &str, batch: &RecordBatch) -> Result<Job, Failure> {
    let limits = Limits::default();
    let descriptor = module.describe(config, &limits)?;
    let binding = descriptor.bind(&[("rows".to_owned(), batch.schema())])?;
    Ok(Job::open(module, config, Arc::new(binding), &limits, None)?)
}

/// What does not depend on rows, in microseconds.
fn fixed(module: &Module) -> Result<Value, Failure> {
    let batch = orders(1);
    let best = |mut work: Box<dyn FnMut() -> Result<(), Failure> + '_>| -> Result<f64, Failure> {
        let mut best = f64::MAX;
        for _ in 0..200 {
            let start = Instant::now();
            work()?;
            best = best.min(start.elapsed().as_secs_f64() * 1e6);
        }
        Ok(best)
    };
    let limits = Limits::default();
    let config = r#"{"mode":"keep"}"#;
    let binding = Arc::new(module.describe(config, &limits)?.bind(&[("rows".to_owned(), batch.schema())])?);
    let mut job = Job::open(module, config, binding.clone(), &limits, None)?;
    Ok(json!({
        "open_us": best(Box::new(|| { Job::open(module, config, binding.clone(), &limits, None)?; Ok(()) }))?,
        "flush_us": best(Box::new(|| { job.flush(None)?; Ok(()) }))?,
    }))
}

/// Orders as a shop has them, 86 bytes each: 5 in 100 are without a quantity or price, and
/// categories have stray blanks and capitals.
fn orders(rows: usize) -> RecordBatch {
    let mut seed = 42u64;
    let mut next = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    const CATEGORIES: [&str; 5] = ["kitchen", " Garden", "books", "Electronics ", "toys"];
    let columns: [(&str, ArrayRef); 7] = [
        ("order_id", Arc::new(Int64Array::from_iter_values(0..rows as i64))),
        ("customer_id", Arc::new(Int64Array::from_iter_values((0..rows).map(|_| next(100_000) as i64)))),
        (
            "product_id",
            Arc::new(StringArray::from_iter_values(
                (0..rows).map(|_| format!("product {:06}, made by hand, each", next(50_000))),
            )),
        ),
        ("category", Arc::new(StringArray::from_iter_values((0..rows).map(|_| CATEGORIES[next(5) as usize])))),
        ("quantity", Arc::new(Int32Array::from_iter((0..rows).map(|_| (next(100) >= 3).then(|| 1 + next(9) as i32))))),
        (
            "price",
            Arc::new(Float64Array::from_iter(
                (0..rows).map(|_| (next(100) >= 2).then(|| next(10_000) as f64 / 100.0 + 0.01)),
            )),
        ),
        (
            "ts",
            Arc::new(
                TimestampMicrosecondArray::from_iter_values(
                    (0..rows).map(|row| 1_700_000_000_000_000 + row as i64 * 1_000),
                )
                .with_timezone("UTC"),
            ),
        ),
    ];
    let mut fields = Vec::new();
    let mut arrays = Vec::new();
    for (name, array) in columns {
        fields.push(arrow_schema::Field::new(name, array.data_type().clone(), true));
        arrays.push(array);
    }
    RecordBatch::try_new(Arc::new(arrow_schema::Schema::new(fields)), arrays)
        .expect("the columns fit because they were made for each other")
}

fn print(cases: &[Case], compile: Duration, fixed: &Value) {
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::ASCII_MARKDOWN);
    table.set_header(["rows", "mode", "native", "sandboxed", "ratio", "encode", "cross", "decode", "compute", "goal"]);
    for case in cases {
        let number = |value: f64| format!("{value:.1}");
        // Only the full mode has an idle twin to tell crossing from computing.
        let split = |value: f64| {
            if case.mode == "full" { number(value) } else { "".into() }
        };
        let compute = if case.mode == "full" {
            number(case.compute)
        } else {
            format!("{:.1} with crossing", case.compute + case.cross)
        };
        table.add_row([
            case.size.to_string(),
            case.mode.to_owned(),
            number(case.native),
            number(case.sandboxed),
            format!("{:.2}", case.ratio()),
            number(case.encode),
            split(case.cross),
            number(case.decode),
            compute,
            case.goal.map(|goal| goal.to_string()).unwrap_or_default(),
        ]);
    }
    println!("Nanoseconds for each row of 7 columns; one thread; the median push.\n{table}");
    println!("compile {compile:.2?}; open a job {} µs; an empty call {} µs", fixed["open_us"], fixed["flush_us"]);
}

fn write(root: &Path, cases: &[Case], compile: Duration, fixed: &Value, digest: &str) -> Result<(), Failure> {
    let cases: Vec<_> = cases
        .iter()
        .map(|case| {
            json!({
                "mode": case.mode,
                "rows": case.size,
                "native_ns": case.native,
                "sandboxed_ns": case.sandboxed,
                "ratio": case.ratio(),
                "encode_ns": case.encode,
                "cross_ns": case.cross,
                "decode_ns": case.decode,
                "compute_ns": case.compute,
                "goal": case.goal.map(|goal| goal.to_string()),
                "met": case.met(),
            })
        })
        .collect();
    let lock = fs::read_to_string(root.join("Cargo.lock"))?;
    let report = json!({
        "what": "nanoseconds for each row, in the median push; 7 columns; one thread",
        "cases": cases,
        "compile_ms": compile.as_secs_f64() * 1e3,
        "fixed": fixed,
        "versions": {
            "sluicebox": env!("CARGO_PKG_VERSION"),
            "wasmtime": version(&lock, "wasmtime"),
            "arrow": version(&lock, "arrow-array"),
            "rustc": Command::new("rustc").arg("--version").output().ok()
                .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()),
            "module": digest,
        },
        "machine": fs::read_to_string("/proc/cpuinfo").ok()
            .and_then(|text| Some(text.lines().find(|line| line.starts_with("model name"))?.split(": ").nth(1)?.to_owned())),
        "threads": std::thread::available_parallelism().map(usize::from).ok(),
    });
    let folder = target(root).join("bench");
    fs::create_dir_all(&folder)?;
    let path = folder.join("boundary.json");
    fs::write(&path, serde_json::to_string_pretty(&report)?)?;
    println!("written to {}", path.display());
    Ok(())
}

fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// The version of a package in a lock file.
fn version(lock: &str, package: &str) -> Option<String> {
    let (_, after) = lock.split_once(&format!("name = \"{package}\"\nversion = \""))?;
    Some(after.split('"').next()?.to_owned())
}
