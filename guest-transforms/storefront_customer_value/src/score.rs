//! Scores, segments and rounding.

/// Scores from 1 to 5: the fifth of all values in which one lies, counted from the least.
/// Equals have equal scores, which go by how many values are less.
pub(crate) fn fifths<V: Ord + Copy>(values: impl Iterator<Item = V>) -> Vec<i32> {
    let values: Vec<V> = values.collect();
    let mut sorted = values.clone();
    sorted.sort_unstable();
    let score = |value: &V| {
        let less = sorted.partition_point(|other| other < value);
        // Fewer than all are less, so the quotient is below 5.
        1 + (5 * less / sorted.len()) as i32
    };
    values.iter().map(score).collect()
}

/// The segment that three scores name: the first line that fits.
pub(crate) fn segment(recency: i32, frequency: i32, monetary: i32) -> &'static str {
    match (recency, frequency, monetary) {
        (4.., 4.., _) => "Champions",
        (3.., 3.., _) => "Loyal",
        (4.., _, _) => "Promising",
        (3, _, _) => "Needs attention",
        (_, 4.., 4..) => "Cannot lose",
        (_, 3.., _) => "At risk",
        _ => "Hibernating",
    }
}

/// A quotient in whole numbers, halves up. The divisor is above 0, and so is the amount of
/// a sale, so that nothing below 0 is ever rounded.
pub(crate) fn rounded(above: i128, below: i128) -> i128 {
    (2 * above + below) / (2 * below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_have_equal_scores() {
        assert_eq!(fifths([1, 2, 3, 4, 5].into_iter()), [1, 2, 3, 4, 5]);
        assert_eq!(fifths([7; 10].into_iter()), [1; 10]);
        assert_eq!(fifths([1, 1, 1, 1, 9].into_iter()), [1, 1, 1, 1, 5]);
        assert_eq!(fifths([9].into_iter()), [1]);
        assert_eq!(fifths(std::iter::empty::<i32>()), [0; 0]);
    }

    #[test]
    fn every_score_has_a_segment() {
        for (recency, frequency, monetary, expected) in [
            (5, 5, 1, "Champions"),
            (4, 4, 4, "Champions"),
            (3, 5, 5, "Loyal"),
            (5, 3, 1, "Loyal"),
            (5, 2, 5, "Promising"),
            (4, 1, 1, "Promising"),
            (3, 2, 5, "Needs attention"),
            (2, 4, 4, "Cannot lose"),
            (1, 5, 3, "At risk"),
            (2, 3, 5, "At risk"),
            (2, 2, 5, "Hibernating"),
            (1, 1, 1, "Hibernating"),
        ] {
            assert_eq!(segment(recency, frequency, monetary), expected, "{recency}{frequency}{monetary}");
        }
    }

    #[test]
    fn halves_go_up() {
        assert_eq!([rounded(5, 10), rounded(4, 10), rounded(15, 10), rounded(0, 3)], [1, 0, 2, 0]);
    }
}
