//! One field's text to one value: exact, or not at all.

use arrow_array::types::{Date32Type, Float64Type};
use arrow_cast::parse::{Parser, string_to_datetime};
use chrono::{DateTime, NaiveDate, Utc};

/// A whole number, with an optional sign; `12.0` and `1.2e1` are whole as well.
#[inline]
pub(crate) fn integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = sign(text);
    if digits.is_empty() || digits.len() > 18 {
        return integer_with_care(text);
    }
    let Some(value) = digits_to_number(digits) else { return integer_with_care(text) };
    let value = value as i64;
    Some(if negative { -value } else { value })
}

#[cold]
fn integer_with_care(text: &[u8]) -> Option<i64> {
    i64::try_from(decimal(text, 38, 0)?).ok()
}

/// A floating-point number, correctly rounded; `NaN` and `inf` included, but no number that is beyond
/// what there are of them.
#[inline]
pub(crate) fn float(text: &[u8]) -> Option<f64> {
    exact_float(text).or_else(|| {
        let value = <Float64Type as Parser>::parse(std::str::from_utf8(text).ok()?)?;
        (value.is_finite() || !has_digits(text)).then_some(value)
    })
}

/// The same in single precision. Straight from text: through a double it would be rounded twice.
#[inline]
pub(crate) fn single(text: &[u8]) -> Option<f32> {
    let value: f32 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (value.is_finite() || !has_digits(text)).then_some(value)
}

fn has_digits(text: &[u8]) -> bool {
    text.iter().any(u8::is_ascii_digit)
}

/// Whether the nearest double is written with the same digits, so that nothing of the number is lost.
#[inline]
pub(crate) fn is_exact_float(text: &[u8]) -> bool {
    exact_float(text).is_some() || is_exact_with_care(text)
}

#[cold]
fn is_exact_with_care(text: &[u8]) -> bool {
    let Some(value) = float(text) else { return false };
    let shortest = format!("{value:e}");
    significant(text).is_some_and(|digits| Some(digits) == significant(shortest.as_bytes()))
}

/// A number's digits from the first to the last that is not zero, and the power of ten of the last one.
fn significant(text: &[u8]) -> Option<(Vec<u8>, i64)> {
    let (_, digits) = sign(text);
    let at = digits.iter().position(|byte| matches!(byte, b'e' | b'E'));
    let mut power = at.map_or(Some(0), |at| integer(&digits[at + 1..]))?;
    let mantissa = &digits[..at.unwrap_or(digits.len())];
    let point = mantissa.iter().position(|byte| *byte == b'.');
    power = power.checked_sub(point.map_or(0, |at| (mantissa.len() - at - 1) as i64))?;
    let mut kept: Vec<u8> =
        mantissa.iter().filter(|byte| byte.is_ascii_digit()).copied().skip_while(|byte| *byte == b'0').collect();
    while kept.pop_if(|byte| *byte == b'0').is_some() {
        power = power.checked_add(1)?;
    }
    if kept.is_empty() {
        power = 0;
    }
    Some((kept, power))
}

/// Up to 15 digits and a small power of ten are both exact in a double, so one division rounds
/// once, as it should.
#[inline]
fn exact_float(text: &[u8]) -> Option<f64> {
    let (negative, digits) = sign(text);
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    let mut number = 0_u64;
    let mut point = None;
    for (at, byte) in digits.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
        } else if *byte == b'.' && point.is_none() {
            point = Some(at);
        } else {
            return None;
        }
    }
    let fraction = match point {
        None => 0,
        Some(_) if digits.len() == 1 => return None,
        Some(at) => digits.len() - 1 - at,
    };
    if digits.len() - usize::from(point.is_some()) > 15 {
        return None;
    }
    let value = number as f64 / POWERS[fraction];
    Some(if negative { -value } else { value })
}

const POWERS: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// `true`, `t`, `yes`, `y`, `1` and their opposites, in any case.
#[inline]
pub(crate) fn boolean(text: &[u8]) -> Option<bool> {
    const TRUE: [&[u8]; 5] = [b"true", b"t", b"yes", b"y", b"1"];
    const FALSE: [&[u8]; 5] = [b"false", b"f", b"no", b"n", b"0"];
    if TRUE.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        Some(true)
    } else if FALSE.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        Some(false)
    } else {
        None
    }
}

