//! Reads numbers, sizes, durations and flags, each checked against the range of its key.

use std::time::Duration;

use bytesize::ByteSize;

use super::keys::Kind;
use super::problem::Draft;
use super::section::Section;
use super::tree::{Node, Value};

impl Section<'_> {
    /// `true` or `false`.
    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        let node = &self.entry(key)?.node;
        match &node.value {
            Value::Flag(flag) => Some(*flag),
            other => {
                let hint = match other {
                    Value::Text(text) if ["true", "false"].contains(&text.as_str()) => {
                        Some(format!("write it without quotes: `{key} = {text}`"))
                    }
                    _ => None,
                };
                self.wrong(key, "`true` or `false`", node, hint);
                None
            }
        }
    }

    /// A whole number in the range of its key.
    pub(super) fn integer(&self, key: &str) -> Option<i64> {
        let node = &self.entry(key)?.node;
        let Value::Integer(number) = &node.value else {
            let hint = match &node.value {
                Value::Text(text) if text.replace('_', "").parse::<i64>().is_ok() => {
                    Some(format!("write it without quotes: `{key} = {text}`"))
                }
                _ => None,
            };
            self.wrong(key, "a whole number", node, hint);
            return None;
        };
        if let Some(Kind::Integer(least, most)) = self.kind(key)
            && !(least..=most).contains(number)
        {
            let bounds = match most {
                i64::MAX => format!("it must be at least {least}"),
                _ => format!("it must be from {} to {}", grouped(least), grouped(most)),
            };
            self.out_of_range(key, &number.to_string(), bounds, node);
            return None;
        }
        Some(*number)
    }

    /// A number from 0 to 1.
    pub(super) fn share(&self, key: &str) -> Option<f64> {
        let node = &self.entry(key)?.node;
        let share = match &node.value {
            Value::Float(share) => *share,
            Value::Integer(0) => 0.0,
            Value::Integer(1) => 1.0,
            Value::Integer(number) => *number as f64,
            _ => {
                self.wrong(key, "a number", node, None);
                return None;
            }
        };
        if !(0.0..=1.0).contains(&share) {
            let bounds = match share {
                percent if percent > 1.0 && percent <= 100.0 => {
                    format!("it is a share from 0 to 1; {percent} percent is {}", percent / 100.0)
                }
                _ => "it is a share from 0 to 1".to_owned(),
            };
            self.out_of_range(key, self.cx.text.slice(&node.span), bounds, node);
            return None;
        }
        Some(share)
    }

    /// A number of bytes.
    pub(super) fn size(&self, key: &str) -> Option<u64> {
        let node = &self.entry(key)?.node;
        let bytes = match &node.value {
            Value::Integer(bytes) => u64::try_from(*bytes).ok(),
            Value::Text(text) => text.trim().parse::<ByteSize>().ok().map(|size| size.as_u64()),
            _ => {
                self.wrong(
                    key,
                    "a size",
                    node,
                    Some("sizes are written as `\"64 MiB\"` or as a number of bytes".into()),
                );
                return None;
            }
        };
        let Some(bytes) = bytes else {
            let written = self.cx.text.slice(&node.span);
            self.cx.report(
                Draft::error(format!("`{key}` of {} is not a size: {written}", self.what))
                    .at(&node.span)
                    .hint("sizes are written as `\"64 MiB\"`, `\"1.5 GiB\"`, `\"100 kB\"` or as a number of bytes"),
            );
            return None;
        };
        if let Some(Kind::Size(least, most)) = self.kind(key)
            && !(least..=most).contains(&bytes)
        {
            let bounds = format!("it must be from {} to {}", shown(least), shown(most));
            self.out_of_range(key, &shown(bytes), bounds, node);
            return None;
        }
        Some(bytes)
    }

    /// A duration.
    pub(super) fn time(&self, key: &str) -> Option<Duration> {
        let node = &self.entry(key)?.node;
        let hint = "durations are written with a unit: `\"500ms\"`, `\"2s\"`, `\"5m\"`";
        let Value::Text(text) = &node.value else {
            let hint = match &node.value {
                Value::Integer(number) => format!("{hint}; did you mean `\"{number}s\"`?"),
                _ => hint.to_owned(),
            };
            self.wrong(key, "a duration", node, Some(hint));
            return None;
        };
        let time = match humantime::parse_duration(text.trim()) {
            Ok(time) => time,
            Err(_) => {
                self.cx.report(
                    Draft::error(format!(
                        "`{key}` of {} is not a duration: {}",
                        self.what,
                        self.cx.text.slice(&node.span)
                    ))
                    .at(&node.span)
                    .hint(hint),
                );
                return None;
            }
        };
        if let Some(Kind::Time(least, most)) = self.kind(key) {
            let (least, most) = (Duration::from_millis(least), Duration::from_millis(most));
            if !(least..=most).contains(&time) {
                let show = humantime::format_duration;
                let bounds = format!("it must be from {} to {}", show(least), show(most));
                self.out_of_range(key, &show(time).to_string(), bounds, node);
                return None;
            }
        }
        Some(time)
    }

    fn kind(&self, key: &str) -> Option<Kind> {
        self.rules.key(key).map(|rule| rule.kind)
    }

    fn out_of_range(&self, key: &str, value: &str, bounds: String, node: &Node) {
        self.cx.report(
            Draft::error(format!("`{key}` of {} is out of range: {value}", self.what)).at(&node.span).hint(bounds),
        );
    }
}

/// `1_000_000`, as the file may write it.
fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut out = if number < 0 { "-".to_owned() } else { String::new() };
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push('_');
        }
        out.push(digit);
    }
    out
}

/// `64 KiB`, as the file may write it.
fn shown(bytes: u64) -> String {
    ByteSize(bytes).display().iec().to_string().replace(".0 ", " ")
}
