//! What a run did, at its end.

use std::time::Duration;

use comfy_table::{CellAlignment, ContentArrangement, Row, Table, TableComponent, presets};
use indicatif::{HumanBytes, HumanCount, HumanFloatCount};
use serde_json::Value as Json;

use super::{usage, visible};
use sluicebox_core::fault::in_one_line;
use sluicebox_core::meter::Expected;
use sluicebox_service::{HopReport, RunReport, RunStatus};

/// What a run did.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// How it ended.
    pub status: RunStatus,
    /// From its start to its end, in seconds.
    pub seconds: f64,
    /// Processor time of this process, all threads, without children, in seconds.
    pub cpu_seconds: f64,
    /// The most memory that was resident at once, in bytes.
    pub peak_memory_bytes: u64,
    /// Every hop, in the order of the plan.
    pub hops: Vec<HopReport>,
    /// What went wrong, each in one line.
    pub errors: Vec<String>,
}

impl Summary {
    /// Of a run that is over, `after` the program began.
    pub fn of(report: &RunReport, after: Duration) -> Self {
        // A system that does not say what was used is no reason to fail a run that is done.
        let (cpu_seconds, peak_memory_bytes) =
            usage().map_or((0.0, 0), |usage| (usage.cpu_seconds, usage.peak_memory_bytes));
        Self {
            status: report.status,
            seconds: after.as_secs_f64(),
            cpu_seconds,
            peak_memory_bytes,
            hops: report.hops.clone(),
            errors: report.failures.iter().map(|failure| in_one_line(failure)).collect(),
        }
    }

    /// Of a run that was over before a hop began.
    pub fn not_started(after: Duration, errors: Vec<String>) -> Self {
        let (cpu_seconds, peak_memory_bytes) =
            usage().map_or((0.0, 0), |usage| (usage.cpu_seconds, usage.peak_memory_bytes));
        let seconds = after.as_secs_f64();
        Self { status: RunStatus::Failed, seconds, cpu_seconds, peak_memory_bytes, hops: Vec::new(), errors }
    }

    /// One JSON object on one line, without a newline at its end. Its keys and their order
    /// are a public interface; `errors`, and `conflicts`, `expectations` and `metrics` of a hop, are there
    /// where there are any.
    pub fn to_json(&self) -> String {
        let hops: Vec<String> = self.hops.iter().map(hop_json).collect();
        let errors = match self.errors.is_empty() {
            true => String::new(),
            false => format!(",\"errors\":{}", Json::from(self.errors.clone())),
        };
        format!(
            "{{\"status\":{},\"seconds\":{},\"cpu_seconds\":{},\"peak_memory_bytes\":{},\"hops\":[{}]{errors}}}",
            Json::from(self.status.as_str()),
            milliseconds(self.seconds),
            milliseconds(self.cpu_seconds),
            self.peak_memory_bytes,
            hops.join(","),
        )
    }

