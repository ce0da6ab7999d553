//! The input of a hop: a source, a table from the hop's position on, a whole table, or only those groups of it that
//! changed.

use std::thread;

use futures::TryStreamExt;

use super::bind::landing;
use super::fault::PipelineError;
use super::flow::Flow;
use super::hop::Hop;
use super::landing::decoded_columns;
use super::queue::Receiver;
use super::run::{Run, panic_message};
use super::schedule::Taking;
use super::sink::lake_error;
use sluicebox_core::batch::{FORGOTTEN, Lane, Positions};
use sluicebox_core::plan::OnDeletes;
use sluicebox_delta::{Added, Groups, Table};
use sluicebox_lake::LakeError;
use sluicebox_sources::{self as source, OpenSource};

/// The most bytes of values of changed groups. Beyond it the whole table is read.
const MOST_GROUPS: usize = 64 << 20;

/// A hop and its input.
pub(super) struct Ready {
    pub(super) hop: Hop,
    pub(super) feed: Input,
}

/// The input of a hop.
pub(super) enum Input {
    Source(Box<dyn source::Source>),
    Follow {
        table: Box<Table>,
        after: Option<u64>,
        changes: bool,
        on_deletes: OnDeletes,
        live: Option<Receiver<Flow>>,
    },
    Scan {
        table: Box<Table>,
        /// Only rows of these groups.
        groups: Option<Box<Groups>>,
        versions: Positions,
    },
    /// Nothing has changed since the hop ran last.
    Nothing,
}

impl Run {
    /// Decides what a hop has to read. `versions` are those of its lookup tables.
    pub(super) async fn feed(
        &self,
        hop: Hop,
        upstream: Option<Table>,
        versions: Positions,
        live: Option<Receiver<Flow>>,
    ) -> Result<Ready, PipelineError> {
        let Some(mut table) = upstream else {
            let feed = self.source_feed(&hop).await?;
            return Ok(Ready { hop, feed });
        };
        let lane = Lane::from(hop.context().upstream());
        let taken = hop.sinks().iter().filter_map(|sink| sink.recorded.get(&lane)).max();
        if taken > table.version().map(|version| version as i64) {
            // Another run may have moved the upstream before the hop's tables were opened.
            let failed = lake_error(&hop.context().spec.name, format!("reading {lane} failed"));
            table.refresh().await.map_err(failed)?;
        }
        if hop.context().whole() {
            return self.whole_feed(hop, table, versions).await;
        }
        let context = hop.context();
        let version = table.version();
        let after = hop.cursor().get(&lane);
        if after == Some(FORGOTTEN) {
            return Err(PipelineError::Forgotten { hop: context.spec.name.clone(), app: context.app.clone() });
        }
        if after > version.map(|version| version as i64) {
            return Err(PipelineError::Positions {
                hop: context.spec.name.clone(),
                message: format!(
                    "it has taken version {} of {lane}, which is at version {}",
                    after.unwrap_or_default(),
                    version.map_or("none".into(), |version| version.to_string())
                ),
            });
        }
        let changes = context.taking == Taking::Changes;
        let (after, on_deletes) = (after.map(|after| after as u64), context.spec.on_deletes);
        let feed = Input::Follow { table: Box::new(table), after, changes, on_deletes, live };
        Ok(Ready { hop, feed })
    }

    async fn whole_feed(&self, hop: Hop, table: Table, mut versions: Positions) -> Result<Ready, PipelineError> {
        let context = hop.context();
        let name = &context.spec.name;
        let lane = Lane::from(context.upstream());
        let Some(version) = table.version() else { return Ok(Ready { hop, feed: Input::Nothing }) };
        let lookups = versions.clone();
        versions.advance(lane.clone(), version as i64);
        let (mut current, mut continues) = (true, true);
        for sink in hop.sinks() {
            if let Some((lane, recorded)) =
                sink.recorded.iter().find(|(lane, at)| versions.get(lane).is_some_and(|now| now < *at))
            {
                if recorded == FORGOTTEN {
                    return Err(PipelineError::Forgotten { hop: name.clone(), app: context.app.clone() });
                }
                return Err(PipelineError::Positions {
                    hop: name.clone(),
                    message: format!(
                        "{} was made from version {recorded} of {lane}, which is behind that now",
                        sink.name
                    ),
                });
            }
            let failed = lake_error(name, format!("reading the history of {} failed", sink.name));
            let info = sink.table.info().await.map_err(failed)?;
            // Another module or configuration makes another table of the same rows.
            continues &= info.maker["configHash"] == context.config_hash.as_str();
            continues &= info.maker["module"]["digest"].as_str() == hop.digest();
            // So do other lookup rows.
            continues &= lookups.iter().all(|(lane, now)| sink.recorded.get(lane) == Some(now));
            current &= sink.recorded.get(&lane) == Some(version as i64);
        }
        if current && continues {
            return Ok(Ready { hop, feed: Input::Nothing });
        }
        let groups = if continues { self.changed_groups(&hop, &table, &lane).await? } else { None };
        let hop = match &groups {
            Some(groups) => hop.narrowed(groups).await?,
            None => hop.rewriting(),
        };
        Ok(Ready { hop, feed: Input::Scan { table: Box::new(table), groups: groups.map(Box::new), versions } })
    }

