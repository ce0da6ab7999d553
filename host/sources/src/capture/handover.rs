//! The handover from captured files to the live hub: events that the hub no longer keeps are read from the files, and
//! the rest from the hub, from the very event at which the files end.
//!
//! Both use the same lanes and positions, so the hub continues where the files end without any translation.

use tokio::runtime::Handle;

use super::CaptureSource;
use crate::kafka::KafkaSource;
use crate::{Next, OpenSource, Progress, Source, SourceError, Unit};
use sluicebox_core::batch::Positions;
use sluicebox_core::left_out::LeftOut;
use sluicebox_core::plan::{CaptureFiles, CaptureSpec, Contract, KafkaSpec, SourceSpec};

/// Reads captured files to their end, then the hub.
pub(crate) struct HandOver {
    stage: Stage,
    /// The arguments for opening the hub.
    spec: SourceSpec,
    hub: KafkaSpec,
    reached: Positions,
    contract: Option<Contract>,
    runtime: Handle,
    follow: bool,
}

enum Stage {
    Files(Box<CaptureSource>),
    Hub(Box<KafkaSource>),
}

impl HandOver {
    /// Lists the files and skips those that are done.
    pub(crate) fn open(request: &OpenSource<'_>, files: &CaptureFiles, hub: &KafkaSpec) -> Result<Self, SourceError> {
        let mut files = files.clone();
        files.reset = hub.reset;
        if files.hub.is_none()
            && let [topic] = hub.topics.as_slice()
        {
            files.hub = Some(topic.clone());
        }
        let (format, columns) = (hub.format.clone(), hub.columns.clone());
        let spec = CaptureSpec { files, format, columns, raw: hub.raw, timestamps: hub.timestamps };
        let stage = Stage::Files(Box::new(CaptureSource::open(request, &spec)?));
        let (reached, runtime) = (request.done.clone(), request.runtime.clone());
        let hub = hub.clone();
        let (contract, follow) = (request.contract, request.follow);
        Ok(Self { stage, spec: request.spec.clone(), hub, reached, contract, runtime, follow })
    }

    fn begin_with_hub(&mut self) -> Result<(), SourceError> {
        let request = OpenSource {
            spec: &self.spec,
            done: &self.reached,
            since: None,
            known: None,
            contract: self.contract,
            runtime: &self.runtime,
            follow: self.follow,
        };
        tracing::info!(source = self.spec.name, "captured files are read to their end; the hub goes on");
        self.stage = Stage::Hub(Box::new(KafkaSource::open(&request, &self.hub)?));
        Ok(())
    }
}

impl Source for HandOver {
    fn next(&mut self) -> Result<Next, SourceError> {
        match &mut self.stage {
            Stage::Hub(hub) => hub.next(),
            Stage::Files(files) => match files.next()? {
                Next::End => {
                    self.begin_with_hub()?;
                    Ok(Next::Idle)
                }
                next => {
                    if let Next::Rows(rows) = &next {
                        self.reached.merge(&rows.batch.positions);
                    }
                    Ok(next)
                }
            },
        }
    }

    fn assign(&mut self, from: &Positions) -> Result<(), SourceError> {
        match &mut self.stage {
            Stage::Files(files) => files.assign(from),
            Stage::Hub(hub) => hub.assign(from),
        }
    }

    fn committed(&mut self, positions: &Positions) {
        match &mut self.stage {
            Stage::Files(files) => files.committed(positions),
            Stage::Hub(hub) => hub.committed(positions),
        }
    }

    fn wait(&mut self) {
        match &mut self.stage {
            Stage::Files(files) => files.wait(),
            Stage::Hub(hub) => hub.wait(),
        }
    }

    fn left_out(&self) -> Option<&LeftOut> {
        match &self.stage {
            Stage::Files(files) => files.left_out(),
            Stage::Hub(_) => None,
        }
    }

    fn progress(&self) -> Progress {
        match &self.stage {
            // How much the hub has after the files is not known yet.
            Stage::Files(files) => Progress { total: None, unit: Unit::Bytes, ..files.progress() },
            Stage::Hub(hub) => hub.progress(),
        }
    }
}
