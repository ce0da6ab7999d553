//! The module stage of a hop: runs rows through the job and writes its output to tables and quarantine.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::fault::PipelineError;
use super::hop::Hop;
use super::module::HopModule;
use super::rows::{describe, origin_of, slices};
use super::sink::lake_error;
use super::state::Memory;
use sluicebox_core::batch::{Lane, Reject, Stage};
use sluicebox_core::meter::Meters;
use sluicebox_core::reject::Reason;
use sluicebox_sandbox::{self as transform, Job};

/// A job and the schema of the rows that it was opened for.
pub(super) struct OpenJob {
    pub(super) job: Job,
    pub(super) schema: SchemaRef,
}

impl Hop {
    /// Runs rows through the module, if there is one, and writes the output to the tables.
    pub(super) fn transform(
        &mut self,
        rows: &RecordBatch,
        writing: &[bool],
        quarantining: bool,
    ) -> Result<(), PipelineError> {
        let Some(module) = self.module.clone() else {
            return self.write(0, rows, writing, quarantining);
        };
        self.open_job(&module, &rows.schema(), writing, quarantining)?;
        let watermark = self.memory.as_mut().and_then(|memory| {
            memory.see(rows);
            memory.watermark()
        });
        for slice in slices(rows) {
            let Some(open) = &mut self.job else { break };
            let output =
                open.job.push(module.rows_port, &slice, watermark).map_err(job_error(&self.context.spec.name))?;
            self.write_output(&module, output, Some(&slice), writing, quarantining)?;
        }
        Ok(())
    }

    /// Opens a job for rows of this schema. A job that was opened for other columns ends; that happens when the
    /// upstream table got a column.
    pub(super) fn open_job(
        &mut self,
        module: &HopModule,
        schema: &SchemaRef,
        writing: &[bool],
        quarantining: bool,
    ) -> Result<(), PipelineError> {
        if self.job.as_ref().is_some_and(|open| Arc::ptr_eq(&open.schema, schema) || open.schema == *schema) {
            return Ok(());
        }
        let hop = self.context.spec.name.clone();
        if let Some(mut open) = self.job.take() {
            let watermark = self.memory.as_ref().and_then(Memory::watermark);
            let output = open.job.flush(watermark).map_err(job_error(&hop))?;
            if let Some(memory) = &mut self.memory {
                memory.remember(open.job.snapshot().map_err(job_error(&hop))?);
            }
            self.write_output(module, output, None, writing, quarantining)?;
        }
        let Some(spec) = self.context.spec.module.clone() else { return Ok(()) };
        let binding = module.bind(&hop, schema, &self.lookups.schemas())?;
        let restored = self.memory.as_ref().and_then(Memory::saved);
        let opened = Job::open(&module.module, &spec.config, binding, &spec.limits, restored.as_ref());
        let mut job = opened.map_err(job_error(&hop))?;
        for (port, table) in &module.lookups {
            let lookup: Vec<RecordBatch> = self.lookups.rows(table).cloned().collect();
            for rows in &lookup {
                for slice in slices(rows) {
                    let output = job.push(*port, &slice, None).map_err(job_error(&hop))?;
                    self.write_output(module, output, None, writing, quarantining)?;
                }
            }
            let output = job.end_of_input(*port).map_err(job_error(&hop))?;
            self.write_output(module, output, None, writing, quarantining)?;
        }
        self.job = Some(OpenJob { job, schema: schema.clone() });
        Ok(())
    }

    pub(super) fn write_output(
        &mut self,
        module: &HopModule,
        output: transform::Output,
        pushed: Option<&RecordBatch>,
        writing: &[bool],
        quarantining: bool,
    ) -> Result<(), PipelineError> {
        for (port, rows) in output.batches {
            self.write(module.sinks[port], &rows, writing, quarantining)?;
        }
        if let Some(pushed) = pushed.filter(|_| !output.rejections.is_empty()) {
            let rows: Vec<usize> = output.rejections.iter().map(|rejection| rejection.row as usize).collect();
            let upstream = Lane::from(self.context.upstream());
            let rejects = describe(pushed, &rows, &upstream, &Stage::Module);
            for (reject, rejection) in rejects.into_iter().zip(output.rejections) {
                self.reject(
                    Reject { reason: Reason::Module(rejection.code), message: rejection.message, ..reject },
                    quarantining,
                )?;
            }
        }
        for (name, value) in output.metrics {
            if !self.context.meter.add_metric(&name, value) {
                tracing::debug!(hop = self.context.spec.name, metric = name, "one metric too many is left out");
            }
        }
        Ok(())
    }

    fn write(
        &mut self,
        sink: usize,
        rows: &RecordBatch,
        writing: &[bool],
        quarantining: bool,
    ) -> Result<(), PipelineError> {
        let refused = match writing[sink] {
            false => Vec::new(),
            true => {
                let name = self.sinks[sink].name.to_string();
                self.sinks[sink].write(rows, &self.context.runtime).map_err(|error| {
                    let place = origin_of(rows).filter(|_| error.is_drift()).unwrap_or_default();
                    lake_error(&self.context.spec.name, format!("writing {name} failed{place}"))(error)
                })?
            }
        };
        self.taken.rows_out += (rows.num_rows() - refused.len()) as u64;
        if !refused.is_empty() {
            let indexes: Vec<usize> = refused.iter().map(|refused| refused.row).collect();
            let stage = Stage::Table(self.sinks[sink].name.to_string().into());
            let upstream = Lane::from(self.context.upstream());
            for (reject, refused) in describe(rows, &indexes, &upstream, &stage).into_iter().zip(refused) {
                self.reject(
                    Reject { reason: refused.code.into(), message: refused.message, stage: stage.clone(), ..reject },
                    quarantining,
                )?;
            }
        }
        Ok(())
    }

    pub(super) fn reject(&mut self, reject: Reject, quarantining: bool) -> Result<(), PipelineError> {
        Meters::add(&self.context.meter.rows_rejected, 1);
        self.taken.rows_rejected += 1;
        if !quarantining {
            return Ok(());
        }
        let hop = &self.context.spec.name;
        self.quarantine
            .push(reject, &self.context.runtime)
            .map_err(lake_error(hop, format!("writing to the quarantine of `{hop}` failed")))
    }
}

/// Adds the hop's name to an error of a job.
pub(super) fn job_error(hop: &str) -> impl FnOnce(transform::JobError) -> PipelineError {
    let hop = hop.to_owned();
    move |source| PipelineError::Job { hop, source: Box::new(source) }
}
