//! A figure is a column of an output: how it follows from a group.

use sluicebox_sdk::arrow_schema::Field;
use sluicebox_sdk::prelude::*;

use crate::Group;

/// An output: its columns, some of which other outputs have, too.
pub(crate) struct Table(pub(crate) &'static [Columns]);

/// Columns by name.
pub(crate) type Columns = &'static [(&'static str, Figure)];

/// How a column follows from a group.
pub(crate) enum Figure {
    Country,
    Gender,
    CountryCode,
    Count(fn(&Group) -> i64),
    /// A quotient rounded to so many digits, the half away from zero; null where the
    /// divisor is 0.
    Rounded(u32, fn(&Group) -> (i128, i128)),
    /// A percentage as the store cuts it: to whole per cents, and null instead of 0.
    Cut(fn(&Group) -> (i128, i128)),
    /// A quotient as it is.
    Exact(fn(&Group) -> (i128, i128)),
}

/// Digits after the point of every rounded column.
const SCALE: u32 = 2;

type Keyed<'a> = (&'a (String, String), &'a Group);

impl Table {
    pub(crate) fn fields(&self) -> impl Iterator<Item = Field> {
        self.0.iter().copied().flatten().map(|(name, figure)| match figure {
            Figure::Country | Figure::Gender => required(utf8(name)),
            Figure::CountryCode => utf8(name),
            Figure::Count(_) => required(int64(name)),
            Figure::Rounded(..) | Figure::Cut(_) => decimal(name, 12, SCALE as i8),
            Figure::Exact(_) => float64(name),
        })
    }

    pub(crate) fn columns<'a>(&self, groups: impl Iterator<Item = Keyed<'a>>) -> Result<Vec<ArrayRef>> {
        let groups: Vec<Keyed> = groups.collect();
        self.0.iter().copied().flatten().map(|(_, figure)| figure.column(&groups)).collect()
    }
}

impl Figure {
    fn column(&self, groups: &[Keyed]) -> Result<ArrayRef> {
        let each = || groups.iter().map(|(_, group)| *group);
        Ok(match self {
            Figure::Country => strings(groups.iter().map(|((country, _), _)| country.as_str())),
            Figure::Gender => strings(groups.iter().map(|((_, gender), _)| gender.as_str())),
            Figure::CountryCode => strings(each().map(|group| group.country_code.as_deref())),
            Figure::Count(count) => int64s(each().map(count)),
            Figure::Rounded(digits, quotient) => rates(each().map(|group| rounded(*digits, quotient(group))))?,
            Figure::Cut(quotient) => rates(each().map(|group| cut(quotient(group))))?,
            Figure::Exact(quotient) => float64s(each().map(|group| exact(quotient(group)))),
        })
    }
}

fn rates(values: impl Iterator<Item = Option<i128>>) -> Result<ArrayRef> {
    decimals(12, SCALE as i8, values)
}

/// In hundredths; counts are never negative, so halves go up.
fn rounded(digits: u32, (above, below): (i128, i128)) -> Option<i128> {
    let scaled = 2 * above * 10_i128.pow(digits) + below;
    (below != 0).then(|| scaled / (2 * below) * 10_i128.pow(SCALE - digits))
}

fn cut((above, below): (i128, i128)) -> Option<i128> {
    let whole = (below != 0).then(|| 100 * above / below);
    whole.filter(|whole| *whole != 0).map(|whole| whole * 10_i128.pow(SCALE))
}

fn exact((above, below): (i128, i128)) -> Option<f64> {
    (below != 0).then(|| above as f64 / below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_go_up_and_nothing_is_divided_by_zero() {
        assert_eq!(rounded(1, (1, 4)), Some(30));
        assert_eq!(rounded(1, (1, 5)), Some(20));
        assert_eq!(rounded(2, (1, 8)), Some(13));
        assert_eq!(rounded(2, (1, 0)), None);
        assert_eq!([cut((411, 733)), cut((0, 1)), cut((0, 0))], [Some(5_600), None, None]);
    }
}
