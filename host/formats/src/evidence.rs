//! What the numbers of a sample say about their column: the narrowest type that gives every one of
//! them back as it was written.

use arrow_schema::DataType;

use crate::value;

/// The numbers of one column, as far as they were seen.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    seen: bool,
    /// Some have a point or an exponent.
    broken: bool,
    /// Some have an exponent.
    scientific: bool,
    /// Some are whole and beyond 64 bits.
    long: bool,
    /// Some are not what the nearest double is written as.
    rounded: bool,
    /// Some end in a zero behind the point, as those do that are written with a fixed number of digits there.
    padded: bool,
    /// The most digits before the point, and the fewest and the most behind it.
    whole: usize,
    fewest: usize,
    most: usize,
}

/// Digits behind the point that amounts have at most; more are measurements.
const AMOUNT_DIGITS: usize = 8;

/// Digits of a decimal at most.
const DIGITS: usize = 38;

/// Digits of a decimal that 64 bits hold, and how many of these are to be left for later, larger values.
const SHORT_DIGITS: usize = 18;
const SPARE_DIGITS: usize = 4;

impl Numbers {
    /// Takes a number, as it is written: digits with an optional sign, point and exponent.
    pub(crate) fn add(&mut self, text: &[u8]) {
        let digits = text.strip_prefix(b"-").unwrap_or(text);
        let exponent = digits.iter().position(|byte| matches!(byte, b'e' | b'E'));
        let mantissa = &digits[..exponent.unwrap_or(digits.len())];
        let point = mantissa.iter().position(|byte| *byte == b'.');
        let whole = point.unwrap_or(mantissa.len());
        let fraction = point.map_or(0, |at| mantissa.len() - at - 1);
        self.fewest = if self.seen { self.fewest.min(fraction) } else { fraction };
        self.most = self.most.max(fraction);
        self.whole = self.whole.max(whole);
        self.seen = true;
        self.broken |= exponent.is_some() || point.is_some();
        self.scientific |= exponent.is_some();
        self.padded |= fraction > 0 && mantissa.ends_with(b"0");
        self.long |= exponent.is_none() && point.is_none() && value::integer(text).is_none();
        self.rounded = self.rounded || !value::is_exact_float(text);
    }

    /// The type that gives all of them back: whole numbers of 64 bits, decimals where all have the
    /// same number of digits behind the point or no double is exact, doubles, or text.
    pub(crate) fn kind(&self) -> DataType {
        let decimal = |scale: usize| match (self.whole + scale + SPARE_DIGITS, self.whole + scale) {
            (short, _) if scale > 0 && short <= SHORT_DIGITS => DataType::Decimal128(SHORT_DIGITS as u8, scale as i8),
            (_, digits) if digits <= DIGITS => DataType::Decimal128(DIGITS as u8, scale as i8),
            _ => DataType::Utf8,
        };
        let amounts = self.fewest == self.most && self.most <= AMOUNT_DIGITS && (self.most >= 2 || self.padded);
        match self {
            Self { broken: false, long: false, .. } => DataType::Int64,
            Self { broken: false, .. } => decimal(0),
            Self { scientific: false, .. } if amounts => decimal(self.most),
            Self { rounded: false, .. } => DataType::Float64,
            Self { scientific: false, .. } => decimal(self.most),
            _ => DataType::Utf8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(texts: &[&str]) -> DataType {
        let mut numbers = Numbers::default();
        texts.iter().for_each(|text| numbers.add(text.as_bytes()));
        numbers.kind()
    }

    #[test]
    fn the_narrowest_type_that_gives_all_back() {
        assert_eq!(kind(&["1", "-2", "9223372036854775807"]), DataType::Int64);
        assert_eq!(kind(&["1", "9223372036854775808"]), DataType::Decimal128(38, 0));
        assert_eq!(kind(&["1".repeat(39).as_str()]), DataType::Utf8);
        assert_eq!(kind(&["2.50", "11.00", "-3.25"]), DataType::Decimal128(18, 2));
        assert_eq!(kind(&["123456789012345678.25"]), DataType::Decimal128(38, 2));
        assert_eq!(kind(&["1.0", "2.5"]), DataType::Decimal128(18, 1));
        assert_eq!(kind(&["1.5", "2"]), DataType::Float64);
        assert_eq!(kind(&["1.5", "22.25", "1e3"]), DataType::Float64);
        assert_eq!(kind(&["3060.3362068965516", "0.1"]), DataType::Float64);
        assert_eq!(kind(&["12345678901234567890.5", "0.125"]), DataType::Decimal128(38, 3));
        assert_eq!(kind(&["1e400"]), DataType::Utf8);
        assert_eq!(kind(&["9007199254740993", "0.5"]), DataType::Decimal128(38, 1));
    }
}