    /// The groups that changed since the hop's tables were made. `None` if all groups must be made again.
    async fn changed_groups(&self, hop: &Hop, table: &Table, lane: &Lane) -> Result<Option<Groups>, PipelineError> {
        let Taking::Groups(columns) = &hop.context().taking else { return Ok(None) };
        let Some(schema) = table.schema().filter(|schema| hop.groups_fit(columns, schema)) else { return Ok(None) };
        let made_from = hop.sinks().first().and_then(|sink| sink.recorded.get(lane));
        let same = hop.sinks().iter().all(|sink| sink.recorded.get(lane) == made_from);
        // It is not known to which group a rejected row belongs.
        let Some(made_from) = made_from.filter(|_| same && !hop.has_rejects()) else { return Ok(None) };
        let failed = || lake_error(&hop.context().spec.name, format!("reading the changes of {lane} failed"));
        let rows = table.info().await.map_err(failed())?.rows.unwrap_or(u64::MAX);
        let groups = Groups::new(table.name(), &schema, columns).map_err(failed())?;
        match read_groups(groups, table, made_from as u64, rows).await {
            Ok(groups) => Ok(groups),
            Err(error) => {
                // Maintenance may have removed the change data. Then the whole upstream is read.
                let hop = &hop.context().spec.name;
                tracing::warn!(hop, table = %lane, %error, "what changed cannot be read any more: all of it is taken");
                Ok(None)
            }
        }
    }

    async fn source_feed(&self, hop: &Hop) -> Result<Input, PipelineError> {
        let context = hop.context();
        let upstream = context.upstream();
        let Some(spec) = self.plan.source(&upstream) else { return Ok(Input::Nothing) };
        if source::capabilities(spec).shared && hop.memory.is_some() {
            return Err(PipelineError::State {
                hop: context.spec.name.clone(),
                message: format!("its module has state, and the lanes of source `{upstream}` may go to other hosts"),
                hint: "land the source without the module, and let a hop from that table have it; or leave `group` out of the source".into(),
            });
        }
        // What a module makes of rows says nothing of what they were: it was bound to what was found then.
        let landed = hop.sinks().first().filter(|_| context.spec.module.is_none());
        let known = landed
            .and_then(|sink| Some(decoded_columns(&sink.table.schema()?, self.plan.table(&sink.name))))
            .or_else(|| self.bound.decoded.get(&context.spec.name).cloned());
        let since = match hop.sinks().first().filter(|sink| sink.table.version().is_some()) {
            Some(sink) => {
                let failed = lake_error(&context.spec.name, format!("reading the history of {} failed", sink.name));
                sink.table.info().await.map_err(failed)?.last_commit
            }
            None => None,
        };
        let request = OpenSource {
            spec,
            done: hop.cursor(),
            since,
            known,
            contract: landing(&self.plan, &context.spec),
            runtime: &self.runtime,
            follow: self.follow,
        };
        let opened = thread::scope(|scope| {
            // Sources may block on I/O, which a runtime thread must not.
            scope.spawn(|| source::open(request)).join()
        });
        match opened {
            Ok(Ok(source)) => Ok(Input::Source(source)),
            Ok(Err(source)) => {
                Err(PipelineError::Source { hop: context.spec.name.clone(), upstream, source: Box::new(source) })
            }
            Err(panic) => Err(PipelineError::Panic { hop: context.spec.name.clone(), message: panic_message(&*panic) }),
        }
    }
}

/// Collects the groups of all rows that changed after version `after`. `None` if more than half of all `rows`
/// changed, or the groups exceed their memory limit.
async fn read_groups(mut groups: Groups, table: &Table, after: u64, rows: u64) -> Result<Option<Groups>, LakeError> {
    let mut changes = table.changes_since(Some(after)).await?;
    let mut changed = 0;
    while let Some(next) = changes.try_next().await? {
        let Added::Rows { rows: change, .. } = next else { continue };
        changed += change.num_rows() as u64;
        groups.add(&change)?;
        // An updated row counts twice, before and after.
        if changed / 2 > rows / 2 || groups.bytes() > MOST_GROUPS {
            return Ok(None);
        }
    }
    Ok(Some(groups))
}