    /// A table for a person, and a line about the whole run, each line ending in a newline.
    pub fn to_table(&self) -> String {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_style(TableComponent::HeaderLines, '─').set_style(TableComponent::MiddleHeaderIntersections, '─');
        table.set_header(["hop", "module", "rows in", "rows out", "rejected", "commits", "rows/s"]);
        for hop in &self.hops {
            table.add_row(row(hop, self.seconds));
        }
        for column in table.column_iter_mut().skip(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let conflicts: String = self.hops.iter().filter(|hop| hop.conflicts > 0).map(conflicts_line).collect();
        let body = table.lines().map(|line| format!("{}\n", line.trim())).collect::<String>();
        let unmet: String = self.hops.iter().flat_map(expectations_lines).collect();
        let left_out: String = self.hops.iter().flat_map(left_out_lines).collect();
        let metrics: String = self.hops.iter().filter_map(metrics_line).collect();
        format!(
            "{body}{conflicts}{unmet}{metrics}{left_out}{} in {:.1} s; {:.1} s of processor time; at most {} of memory\n",
            self.status.as_str(),
            self.seconds,
            self.cpu_seconds,
            HumanBytes(self.peak_memory_bytes),
        )
    }
}

fn hop_json(hop: &HopReport) -> String {
    let conflicts = match hop.conflicts {
        0 => String::new(),
        some => format!(",\"conflicts\":{some}"),
    };
    format!(
        "{{\"hop\":{},\"module\":{},\"digest\":{},\"rows_in\":{},\"rows_out\":{},\"rows_rejected\":{},\"commits\":{},\"peak_in_flight_bytes\":{}{conflicts}{}{}{}}}",
        Json::from(hop.hop.as_str()),
        Json::from(hop.module.as_deref()),
        Json::from(hop.digest.as_deref()),
        hop.rows_in,
        hop.rows_out,
        hop.rows_rejected,
        hop.commits,
        hop.peak_in_flight_bytes,
        expectations_json(hop),
        metrics_json(hop),
        left_out_json(hop),
    )
}

/// A further field, only where there is something to say.
fn expectations_json(hop: &HopReport) -> String {
    let of = |(expected, rows): &(Expected, u64)| {
        format!(
            "{{\"table\":{},\"column\":{},\"rule\":{},\"otherwise\":{},\"rows\":{rows}}}",
            Json::from(expected.table.as_str()),
            Json::from(expected.column.as_str()),
            Json::from(expected.rule),
            Json::from(expected.otherwise.as_str()),
        )
    };
    match hop.expectations.as_slice() {
        [] => String::new(),
        unmet => format!(",\"expectations\":[{}]", unmet.iter().map(of).collect::<Vec<_>>().join(",")),
    }
}

fn expectations_lines(hop: &HopReport) -> impl Iterator<Item = String> {
    hop.expectations.iter().map(|(expected, rows)| {
        let (table, column) = (&expected.table, visible(&expected.column));
        let (rule, otherwise) = (expected.rule, expected.otherwise.as_str());
        format!("{table}: {} rows unlike what is expected of {column} ({rule}: {otherwise})\n", HumanCount(*rows))
    })
}

/// A further field, only where there is something to say.
fn metrics_json(hop: &HopReport) -> String {
    let of = |(name, sum): &(String, f64)| format!("{}:{}", Json::from(name.as_str()), number(*sum));
    match hop.metrics.as_slice() {
        [] => String::new(),
        metrics => format!(",\"metrics\":{{{}}}", metrics.iter().map(of).collect::<Vec<_>>().join(",")),
    }
}

fn metrics_line(hop: &HopReport) -> Option<String> {
    let of = |(name, sum): &(String, f64)| format!("{} {}", visible(name), HumanFloatCount(*sum));
    let metrics: Vec<String> = hop.metrics.iter().map(of).collect();
    (!metrics.is_empty()).then(|| format!("{}: {}\n", hop.hop, metrics.join(", ")))
}

/// A further field, only where there is something to say.
fn left_out_json(hop: &HopReport) -> String {
    let of = |(file, why): &(String, String)| {
        format!("{{\"file\":{},\"why\":{}}}", Json::from(file.as_str()), Json::from(why.as_str()))
    };
    match hop.left_out.is_empty() {
        true => String::new(),
        false => {
            let named: Vec<String> = hop.left_out.named().iter().map(of).collect();
            format!(",\"left_out\":{{\"files\":{},\"named\":[{}]}}", hop.left_out.count(), named.join(","))
        }
    }
}

/// The files that were left out: how many, and the first of them by name.
fn left_out_lines(hop: &HopReport) -> Vec<String> {
    /// More would push what was done off the screen.
    const SHOWN: usize = 10;
    let count = hop.left_out.count();
    let mut lines = Vec::new();
    if count > 0 {
        let files = if count == 1 { "file" } else { "files" };
        lines.push(format!("{}: {} {files} left out of its source's folder:\n", hop.hop, HumanCount(count)));
    }
    for (file, why) in hop.left_out.named().iter().take(SHOWN) {
        lines.push(format!("  {}: {}\n", visible(file), visible(why)));
    }
    if count > SHOWN as u64 {
        lines.push(format!("  and {} more\n", HumanCount(count - SHOWN as u64)));
    }
    lines
}

fn conflicts_line(hop: &HopReport) -> String {
    let (name, count) = (&hop.hop, HumanCount(hop.conflicts));
    format!("{name}: another writer committed first {count} times, and each commit was made again\n")
}

fn row(hop: &HopReport, seconds: f64) -> Row {
    let module = match (&hop.module, &hop.digest) {
        (Some(module), Some(digest)) => format!("{module}@{}", digest.get(..12).unwrap_or(digest)),
        (Some(module), None) => module.clone(),
        (None, _) => "–".to_owned(),
    };
    let module = visible(&module);
    let rate = if seconds > 0.0 { hop.rows_in as f64 / seconds } else { 0.0 };
    Row::from([
        hop.hop.clone(),
        module,
        HumanCount(hop.rows_in).to_string(),
        HumanCount(hop.rows_out).to_string(),
        HumanCount(hop.rows_rejected).to_string(),
        HumanCount(hop.commits).to_string(),
        // Casts of floats saturate, so a rate beyond all counts stays a count.
        HumanCount(rate as u64).to_string(),
    ])
}

/// A sum, without a point where it is a whole number; null where it is none.
fn number(sum: f64) -> Json {
    // Whole numbers are exact up to here.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if sum.fract() == 0.0 && sum.abs() < EXACT { Json::from(sum as i64) } else { Json::from(sum) }
}

/// Seconds to three digits: a clock is not better than that across threads.
fn milliseconds(seconds: f64) -> Json {
    Json::from((seconds * 1_000.0).round() / 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluicebox_core::left_out::LeftOut;
    use sluicebox_core::plan::Otherwise;

    fn summary() -> Summary {
        Summary {
            status: RunStatus::Done,
            seconds: 12.345_678,
            cpu_seconds: 20.0,
            peak_memory_bytes: 312 << 20,
            hops: vec![
                HopReport {
                    hop: "land_users".into(),
                    module: None,
                    digest: None,
                    rows_in: 1_234_567,
                    rows_out: 1_234_500,
                    rows_rejected: 67,
                    commits: 3,
                    expectations: Vec::new(),
                    metrics: Vec::new(),
                    left_out: LeftOut::default(),
                    conflicts: 0,
                    peak_in_flight_bytes: 1_000,
                },
                HopReport {
                    hop: "clean_users".into(),
                    module: Some("c2c \"clean\" users".into()),
                    digest: Some("0123456789abcdef".repeat(4)),
                    rows_in: 1_234_500,
                    rows_out: 0,
                    rows_rejected: 0,
                    commits: 1_000,
                    expectations: vec![(
                        Expected {
                            table: "silver.users".into(),
                            column: "age".into(),
                            rule: "range",
                            otherwise: Otherwise::Warn,
                        },
                        1_200,
                    )],
                    metrics: vec![("duplicates".into(), 1_234.0), ("share".into(), 0.25)],
                    left_out: LeftOut::default(),
                    conflicts: 0,
                    peak_in_flight_bytes: 1_000,
                },
            ],
            errors: Vec::new(),
        }
    }

    #[test]
    fn what_is_rare_is_shown_where_there_is_any() {
        let mut summary = summary();
        summary.hops[1].conflicts = 2;
        summary.errors = vec!["hop `clean_users`: \"no\"".into()];
        let json: Json = serde_json::from_str(&summary.to_json()).expect("it is JSON");
        assert_eq!(json["hops"][1]["conflicts"], 2);
        assert_eq!(json["hops"][0].get("conflicts"), None);
        assert_eq!(json["errors"][0], "hop `clean_users`: \"no\"");
        assert!(summary.to_table().contains("clean_users: another writer committed first 2 times"));
    }

    #[test]
    fn files_that_were_left_out_are_counted_and_the_first_named() {
        let mut summary = summary();
        for index in 0..12 {
            summary.hops[0].left_out.add(format!("_{index}\n.csv"), "its name begins with `_`");
        }
        let json: Json = serde_json::from_str(&summary.to_json()).expect("it is JSON");
        assert_eq!(json["hops"][0]["left_out"]["files"], 12);
        assert_eq!(json["hops"][0]["left_out"]["named"][11]["file"], "_11\n.csv");
        let table = summary.to_table();
        assert!(table.contains("land_users: 12 files left out"), "{table}");
        assert!(table.contains("its name begins with `_`\n  and 2 more\n"), "{table}");
        assert!(!table.contains("_0\n"), "a name does not break its line: {table}");
    }

    #[test]
    fn the_json_is_one_line_with_its_keys_in_order() {
        let digest = "0123456789abcdef".repeat(4);
        let expected = format!(
            concat!(
                r#"{{"status":"done","seconds":12.346,"cpu_seconds":20.0,"peak_memory_bytes":327155712,"hops":["#,
                r#"{{"hop":"land_users","module":null,"digest":null,"rows_in":1234567,"rows_out":1234500,"rows_rejected":67,"commits":3,"peak_in_flight_bytes":1000}},"#,
                r#"{{"hop":"clean_users","module":"c2c \"clean\" users","digest":"{}","rows_in":1234500,"rows_out":0,"rows_rejected":0,"commits":1000,"peak_in_flight_bytes":1000,"#,
                r#""expectations":[{{"table":"silver.users","column":"age","rule":"range","otherwise":"warn","rows":1200}}],"metrics":{{"duplicates":1234,"share":0.25}}}}]}}"#,
            ),
            digest
        );
        assert_eq!(summary().to_json(), expected);
        serde_json::from_str::<Json>(&summary().to_json()).expect("it is JSON");
    }

    #[test]
    fn the_table_groups_digits_and_ends_with_the_whole_run() {
        let expected = "\
hop           module                             rows in    rows out   rejected   commits   rows/s
────────────────────────────────────────────────────────────────────────────────────────────────────
land_users    –                                1,234,567   1,234,500         67         3   99,999
clean_users   c2c \"clean\" users@0123456789ab   1,234,500           0          0     1,000   99,994
silver.users: 1,200 rows unlike what is expected of age (range: warn)
clean_users: duplicates 1,234, share 0.25
done in 12.3 s; 20.0 s of processor time; at most 312.00 MiB of memory
";
        assert_eq!(summary().to_table(), expected);
    }

    #[test]
    fn a_run_without_hops_or_time_is_no_special_case() {
        let nothing = Summary {
            status: RunStatus::Interrupted,
            seconds: 0.0,
            cpu_seconds: 0.0,
            peak_memory_bytes: 0,
            hops: Vec::new(),
            errors: Vec::new(),
        };
        assert!(nothing.to_json().ends_with("\"hops\":[]}"));
        assert!(nothing.to_table().ends_with("interrupted in 0.0 s; 0.0 s of processor time; at most 0 B of memory\n"));
    }
}
