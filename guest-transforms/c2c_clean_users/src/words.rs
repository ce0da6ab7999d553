//! The words that users are described with.

/// The language's English name; a code that is not one of the store's five is "Other".
pub(crate) fn language(code: Option<&str>) -> &'static str {
    match code.map(str::to_ascii_lowercase).as_deref() {
        Some("en") => "English",
        Some("fr") => "French",
        Some("de") => "German",
        Some("it") => "Italian",
        Some("es") => "Spanish",
        _ => "Other",
    }
}

/// "Male", "Female" or "Other".
pub(crate) fn gender(code: Option<&str>) -> &'static str {
    match code.map(str::to_ascii_uppercase).as_deref() {
        Some("M") => "Male",
        Some("F") => "Female",
        _ => "Other",
    }
}

/// A title in one spelling, whatever its case and with or without a point.
pub(crate) fn title(title: &str) -> &'static str {
    match title.trim().trim_end_matches('.').to_ascii_lowercase().as_str() {
        "mr" => "Mr",
        "mrs" | "mme" | "ms" => "Mrs",
        "miss" | "mlle" => "Miss",
        _ => "Other",
    }
}

/// How old an account is, in three groups.
pub(crate) fn age_group(days: i32) -> &'static str {
    match days {
        ..365 => "New",
        365..1_095 => "Intermediate",
        _ => "Experienced",
    }
}

/// Gender, country, title and language in one text, such as `Female_FR_Mrs_French`.
pub(crate) fn descriptor(gender: &str, country: Option<&str>, title: Option<&str>, language: &str) -> String {
    format!("{gender}_{}_{}_{language}", country.unwrap_or("??"), title.unwrap_or("Other"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_match_in_any_case() {
        for (raw, clean) in [("mrs", "Mrs"), ("Mme.", "Mrs"), (" MR ", "Mr"), ("miss", "Miss"), ("dr", "Other")] {
            assert_eq!(title(raw), clean, "{raw:?}");
        }
    }

    #[test]
    fn an_account_of_a_year_is_not_new() {
        let groups = [364, 365, 1_094, 1_095].map(age_group);
        assert_eq!(groups, ["New", "Intermediate", "Intermediate", "Experienced"]);
    }
}
