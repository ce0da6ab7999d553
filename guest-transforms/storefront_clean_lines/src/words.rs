//! What the words of a line mean.

use std::collections::BTreeMap;

use serde::Deserialize;
use sluicebox_sdk::prelude::*;

/// A category and what puts a line into it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Category {
    name: String,
    /// Words of the description, in any case: letters and digits between anything else.
    #[serde(default)]
    words: Vec<String>,
    /// Stock codes, exactly as they are.
    #[serde(default)]
    codes: Vec<String>,
}

/// Categories, found by a stock code or a description. A lower number is an earlier category.
pub(crate) struct Categories {
    names: Vec<String>,
    words: BTreeMap<String, usize>,
    codes: BTreeMap<String, usize>,
}

const OTHER: &str = "Other";

impl Categories {
    pub(crate) fn of(categories: &[Category]) -> Result<Self> {
        let mut found = Self { names: Vec::new(), words: BTreeMap::new(), codes: BTreeMap::new() };
        for (number, category) in categories.iter().enumerate() {
            for word in &category.words {
                if word.is_empty() || !word.chars().all(char::is_alphanumeric) {
                    return Err(Failure::config(format!(
                        "the category {:?} has the word {word:?}: a word is made of letters and digits",
                        category.name
                    )));
                }
                found.words.entry(word.to_uppercase()).or_insert(number);
            }
            for code in &category.codes {
                found.codes.entry(code.clone()).or_insert(number);
            }
            found.names.push(category.name.clone());
        }
        Ok(found)
    }

    /// The first category that names the stock code or a word of the description.
    pub(crate) fn find(&self, code: &str, description: Option<&str>) -> &str {
        let description = description.unwrap_or_default().to_uppercase();
        let words = description.split(|letter: char| !letter.is_alphanumeric());
        let by_word = words.filter_map(|word| self.words.get(word));
        by_word.chain(self.codes.get(code)).min().map_or(OTHER, |number| &self.names[*number])
    }
}

/// Text without the blanks around it; blank text is none.
pub(crate) fn trimmed(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

/// Text that must not be blank.
pub(crate) fn present<'a>(column: &str, text: &'a str) -> Result<&'a str, Reject> {
    trimmed(text).ok_or_else(|| Reject::new(format!("{column}.blank"), format!("{column} is blank")))
}

/// Text with one blank between its words; blank text is none.
pub(crate) fn single_spaced(text: &str) -> Option<String> {
    let mut spaced = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !spaced.is_empty() {
            spaced.push(' ');
        }
        spaced.push_str(word);
    }
    (!spaced.is_empty()).then_some(spaced)
}

/// A customer's number as text. Exports that went through a floating-point column say
/// `17850.0` for 17850.
pub(crate) fn customer(text: &str) -> Option<&str> {
    trimmed(text).map(|text| text.strip_suffix(".0").unwrap_or(text))
}

/// The day of a time in microseconds, in UTC.
pub(crate) fn day(microseconds: i64) -> i32 {
    const DAY: i64 = 24 * 60 * 60 * 1_000_000;
    // 2^63 microseconds are 107 million days, which fit 32 bits.
    microseconds.div_euclid(DAY) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn category(name: &str, words: &[&str], codes: &[&str]) -> Category {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Category { name: name.to_owned(), words: texts(words), codes: texts(codes) }
    }

    #[test]
    fn the_first_category_that_fits_counts() {
        let found = Categories::of(&[
            category("Services", &[], &["POST"]),
            category("Christmas", &["christmas"], &[]),
            category("Bags", &["BAG", "Bags"], &[]),
        ])
        .unwrap();
        for (code, description, expected) in [
            ("22000", Some("BAG, CHRISTMAS"), "Christmas"),
            ("22000", Some("jumbo bag/red"), "Bags"),
            ("22000", Some("BAGGAGE"), "Other"),
            ("POST", Some("CHRISTMAS POSTAGE"), "Services"),
            ("post", None, "Other"),
            ("22000", None, "Other"),
        ] {
            assert_eq!(found.find(code, description), expected, "{code} {description:?}");
        }
    }

    #[test]
    fn a_word_that_no_description_can_hold_is_refused() {
        for word in ["T-LIGHT", "", "TWO WORDS"] {
            let error = Categories::of(&[category("Lights", &[word], &[])]).err().unwrap();
            assert!(error.to_string().contains("letters and digits"), "{error}");
        }
    }

    #[test]
    fn a_day_begins_at_midnight_before_1970_too() {
        assert_eq!([day(0), day(86_399_999_999), day(-1), day(1_291_191_960_000_000)], [0, 0, -1, 14_944]);
    }
}
