//! Choices that are written as words.

use std::marker::PhantomData;

use serde_json::{Value as Json, json};

use crate::diagnostics::meant_or_known;
use crate::keys::describe::Shape;
use crate::keys::json_schema::VARIABLE;
use crate::keys::key::Kind;
use crate::keys::section::Found;

/// A type whose values are written as words.
pub(crate) trait Words: Copy + PartialEq + Sync + Send + 'static {
    /// Each word with its value.
    const ALL: &'static [(&'static str, Self)];
}

/// Every word of a choice.
pub(crate) fn names<T: Words>() -> Vec<&'static str> {
    T::ALL.iter().map(|(name, _)| *name).collect()
}

/// The value of the word.
pub(crate) fn find<T: Words>(word: &str) -> Option<T> {
    T::ALL.iter().find(|(name, _)| *name == word).map(|(_, value)| *value)
}

/// The word of a value.
pub(crate) fn name<T: Words>(value: T) -> &'static str {
    T::ALL.iter().find(|(_, candidate)| *candidate == value).map_or("?", |(name, _)| name)
}

/// One of the words of `T`.
#[derive(Clone, Copy)]
pub(crate) struct Word<T>(PhantomData<T>);

impl<T> Word<T> {
    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T: Words> Shape for Word<T> {
    fn label(&self) -> String {
        names::<T>().iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    }

    fn schema(&self) -> Json {
        json!({ "anyOf": [{ "enum": names::<T>() }, { "type": "string", "pattern": VARIABLE }] })
    }
}

impl<T: Words> Kind for Word<T> {
    type Value = T;

    fn read(&self, found: &Found<'_, '_>) -> Option<T> {
        let text = found.any_text()?;
        let value = find(text);
        if value.is_none() {
            let hint = meant_or_known(text, "possible value", &names::<T>());
            found.report(format!("unknown `{}` `{text}` in {}", found.name(), found.what()), hint);
        }
        value
    }

    fn toml(&self, value: &T) -> Option<String> {
        Some(format!("\"{}\"", name(*value)))
    }
}
