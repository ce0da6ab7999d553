//! Everything a hostile module might do, one deed at a time.
//!
//! The configuration is `{"deed": "…", "at": "…"}`: what to do and in which call, `push`
//! by default. Without a deed it is an honest module: it gives back every row on both of
//! its ports. `host/src/transform` is tested by a test for each deed.
#![allow(clippy::disallowed_methods, clippy::infinite_iter, reason = "a hostile module does what nobody should")]

mod lies;
mod ports;

use std::cell::RefCell;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, UInt32Array};

use exports::sluicebox::transform::transform::{
    BatchInfo, BoundInput, Descriptor, Failure, Guest, GuestJob, Job as JobHandle, SavedState,
};
use sluicebox::transform::sink;
use sluicebox::transform::types::{Level, Reason, Rejection};

wit_bindgen::generate!({ path: "../../wit", world: "transformer" });

struct Evil;
export!(Evil);

impl Guest for Evil {
    type Job = Job;

    fn describe(config: String) -> Result<Descriptor, Failure> {
        let plan = Plan::of(&config);
        plan.act("describe")?;
        Ok(ports::descriptor(&plan.deed))
    }
}

/// What to do, and in which call.
struct Plan {
    deed: String,
    at: String,
}

impl Plan {
    fn of(config: &str) -> Self {
        let value = |key: &str| {
            let (_, rest) = config.split_once(&format!("\"{key}\""))?;
            Some(rest.split('"').nth(1)?.to_owned())
        };
        Self { deed: value("deed").unwrap_or_default(), at: value("at").unwrap_or_else(|| "push".to_owned()) }
    }

    fn act(&self, call: &str) -> Result<(), Failure> {
        if call == self.at { act(&self.deed) } else { Ok(()) }
    }
}

pub struct Job {
    plan: Plan,
    /// Rows pushed so far, which is its state.
    rows: RefCell<u64>,
}

impl GuestJob for Job {
    fn open(config: String, _: Vec<BoundInput>, restored: Option<SavedState>) -> Result<JobHandle, Failure> {
        let plan = Plan::of(&config);
        plan.act("open")?;
        let rows = restored
            .and_then(|state| Some(u64::from_le_bytes(state.entries.first()?.1.as_slice().try_into().ok()?)))
            .unwrap_or(0);
        Ok(JobHandle::new(Job { plan, rows: RefCell::new(rows) }))
    }

    fn push(&self, port: u32, info: BatchInfo, ipc: Vec<u8>) -> Result<(), Failure> {
        *self.rows.borrow_mut() += u64::from(info.rows);
        if port != 0 {
            return Ok(());
        }
        self.plan.act("push")?;
        if self.plan.at == "push" && lies::emit(&self.plan.deed, info.rows) {
            return Ok(());
        }
        let ids = ports::ids(&ipc, info.rows as usize);
        sink::metric("rows-so-far", *self.rows.borrow() as f64);
        emit(0, &full(&ids));
        emit(1, &kept(&(0..info.rows).collect::<Vec<_>>()));
        Ok(())
    }

    fn end_of_input(&self, _: u32) -> Result<(), Failure> {
        self.plan.act("end-of-input")
    }

    fn flush(&self, _: Option<i64>) -> Result<(), Failure> {
        self.plan.act("flush")?;
        if self.plan.at == "flush" {
            lies::emit(&self.plan.deed, 3);
        }
        Ok(())
    }

    fn snapshot(&self) -> Result<(), Failure> {
        self.plan.act("snapshot")?;
        // In two chunks, which the host joins.
        let bytes = self.rows.borrow().to_le_bytes();
        sink::put_state("rows", &bytes[..3]);
        sink::put_state("rows", &bytes[3..]);
        Ok(())
    }
}

/// An honest batch of port 0.
fn full(ids: &[i64]) -> RecordBatch {
    let names: Vec<String> = ids.iter().map(|id| format!("name {id}")).collect();
    let columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(ids.to_vec())), Arc::new(StringArray::from(names))];
    RecordBatch::try_new(Arc::new(ports::full()), columns).unwrap()
}

/// A batch of port 1 that continues these rows.
fn kept(rows: &[u32]) -> RecordBatch {
    let notes: Vec<String> = rows.iter().map(|row| format!("kept {row}")).collect();
    let columns: Vec<ArrayRef> = vec![Arc::new(UInt32Array::from(rows.to_vec())), Arc::new(StringArray::from(notes))];
    RecordBatch::try_new(Arc::new(ports::kept()), columns).unwrap()
}

fn emit(port: u32, batch: &RecordBatch) {
    let message = ports::message(batch);
    // Cut in two, in the middle of something.
    let (head, tail) = message.split_at(message.len() / 3);
    sink::emit(port, &[head.to_vec(), tail.to_vec()]);
}

