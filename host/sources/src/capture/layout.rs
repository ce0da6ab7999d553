//! Parses the path of a captured file.

use regex::Regex;

use sluicebox_core::plan::{LayoutPart, TimePart};

/// A parser for paths of one layout.
pub(super) struct Layout(Regex);

/// The parts of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) namespace: Option<String>,
    pub(super) hub: Option<String>,
    pub(super) partition: String,
    /// The start time of the file, in seconds since 1970, from its path.
    pub(super) time: i64,
}

impl Layout {
    /// A parser for paths of these parts. Text after the last part is ignored, such as a suffix that makes a name
    /// unique.
    pub(super) fn new(parts: &[LayoutPart]) -> Result<Self, regex::Error> {
        let mut pattern = String::from("^");
        for part in parts {
            match part {
                LayoutPart::Text(text) => pattern.push_str(&regex::escape(text)),
                LayoutPart::Namespace => pattern.push_str("(?P<namespace>[^/]+?)"),
                LayoutPart::EventHub => pattern.push_str("(?P<hub>[^/]+?)"),
                LayoutPart::PartitionId => pattern.push_str("(?P<partition>[0-9]+)"),
                LayoutPart::Time(TimePart::Year) => pattern.push_str("(?P<year>[0-9]{4})"),
                LayoutPart::Time(part) => pattern.push_str(&format!("(?P<{}>[0-9]{{1,2}})", name(*part))),
            }
        }
        pattern.push_str("(?:[^0-9/][^/]*)?\\.avro$");
        Regex::new(&pattern).map(Self)
    }

    /// Parses a path; `None` if it has another layout.
    pub(super) fn read(&self, path: &str) -> Option<Place> {
        let found = self.0.captures(path)?;
        let text = |name: &str| found.name(name).map(|text| text.as_str().to_owned());
        let number = |part: TimePart| found.name(name(part)).and_then(|text| text.as_str().parse::<u32>().ok());
        let date = chrono::NaiveDate::from_ymd_opt(
            i32::try_from(number(TimePart::Year)?).ok()?,
            number(TimePart::Month)?,
            number(TimePart::Day)?,
        )?;
        let at = date.and_hms_opt(number(TimePart::Hour)?, number(TimePart::Minute)?, number(TimePart::Second)?)?;
        // Leading zeros would make one partition look like two.
        let partition = found.name("partition")?.as_str();
        let partition = Some(partition.trim_start_matches('0')).filter(|digits| !digits.is_empty()).unwrap_or("0");
        Some(Place {
            namespace: text("namespace"),
            hub: text("hub"),
            partition: partition.to_owned(),
            time: at.and_utc().timestamp(),
        })
    }
}

fn name(part: TimePart) -> &'static str {
    match part {
        TimePart::Year => "year",
        TimePart::Month => "month",
        TimePart::Day => "day",
        TimePart::Hour => "hour",
        TimePart::Minute => "minute",
        TimePart::Second => "second",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTS: [TimePart; 6] =
        [TimePart::Year, TimePart::Month, TimePart::Day, TimePart::Hour, TimePart::Minute, TimePart::Second];

    fn layout(first: &[LayoutPart], between: &[&str]) -> Layout {
        let mut parts = first.to_vec();
        for (text, part) in between.iter().zip(PARTS) {
            parts.extend([LayoutPart::Text((*text).to_owned()), LayoutPart::Time(part)]);
        }
        Layout::new(&parts).unwrap()
    }

    #[test]
    fn a_path_says_where_its_events_come_from() {
        let slash = || LayoutPart::Text("/".to_owned());
        let first = [LayoutPart::Namespace, slash(), LayoutPart::EventHub, slash(), LayoutPart::PartitionId];
        let standard = layout(&first, &["/"; 6]);
        let place = |partition: &str, time| Place {
            namespace: Some("ns".into()),
            hub: Some("orders".into()),
            partition: partition.into(),
            time,
        };
        assert_eq!(standard.read("ns/orders/0/2024/02/29/23/59/01.avro"), Some(place("0", 1_709_251_141)));
        assert_eq!(standard.read("ns/orders/07/2024/2/29/23/59/01-1.avro"), Some(place("7", 1_709_251_141)));
        for other in [
            "ns/orders/0/2024/02/30/23/59/01.avro",
            "ns/orders/x/2024/02/29/23/59/01.avro",
            "orders/0/2024/02/29/23/59/01.avro",
            "ns/orders/0/2024/02/29/23/59/01.avro.tmp",
            "ns/orders/0/2024/02/29/23/59/012.avro",
        ] {
            assert_eq!(standard.read(other), None, "{other}");
        }
        let flat = layout(&[LayoutPart::Text("p".into()), LayoutPart::PartitionId], &["--", "-", "-", "--", "-", "-"]);
        let read = flat.read("p9--2022-12-09--17-10-12.avro").unwrap();
        assert_eq!((read.hub, read.partition.as_str(), read.time), (None, "9", 1_670_605_812));
    }
}
