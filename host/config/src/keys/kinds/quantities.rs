//! Numbers with a unit: sizes and durations.

use std::time::Duration;

use bytesize::ByteSize;
use serde_json::{Value as Json, json};

use crate::document::Value;
use crate::keys::DAY;
use crate::keys::describe::Shape;
use crate::keys::json_schema::pattern;
use crate::keys::key::Kind;
use crate::keys::section::Found;

/// A number of bytes in a range, both ends included, as a number or as text with a unit.
#[derive(Clone, Copy)]
pub(crate) struct Size<T> {
    least: T,
    most: T,
}

impl<T> Size<T> {
    pub(crate) const fn from_to(least: T, most: T) -> Self
    where
        T: Copy,
    {
        Self { least, most }
    }
}

/// A number of bytes.
pub(crate) trait Bytes: Copy + Into<u64> + TryFrom<u64> + Sync + Send + 'static {}

impl<T: Copy + Into<u64> + TryFrom<u64> + Sync + Send + 'static> Bytes for T {}

impl<T: Bytes> Shape for Size<T> {
    fn label(&self) -> String {
        let bounds: (u64, u64) = (self.least.into(), self.most.into());
        match bounds {
            (0, most) => format!("size up to {}", shown(most)),
            (least, most) => format!("size from {} to {}", shown(least), shown(most)),
        }
    }

    fn schema(&self) -> Json {
        let (least, most): (u64, u64) = (self.least.into(), self.most.into());
        json!({ "anyOf": [
            { "type": "integer", "minimum": least, "maximum": most },
            pattern(r"^\s*[0-9.]+\s*([kKmMgGtTpPeE]([iI]?[bB])?|[bB])?\s*$"),
        ] })
    }
}

impl<T: Bytes> Kind for Size<T> {
    type Value = T;

    fn read(&self, found: &Found<'_, '_>) -> Option<T> {
        let node = found.node();
        let bytes = match &node.value {
            Value::Integer(bytes) => u64::try_from(*bytes).ok(),
            Value::Text(text) => text.trim().parse::<ByteSize>().ok().map(|size| size.as_u64()),
            _ => {
                let hint = "sizes are written as `\"64 MiB\"` or as a number of bytes";
                found.wrong("a size", node, Some(hint.to_owned()));
                return None;
            }
        };
        let Some(bytes) = bytes else {
            let written = found.section.cx.text.slice(&node.span);
            let hint = "sizes are written as `\"64 MiB\"`, `\"1.5 GiB\"`, `\"100 kB\"` or as a number of bytes";
            found.report(
                format!("`{}` of {} is not a size: {written}", found.name(), found.what()),
                Some(hint.to_owned()),
            );
            return None;
        };
        let (least, most): (u64, u64) = (self.least.into(), self.most.into());
        let value = T::try_from(bytes).ok().filter(|_| (least..=most).contains(&bytes));
        if value.is_none() {
            found.out_of_range(&shown(bytes), format!("it must be from {} to {}", shown(least), shown(most)));
        }
        value
    }

    fn toml(&self, value: &T) -> Option<String> {
        Some(format!("\"{}\"", shown((*value).into())))
    }
}

/// A duration in a range of milliseconds, both ends included, as text with a unit.
#[derive(Clone, Copy)]
pub(crate) struct Time {
    least: u64,
    most: u64,
}

impl Time {
    pub(crate) const fn from_to(least_millis: u64, most_millis: u64) -> Self {
        Self { least: least_millis, most: most_millis }
    }

    fn bounds(self) -> (Duration, Duration) {
        (Duration::from_millis(self.least), Duration::from_millis(self.most))
    }
}

impl Shape for Time {
    fn label(&self) -> String {
        let (least, most) = self.bounds();
        match (self.least, self.most) {
            (0, _) => format!("duration up to {}", written(most)),
            // A limit of years is not shown.
            (_, end) if end > 365 * DAY => format!("duration from {}", written(least)),
            _ => format!("duration from {} to {}", written(least), written(most)),
        }
    }

    fn schema(&self) -> Json {
        pattern(r"^\s*([0-9]+\s*[a-zA-Zµ]+\s*)+$")
    }
}

impl Kind for Time {
    type Value = Duration;

    fn read(&self, found: &Found<'_, '_>) -> Option<Duration> {
        let node = found.node();
        let hint = "durations are written with a unit: `\"500ms\"`, `\"2s\"`, `\"5m\"`";
        let Value::Text(text) = &node.value else {
            let hint = match &node.value {
                Value::Integer(number) => format!("{hint}; did you mean `\"{number}s\"`?"),
                _ => hint.to_owned(),
            };
            found.wrong("a duration", node, Some(hint));
            return None;
        };
        let Ok(time) = humantime::parse_duration(text.trim()) else {
            let written = found.section.cx.text.slice(&node.span);
            found.report(
                format!("`{}` of {} is not a duration: {written}", found.name(), found.what()),
                Some(hint.to_owned()),
            );
            return None;
        };
        let (least, most) = self.bounds();
        if !(least..=most).contains(&time) {
            found.out_of_range(&written(time), format!("it must be from {} to {}", written(least), written(most)));
            return None;
        }
        Some(time)
    }

    fn toml(&self, value: &Duration) -> Option<String> {
        Some(format!("\"{}\"", written(*value)))
    }
}

/// `7days` or `1h 30m`, as the file may write it.
fn written(time: Duration) -> String {
    match (time.as_millis() / u128::from(DAY), time.as_millis() % u128::from(DAY)) {
        // Months of so many days and so much of a day say less.
        (days, 0) if days > 1 => format!("{days}days"),
        _ => humantime::format_duration(time).to_string(),
    }
}

/// `64 KiB`, as the file may write it.
fn shown(bytes: u64) -> String {
    ByteSize(bytes).display().iec().to_string().replace(".0 ", " ")
}
