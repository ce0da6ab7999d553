//! How long it takes from an event to the gold commit that counts it, read off the tables' logs.
//!
//! A commit says up to where its upstream is in it, and its log entry has a time. So the time of every
//! event is followed: to the bronze commit whose position in the partition is beyond it, to the silver
//! commit that has that bronze version, to the gold commit that has that silver version.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use serde_json::Value;

use super::Failure;

/// What a table's log says of its progress.
#[derive(Default)]
struct Progress {
    /// By lane: positions with the version that reached them.
    lanes: BTreeMap<String, Vec<(i64, i64)>>,
    /// When each version was committed.
    at: BTreeMap<i64, SystemTime>,
}

impl Progress {
    fn read(table: &Path, app: &str) -> Result<Self, Failure> {
        let mut progress = Self::default();
        for entry in fs::read_dir(table.join("_delta_log"))? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let Some(version) = name.strip_suffix(".json").and_then(|number| number.parse().ok()) else { continue };
            progress.at.insert(version, fs::metadata(&path)?.modified()?);
            for line in fs::read_to_string(&path)?.lines() {
                let action: Value = serde_json::from_str(line)?;
                let (app_id, at) = (action["txn"]["appId"].as_str(), action["txn"]["version"].as_i64());
                if let (Some(lane), Some(at)) = (app_id.and_then(|id| id.strip_prefix(app)), at) {
                    progress.lanes.entry(lane.to_owned()).or_default().push((at, version));
                }
            }
        }
        progress.lanes.values_mut().for_each(|reached| reached.sort_unstable());
        Ok(progress)
    }

    /// The first version that has what comes before `position` in a lane.
    fn version(&self, lane: &str, position: i64) -> Option<i64> {
        let reached = self.lanes.get(lane)?;
        reached.get(reached.partition_point(|(at, _)| *at < position)).map(|(_, version)| *version)
    }
}

/// How many messages of the source are in gold by now: those of the last bronze version that is.
pub fn counted(lake: &Path) -> Result<u64, Failure> {
    let tables = ["bronze/orders", "silver/orders", "gold/order_windows"].map(|table| lake.join(table));
    if tables.iter().any(|table| !table.join("_delta_log").is_dir()) {
        return Ok(0);
    }
    // From the end of the flow, so that what is found there was there before.
    let gold = Progress::read(&tables[2], "bench-stream/windows/")?;
    let silver = Progress::read(&tables[1], "bench-stream/clean/")?;
    let bronze = Progress::read(&tables[0], "bench-stream/land/")?;
    let last = |progress: &Progress, lane: &str| Some(progress.lanes.get(lane)?.last()?.0);
    let Some(silver_version) = last(&gold, "silver.orders") else { return Ok(0) };
    let of_bronze = silver.lanes.get("bronze.orders").into_iter().flatten();
    let reached = of_bronze.filter(|(_, version)| *version <= silver_version).map(|(at, _)| *at).max();
    let Some(bronze_version) = reached else { return Ok(0) };
    let lanes = bronze.lanes.values().map(|lane| {
        lane.iter().filter(|(_, version)| *version <= bronze_version).map(|(at, _)| *at).max().unwrap_or_default()
    });
    Ok(lanes.sum::<i64>().unsigned_abs())
}

/// Seconds from each event to gold, in rising order. `sent` has the time of each event of a partition,
/// by its offset.
pub fn seconds(lake: &Path, topic: &str, sent: &[Vec<SystemTime>]) -> Result<Vec<f64>, Failure> {
    let bronze = Progress::read(&lake.join("bronze/orders"), "bench-stream/land/")?;
    let silver = Progress::read(&lake.join("silver/orders"), "bench-stream/clean/")?;
    let gold = Progress::read(&lake.join("gold/order_windows"), "bench-stream/windows/")?;
    let mut seconds = Vec::new();
    for (partition, times) in sent.iter().enumerate() {
        let lane = format!("{topic}/{partition}");
        for (offset, time) in times.iter().enumerate() {
            let landed = bronze.version(&lane, i64::try_from(offset)? + 1);
            let cleaned = landed.and_then(|version| silver.version("bronze.orders", version));
            let summed = cleaned.and_then(|version| gold.version("silver.orders", version));
            let at = summed.and_then(|version| gold.at.get(&version));
            let at = at.ok_or_else(|| format!("event {offset} of {lane} is in no gold commit"))?;
            seconds.push(at.duration_since(*time).unwrap_or_default().as_secs_f64());
        }
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds)
}

/// The value that this share of all is not above.
pub fn percentile(sorted: &[f64], share: f64) -> f64 {
    let at = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len().max(1));
    sorted.get(at - 1).copied().unwrap_or(f64::NAN)
}