/// An exact decimal number as an integer of `scale` fraction digits.
///
/// Digits beyond the scale are fine only where they are zero; exponents are understood.
#[inline]
pub(crate) fn decimal(text: &[u8], precision: u8, scale: i8) -> Option<i128> {
    let (negative, digits) = sign(text);
    let (mantissa, exponent) = match digits.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        None => (digits, 0),
        Some(at) => (&digits[..at], i32::try_from(integer(&digits[at + 1..])?).ok()?),
    };
    let mut value = 0_i128;
    let mut seen = 0_usize;
    // Fraction digits taken so far, once there is a point.
    let mut fraction = None;
    for byte in mantissa {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            seen += 1;
            value = if seen <= 18 {
                (value as i64).wrapping_mul(10).wrapping_add(i64::from(digit)).into()
            } else {
                value.checked_mul(10)?.checked_add(i128::from(digit))?
            };
            fraction = fraction.map(|taken: i32| taken + 1);
        } else if *byte == b'.' && fraction.is_none() {
            fraction = Some(0);
        } else {
            return None;
        }
    }
    if seen == 0 {
        return None;
    }
    let shift = i32::from(scale).checked_add(exponent)?.checked_sub(fraction.unwrap_or(0))?;
    if shift > 0 && value != 0 {
        value = value.checked_mul(10_i128.checked_pow(shift as u32)?)?;
    } else if shift < 0 && value != 0 {
        let unit = 10_i128.checked_pow(shift.unsigned_abs())?;
        if value % unit != 0 {
            return None;
        }
        value /= unit;
    }
    if value >= 10_i128.checked_pow(u32::from(precision))? {
        return None;
    }
    Some(if negative { -value } else { value })
}

/// An ISO date, or an ISO date and time at midnight, as days since 1970.
#[inline]
pub(crate) fn date(text: &[u8]) -> Option<i32> {
    if let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text {
        return days(two(y1, y2)? * 100 + two(y3, y4)?, two(m1, m2)?, two(d1, d2)?);
    }
    if let Some(micros) = timestamp(text).filter(|_| text.len() > 10) {
        return (micros % DAY == 0).then_some(i32::try_from(micros / DAY).ok()?);
    }
    <Date32Type as Parser>::parse(std::str::from_utf8(text).ok()?)
}

const DAY: i64 = 86_400_000_000;

/// An ISO date and time as microseconds since 1970, if these hold all of its digits; without a zone it
/// is UTC.
#[inline]
pub(crate) fn timestamp(text: &[u8]) -> Option<i64> {
    cut_timestamp(text).filter(|_| !is_finer(text))
}

/// Whether digits of the second beyond the sixth say something.
fn is_finer(text: &[u8]) -> bool {
    if text.len() <= SECONDS_AND_MICROS {
        return false;
    }
    let point = text.iter().position(|byte| *byte == b'.');
    let digits = point.map_or(&[][..], |at| &text[at + 1..]);
    digits.iter().take_while(|byte| byte.is_ascii_digit()).skip(6).any(|byte| *byte != b'0')
}

/// The length of a time with six digits of its second.
const SECONDS_AND_MICROS: usize = "2024-01-01T00:00:00.000000".len();

/// The same with digits of the second beyond the sixth cut off.
#[inline]
pub(crate) fn cut_timestamp(text: &[u8]) -> Option<i64> {
    if let &[
        y1,
        y2,
        y3,
        y4,
        b'-',
        m1,
        m2,
        b'-',
        d1,
        d2,
        b'T' | b' ',
        h1,
        h2,
        b':',
        n1,
        n2,
        b':',
        s1,
        s2,
        ref rest @ ..,
    ] = text
    {
        let rest = rest.strip_suffix(b"Z").unwrap_or(rest);
        let micros = match rest {
            [] => Some(0),
            [b'.', digits @ ..] if (1..=6).contains(&digits.len()) => {
                digits_to_number(digits).map(|number| number as i64 * 10_i64.pow(6 - digits.len() as u32))
            }
            _ => None,
        };
        if let Some(micros) = micros {
            let days = days(two(y1, y2)? * 100 + two(y3, y4)?, two(m1, m2)?, two(d1, d2)?)?;
            let (hour, minute, second) = (two(h1, h2)?, two(n1, n2)?, two(s1, s2)?);
            if hour < 24 && minute < 60 && second < 60 {
                let seconds = i64::from(hour * 3_600 + minute * 60 + second);
                return Some(i64::from(days) * DAY + seconds * 1_000_000 + micros);
            }
        }
    }
    let moment: DateTime<Utc> = string_to_datetime(&Utc, std::str::from_utf8(text).ok()?).ok()?;
    Some(moment.timestamp_micros())
}

