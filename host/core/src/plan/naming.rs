//! What a source's columns are called in the lake.

use std::collections::BTreeMap;

/// What a source's columns are called in the lake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnNames {
    /// By what the source calls them.
    pub rename: BTreeMap<String, String>,
    /// The others in snake case: lower-case letters and digits, everything else as `_`.
    pub snake: bool,
}

impl ColumnNames {
    /// The name for the column that the source calls `origin`.
    pub fn name(&self, origin: &str) -> String {
        match self.rename.get(origin) {
            Some(name) => name.clone(),
            None if self.snake => snake(origin),
            None => origin.to_owned(),
        }
    }
}

/// `Unit Price (EUR)` is `unit_price_eur`, `orderID` is `order_id`. Letters of every script stay; a name
/// without a letter or digit stays as it is. One `_` at the beginning is kept.
fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    let mut gap = false;
    let mut before: Option<char> = None;
    let mut rest = name.trim().chars().peekable();
    while let Some(c) = rest.next() {
        if !c.is_alphanumeric() {
            gap |= !out.is_empty();
            before = None;
            continue;
        }
        // A capital begins a word behind a small letter or digit, or before a small letter inside of capitals.
        let begins = c.is_uppercase()
            && before.is_some_and(|before| {
                before.is_lowercase()
                    || before.is_numeric()
                    || before.is_uppercase() && rest.peek().is_some_and(|next| next.is_lowercase())
            });
        if gap || begins {
            out.push('_');
        }
        gap = false;
        out.extend(c.to_lowercase());
        before = Some(c);
    }
    if out.is_empty() {
        return name.to_owned();
    }
    if name.starts_with('_') { format!("_{out}") } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_become_names() {
        for (header, name) in [
            ("Order ID", "order_id"),
            ("Unit Price (EUR)", "unit_price_eur"),
            ("orderID", "order_id"),
            ("HTTPStatus", "http_status"),
            ("Größe in m²", "größe_in_m²"),
            ("  total ", "total"),
            ("a.b-c", "a_b_c"),
            ("_id", "_id"),
            ("column_1", "column_1"),
            ("2024 Q1", "2024_q1"),
            ("%", "%"),
        ] {
            assert_eq!(snake(header), name, "{header}");
        }
    }
}
