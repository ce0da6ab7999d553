//! Runs a module over record batches, without the rest of Sluicebox: load a component, open a job, push rows, get
//! outputs and rejected rows.
//!
//!     cargo run --release --workspace --example run_module -- guest-transforms/dist/select.wasm \
//!         '{"columns": [{"name": "who", "from": "name", "type": "string"}]}'

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use sluicebox_sandbox::{CacheDir, Job, JobError, Limits, Output, Sandbox, on_guest_thread};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("name a component that implements wit/transform.wit")?;
    let config = arguments.next().unwrap_or_else(|| "{}".to_owned());
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let names: ArrayRef = Arc::new(StringArray::from(vec![Some("Ada"), None, Some("Grace")]));
    let rows = RecordBatch::try_from_iter([("id", ids), ("name", names)])?;

    let module = Sandbox::new(CacheDir::None)?.load(Path::new(&path))?;
    let limits = Limits { memory: 64 << 20, ..Limits::default() };
    let descriptor = module.describe(&config, &limits)?;
    let port = descriptor.rows_port();
    let binding = Arc::new(descriptor.bind(&[(descriptor.inputs[port].name.clone(), rows.schema())])?);
    let outputs = on_guest_thread("job", || -> Result<Vec<Output>, JobError> {
        let mut job = Job::open(&module, &config, binding, &limits, None)?;
        Ok(vec![job.push(port, &rows, None)?, job.end_of_input(port)?])
    })??;

    for output in outputs {
        for (port, rows) in output.batches {
            println!("{}: {} rows {:?}", descriptor.outputs[port].name, rows.num_rows(), rows.columns());
        }
        for rejected in output.rejections {
            println!("row {} is rejected: {}: {}", rejected.row, rejected.code, rejected.message);
        }
    }
    Ok(())
}