#[inline]
fn days(year: u32, month: u32, day: u32) -> Option<i32> {
    const EPOCH: i32 = 719_163;
    use chrono::Datelike;
    Some(NaiveDate::from_ymd_opt(year as i32, month, day)?.num_days_from_ce() - EPOCH)
}

#[inline]
fn two(tens: u8, ones: u8) -> Option<u32> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens <= 9 && ones <= 9).then(|| u32::from(tens) * 10 + u32::from(ones))
}

#[inline]
fn sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    }
}

/// At most 18 digits.
#[inline]
fn digits_to_number(digits: &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers() {
        for (text, value) in [
            ("0", Some(0)),
            ("-7279641312655250028", Some(-7_279_641_312_655_250_028)),
            ("+12", Some(12)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("000000000000000000012", Some(12)),
            ("", None),
            ("-", None),
            ("1.0", Some(1)),
            ("-1.2e1", Some(-12)),
            ("1.5", None),
            ("1e", None),
            ("1.", Some(1)),
            (".", None),
            ("1 ", None),
            ("٣", None),
        ] {
            assert_eq!(integer(text.as_bytes()), value, "{text}");
        }
    }

    #[test]
    fn floats_round_once() {
        for text in
            ["0", "-0.0", "2.55", "106.83", "3060.3362068965516", "1e3", ".5", "5.", "123456789012345", "0.1", "1e-320"]
        {
            let value = float(text.as_bytes()).unwrap();
            assert_eq!(value.to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text}");
        }
        assert!(float(b"NaN").unwrap().is_nan());
        for text in [".", "", "-", "1.2.3", "1,5", "abc", "--1", "1e400", "-2e308"] {
            assert_eq!(float(text.as_bytes()), None, "{text}");
        }
        assert_eq!((single(b"1e39"), single(b"1e38")), (None, Some(1e38)));
        assert!(float(b"-inf").unwrap().is_infinite());
        for text in ["1.50", "100e-2", "3060.3362068965516", "5e-324", "-0", "100000000000000000000", "0.0e7"] {
            assert!(is_exact_float(text.as_bytes()), "{text}");
        }
        for text in ["9007199254740993", "0.12345678901234567890", "1e400", "1e-400", "3e-324"] {
            assert!(!is_exact_float(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn decimals_are_exact() {
        for (text, value) in [
            ("1", Some(100)),
            ("1.5", Some(150)),
            ("-0.01", Some(-1)),
            (".5", Some(50)),
            ("5.", Some(500)),
            ("1.250", Some(125)),
            ("1.255", None),
            ("99999999.99", Some(9_999_999_999)),
            ("100000000.00", None),
            ("1e3", Some(100_000)),
            ("12e-1", Some(120)),
            ("1e-3", None),
            ("0e99", Some(0)),
            ("", None),
            (".", None),
            ("1_0", None),
            ("99999999999999999999999999999999999999999", None),
        ] {
            assert_eq!(decimal(text.as_bytes(), 10, 2), value, "{text}");
        }
        assert_eq!(
            decimal(b"12345678901234567890123456789012345.678", 38, 3),
            Some(12_345_678_901_234_567_890_123_456_789_012_345_678)
        );
    }

    #[test]
    fn dates_and_times() {
        assert_eq!(date(b"1970-01-02"), Some(1));
        assert_eq!(date(b"1969-12-31"), Some(-1));
        assert_eq!(date(b"2017-02-28 00:00:00"), Some(17_225));
        assert_eq!(date(b"2017-02-28 00:00:01"), None);
        assert_eq!(date(b"2017-02-29"), None);
        assert_eq!(date(b"28.02.2017"), None);
        for (text, micros) in [
            ("1970-01-01 00:00:01", Some(1_000_000)),
            ("1970-01-01T00:00:00.5Z", Some(500_000)),
            ("1970-01-01T02:00:00+02:00", Some(0)),
            ("1969-12-31T23:59:59.999999", Some(-1)),
            ("1970-01-01T00:00:00.123456789Z", None),
            ("1970-01-01T00:00:00.1234560Z", Some(123_456)),
            ("1970-01-01T00:00:00.12345600001", None),
            ("1970-01-01", Some(0)),
            ("1970-01-01T24:00:00", None),
            ("yesterday", None),
        ] {
            assert_eq!(timestamp(text.as_bytes()), micros, "{text}");
        }
        assert_eq!(cut_timestamp(b"1970-01-01T00:00:00.123456789Z"), Some(123_456));
    }

    #[test]
    fn booleans() {
        assert_eq!(
            [boolean(b"True"), boolean(b"FALSE"), boolean(b"1"), boolean(b"2")],
            [Some(true), Some(false), Some(true), None]
        );
    }
}