/// Deeds that can be done in any call. One that returns leaves the call to go on.
#[inline(never)]
fn act(deed: &str) -> Result<(), Failure> {
    match deed {
        "spin" => spin(),
        "allocate" => allocate(),
        "recurse" => {
            std::hint::black_box(recurse(1));
        }
        "recurse-in-place" => {
            std::hint::black_box(recurse_in_place(1));
        }
        "panic" => panic!("I will not"),
        "panic-logged" => {
            sink::log(Level::Error, "I will not\u{1b}[2J and here is why");
            panic!("I will not");
        }
        "abort" => std::process::abort(),
        "divide" => {
            let zero = std::hint::black_box(0i32);
            // SAFETY: none; without this promise the language would panic before dividing.
            unsafe { std::hint::assert_unchecked(zero != 0) };
            std::hint::black_box(std::hint::black_box(100i32) / zero);
        }
        "out-of-bounds" => {
            let address = std::hint::black_box(0xffff_fff0usize) as *const u8;
            // SAFETY: none; reading outside of all memory is the deed.
            std::hint::black_box(unsafe { address.read_volatile() });
        }
        "open-file" => panic!("{:?}", std::fs::read_to_string("/etc/passwd")),
        "write-file" => panic!("{:?}", std::fs::write("/tmp/evil", "was here")),
        "connect" => panic!("{:?}", std::net::TcpStream::connect("127.0.0.1:80").map(|_| ())),
        "environment" => {
            sink::metric("variables", std::env::vars_os().count() as f64);
            sink::metric("arguments", std::env::args_os().count() as f64);
            sink::metric(
                "folder",
                f64::from(u8::from(std::env::current_dir().is_ok_and(|path| path.as_os_str() != "/"))),
            );
        }
        "exit" => std::process::exit(3),
        "sleep" => std::thread::sleep(std::time::Duration::from_secs(60)),
        "stdin" => {
            let mut line = String::new();
            panic!("{:?}", std::io::stdin().read_line(&mut line));
        }
        "thread" => panic!("{:?}", std::thread::Builder::new().spawn(|| ()).map(|_| ())),
        "print" => {
            println!("printed");
            eprint!("and ");
            eprintln!("complained");
        }
        "clock" => {
            let start = std::time::Instant::now();
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            sink::metric("now", now.as_nanos() as f64);
            sink::metric("elapsed", start.elapsed().as_nanos() as f64);
        }
        "random" => {
            use std::hash::{BuildHasher, RandomState};
            sink::metric("random", RandomState::new().hash_one(7) as f64);
        }
        "emit" => emit(0, &full(&[1])),
        "reject" => reject(&[(0, 0)], 1),
        "put-state" => sink::put_state("k", b"v"),
        "log-flood" => (0..100_000).for_each(|line| sink::log(Level::Info, &format!("line {line}"))),
        "log-long" => sink::log(Level::Info, &"x".repeat(10 << 20)),
        "metric-flood" => (0..100_000).for_each(|n| sink::metric(&format!("m{n}"), 1.0)),
        "metric-name" => sink::metric("so many\nlines", 1.0),
        "handle-flood" => (0..100_000).for_each(|_| {
            let plan = Plan { deed: String::new(), at: String::new() };
            std::mem::forget(JobHandle::new(Job { plan, rows: RefCell::new(0) }));
        }),
        "state-flood" => (0..).for_each(|n: u64| sink::put_state(&format!("key {n}"), &[0; 1 << 16])),
        "state-empty-flood" => (0..).for_each(|n: u64| sink::put_state(&n.to_string(), &[])),
        "fail-config" => return Err(Failure::Config("`colour` is not a colour".into())),
        "fail-input" => return Err(Failure::Input("not one row of this makes sense".into())),
        "fail-state" => return Err(Failure::State("version 7 is too new".into())),
        "fail-internal" => return Err(Failure::Internal(format!("lost\r\nthe thread {}", "x".repeat(1 << 20)))),
        "reject-outside" => reject(&[(1 << 20, 0)], 1),
        "reject-twice" => reject(&[(0, 0), (0, 0)], 1),
        "reject-no-reason" => reject(&[(0, 5)], 1),
        "reject-flood" => reject(&vec![(0, 0); 1_000_000], 1),
        "reject-reasons" => {
            let reason = Reason { code: "c".repeat(1 << 10), message: "m".repeat(1 << 20) };
            sink::reject(&[Rejection { row: 0, reason: 0 }], &[reason]);
        }
        _ => {}
    }
    Ok(())
}

fn reject(rows: &[(u32, u32)], reasons: usize) {
    let rejections: Vec<_> = rows.iter().map(|(row, reason)| Rejection { row: *row, reason: *reason }).collect();
    let reasons: Vec<_> =
        (0..reasons).map(|n| Reason { code: format!("code-{n}"), message: "because".to_owned() }).collect();
    sink::reject(&rejections, &reasons);
}

#[inline(never)]
fn spin() {
    let mut n = 0u64;
    loop {
        n = std::hint::black_box(n.wrapping_add(1));
    }
}

#[inline(never)]
fn allocate() {
    let mut hoard = Vec::new();
    loop {
        hoard.push(vec![1u8; 8 << 20]);
        std::hint::black_box(&hoard);
    }
}

/// With a frame in the language's own stack, which lies in memory.
#[inline(never)]
fn recurse(n: u64) -> u64 {
    let ballast = std::hint::black_box([n; 64]);
    if ballast[0] == u64::MAX { 0 } else { recurse(n + 1) + ballast[63] }
}

/// With nothing but the engine's stack.
#[inline(never)]
fn recurse_in_place(n: u64) -> u64 {
    if std::hint::black_box(n) == u64::MAX { 0 } else { recurse_in_place(n + 1) ^ n }
}
