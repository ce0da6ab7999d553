//! Flags and numbers without a unit.

use serde_json::{Value as Json, json};

use crate::document::Value;
use crate::keys::describe::Shape;
use crate::keys::key::Kind;
use crate::keys::section::Found;

/// `true` or `false`.
#[derive(Clone, Copy)]
pub(crate) struct Flag;

impl Shape for Flag {
    fn label(&self) -> String {
        "boolean".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "type": "boolean" })
    }
}

impl Kind for Flag {
    type Value = bool;

    fn read(&self, found: &Found<'_, '_>) -> Option<bool> {
        match &found.node().value {
            Value::Flag(flag) => Some(*flag),
            other => {
                let hint = match other {
                    Value::Text(text) if ["true", "false"].contains(&text.as_str()) => {
                        Some(format!("write it without quotes: `{} = {text}`", found.name()))
                    }
                    _ => None,
                };
                found.wrong("`true` or `false`", found.node(), hint);
                None
            }
        }
    }

    fn toml(&self, value: &bool) -> Option<String> {
        Some(value.to_string())
    }
}

/// A whole number in a range, both ends included.
#[derive(Clone, Copy)]
pub(crate) struct Whole<T> {
    least: T,
    most: T,
}

impl<T> Whole<T> {
    pub(crate) const fn from_to(least: T, most: T) -> Self
    where
        T: Copy,
    {
        Self { least, most }
    }
}

/// An integer type that a TOML integer is converted to.
pub(crate) trait Number: Copy + Into<i128> + TryFrom<i64> + Sync + Send + 'static {}

impl<T: Copy + Into<i128> + TryFrom<i64> + Sync + Send + 'static> Number for T {}

impl<T: Number> Whole<T> {
    fn bounds(&self) -> (i128, i128) {
        (self.least.into(), self.most.into())
    }
}

impl<T: Number> Shape for Whole<T> {
    fn label(&self) -> String {
        match self.bounds() {
            (least, most) if most >= i128::from(i64::MAX) => format!("whole number from {least}"),
            (least, most) => format!("whole number from {least} to {}", grouped(most)),
        }
    }

    fn schema(&self) -> Json {
        let (least, most) = self.bounds();
        // TOML's numbers have 64 bits.
        let shown = |bound: i128| i64::try_from(bound).unwrap_or(i64::MAX);
        json!({ "type": "integer", "minimum": shown(least), "maximum": shown(most) })
    }
}

impl<T: Number> Kind for Whole<T> {
    type Value = T;

    fn read(&self, found: &Found<'_, '_>) -> Option<T> {
        let node = found.node();
        let Value::Integer(number) = node.value else {
            let hint = match &node.value {
                Value::Text(text) if text.replace('_', "").parse::<i64>().is_ok() => {
                    Some(format!("write it without quotes: `{} = {text}`", found.name()))
                }
                _ => None,
            };
            found.wrong("a whole number", node, hint);
            return None;
        };
        let (least, most) = self.bounds();
        let value = T::try_from(number).ok().filter(|_| (least..=most).contains(&i128::from(number)));
        if value.is_none() {
            let bounds = match most >= i128::from(i64::MAX) {
                true => format!("it must be at least {least}"),
                false => format!("it must be from {} to {}", grouped(least), grouped(most)),
            };
            found.out_of_range(&number.to_string(), bounds);
        }
        value
    }

    fn toml(&self, value: &T) -> Option<String> {
        Some(grouped((*value).into()))
    }
}

/// A number from 0 to 1.
#[derive(Clone, Copy)]
pub(crate) struct Share;

impl Shape for Share {
    fn label(&self) -> String {
        "number from 0 to 1".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "type": "number", "minimum": 0, "maximum": 1 })
    }
}

impl Kind for Share {
    type Value = f64;

    fn read(&self, found: &Found<'_, '_>) -> Option<f64> {
        let node = found.node();
        let share = match &node.value {
            Value::Float(share) => *share,
            Value::Integer(0) => 0.0,
            Value::Integer(1) => 1.0,
            Value::Integer(number) => *number as f64,
            _ => {
                found.wrong("a number", node, None);
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
            found.out_of_range(found.section.cx.text.slice(&node.span), bounds);
            return None;
        }
        Some(share)
    }

    fn toml(&self, value: &f64) -> Option<String> {
        Some(format!("{value:?}"))
    }
}

/// `1_000_000`, as the file may write it.
fn grouped(number: i128) -> String {
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
