//! Text to values that come back as they were written.
//!
//! For columns whose type nobody declared: there a value counts as a number, a day or a truth value
//! only where the type holds all that the text says. `007` and `+49` are no numbers, `7.50` is no
//! floating-point number, and `7.5` is no decimal of two digits.

use super::value;

/// A whole number without a plus and without leading zeros.
#[inline]
pub(crate) fn integer(text: &[u8]) -> Option<i64> {
    if is_plain(text) && text.len() < 39 && text.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-') {
        value::integer(text)
    } else {
        None
    }
}

/// A number with exactly `scale` digits behind the point, or none at all and no point.
#[inline]
pub(crate) fn decimal(text: &[u8], precision: u8, scale: i8) -> Option<i128> {
    if !is_plain(text) {
        return None;
    }
    match text.iter().position(|byte| !byte.is_ascii_digit() && *byte != b'-') {
        None => {}
        Some(point) => {
            let decimals = &text[point + 1..];
            let wanted = usize::from(scale.unsigned_abs());
            if wanted == 0
                || text[point] != b'.'
                || decimals.len() != wanted
                || !decimals.iter().all(u8::is_ascii_digit)
            {
                return None;
            }
        }
    }
    value::decimal(text, precision, scale)
}

/// A number that comes back digit for digit when it is printed with as many digits as it was written with,
/// without superfluous zeros; or `NaN`, `inf` and `-inf`.
#[inline]
pub(crate) fn float(text: &[u8]) -> Option<f64> {
    let float = value::float(text)?;
    let exact = if text.len() <= 16 { is_short(text) } else { false };
    (exact || Literal::of(text).is_some_and(|literal| literal.is_float())).then_some(float)
}

/// The same for a column of single precision.
pub(crate) fn float32(text: &[u8]) -> Option<f32> {
    let float = std::str::from_utf8(text).ok()?.parse::<f32>().ok()?;
    let held = f64::from(float);
    let literal = Literal::of(text)?;
    let same = literal.is_word() || literal.comes_back(|digits| format!("{held:.digits$e}"), 6);
    (same && literal.is_float()).then_some(float)
}

/// `true` or `false`, in any case of the letters.
#[inline]
pub(crate) fn boolean(text: &[u8]) -> Option<bool> {
    if text.eq_ignore_ascii_case(b"true") {
        Some(true)
    } else if text.eq_ignore_ascii_case(b"false") {
        Some(false)
    } else {
        None
    }
}

/// A day as `2024-01-31`.
#[inline]
pub(crate) fn date(text: &[u8]) -> Option<i32> {
    if text.len() == 10 { value::date(text) } else { None }
}

/// An instant of ISO 8601 with four digits of the year and no more digits of the second than a table holds.
#[inline]
pub(crate) fn timestamp(text: &[u8]) -> Option<i64> {
    let micros = value::timestamp(text)?;
    (text.len() == 19 || is_instant(text)).then_some(micros)
}

fn is_instant(text: &[u8]) -> bool {
    let form = |text: &[u8], form: &[u8]| {
        text.iter().zip(form).all(|(byte, wanted)| match wanted {
            b'0' => byte.is_ascii_digit(),
            b'T' => matches!(byte, b'T' | b' '),
            other => byte == other,
        })
    };
    let Some((day, rest)) = text.split_at_checked(10) else { return false };
    if !form(day, b"0000-00-00") {
        return false;
    }
    if rest.is_empty() {
        return true;
    }
    let Some((minutes, rest)) = rest.split_at_checked(6) else { return false };
    if !form(minutes, b"T00:00") {
        return false;
    }
    let rest = match rest.split_at_checked(3) {
        Some((seconds, rest)) if form(seconds, b":00") => rest,
        _ => rest,
    };
    let rest = match rest {
        [b'.', rest @ ..] => {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let (digits, rest) = rest.split_at(digits);
            if digits.is_empty() || digits.iter().skip(6).any(|digit| *digit != b'0') {
                return false;
            }
            rest
        }
        rest => rest,
    };
    match rest {
        [] | b"Z" => true,
        [b'+' | b'-', rest @ ..] => match rest.len() {
            2 => form(rest, b"00"),
            4 => form(rest, b"0000"),
            5 => form(rest, b"00:00"),
            _ => false,
        },
        _ => false,
    }
}

/// A minus or none, then a digit that is no leading zero.
#[inline]
fn is_plain(text: &[u8]) -> bool {
    match text.strip_prefix(b"-").unwrap_or(text) {
        [b'0', next, ..] => !next.is_ascii_digit(),
        [first, ..] => first.is_ascii_digit(),
        [] => false,
    }
}

/// Whether a short text is a number as a program prints it that leaves out what is superfluous.
#[inline]
fn is_short(text: &[u8]) -> bool {
    if !is_plain(text) {
        return false;
    }
    let mut digits = 0;
    let mut point = None;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'0'..=b'9' => digits += 1,
            b'.' if point.is_none() => point = Some(at),
            b'-' => {}
            _ => return false,
        }
    }
    let sound = match (point, text) {
        (None, _) => true,
        (Some(at), [.., last]) => at + 1 < text.len() && (*last != b'0' || text.len() - at == 2),
        (Some(_), []) => false,
    };
    sound && digits <= 15
}

/// A number as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Literal<'a> {
    /// Digits, a point and digits, an exponent: as far as they are there.
    Number(Written<'a>),
    /// `NaN`, `inf` or `-inf`.
    Word,
}

/// The parts of a number as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written<'a> {
    text: &'a str,
    /// The digits before the point.
    pub(crate) whole: &'a str,
    /// Those behind it, if there is one.
    pub(crate) decimals: Option<&'a str>,
    /// What follows the `e`, with its sign.
    pub(crate) exponent: Option<&'a str>,
}

impl<'a> Literal<'a> {
    /// `text` taken apart, if it is a number without a plus and without leading zeros. One with an exponent has
    /// a point as well: `12E4` is a code.
    pub(crate) fn of(text: &'a [u8]) -> Option<Self> {
        if matches!(text, b"NaN" | b"nan" | b"inf" | b"-inf" | b"Infinity" | b"-Infinity") {
            return Some(Self::Word);
        }
        if !is_plain(text) {
            return None;
        }
        let text = std::str::from_utf8(text).ok()?;
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            None => (unsigned, None),
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        };
        let (whole, decimals) = match mantissa.split_once('.') {
            None => (mantissa, None),
            Some((whole, decimals)) => (whole, Some(decimals)),
        };
        let sound = digits(whole)
            && decimals.is_none_or(digits)
            && exponent.is_none_or(|exponent| {
                decimals.is_some() && digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))
            });
        sound.then_some(Self::Number(Written { text, whole, decimals, exponent }))
    }

    fn is_word(self) -> bool {
        self == Self::Word
    }

    /// Whether a floating-point number of double precision comes back as this.
    pub(crate) fn is_float(self) -> bool {
        let Self::Number(written) = self else { return true };
        let superfluous = written.decimals.is_some_and(|decimals| decimals.ends_with('0') && decimals.len() > 1);
        !superfluous
            && written
                .text
                .parse::<f64>()
                .is_ok_and(|held| held.is_finite() && self.comes_back(|digits| format!("{held:.digits$e}"), 15))
    }

    /// Whether `print`, given how many digits shall follow the first, gives the digits of this number. Up to
    /// `always` digits do so whatever they are.
    fn comes_back(self, print: impl Fn(usize) -> String, always: usize) -> bool {
        let Self::Number(written) = self else { return false };
        let digits: String = written.whole.chars().chain(written.decimals.unwrap_or_default().chars()).collect();
        let digits = digits.trim_start_matches('0').trim_end_matches('0');
        if digits.is_empty() {
            return true;
        }
        // Numbers with few digits come back, unless they are so small that a double has fewer digits for them.
        let small = written.exponent.is_some() || written.decimals.is_some_and(|decimals| decimals.len() > 300);
        if digits.len() <= always && !small {
            return true;
        }
        // No double has more digits that are its own.
        if digits.len() > 17 {
            return false;
        }
        let printed = print(digits.len() - 1);
        let mantissa = printed.trim_start_matches('-').split('e').next().unwrap_or_default();
        mantissa.chars().filter(char::is_ascii_digit).eq(digits.chars())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_would_come_back_otherwise_is_no_number() {
        for text in ["007", "+49", "-01", "1.0", "12E4", "9223372036854775808", "", "-", "1_000", " 1", "0x1"] {
            assert_eq!(integer(text.as_bytes()), None, "{text}");
        }
        for (text, number) in
            [("0", 0), ("-7", -7), ("9223372036854775807", i64::MAX), ("-9223372036854775808", i64::MIN)]
        {
            assert_eq!(integer(text.as_bytes()), Some(number), "{text}");
        }
        for text in ["7.5", "7.500", "07.50", "+7.50", "7.", ".50", "7.5e1", "1e3", "100000000.00", "7,50"] {
            assert_eq!(decimal(text.as_bytes(), 10, 2), None, "{text}");
        }
        for (text, number) in [("7.50", 750), ("-0.01", -1), ("7", 700), ("99999999.99", 9_999_999_999)] {
            assert_eq!(decimal(text.as_bytes(), 10, 2), Some(number), "{text}");
        }
        for text in [
            "7.50",
            "1.10",
            "007.5",
            "+1.5",
            "12E4",
            "888E010010",
            "1e-07",
            "1e999",
            ".5",
            "5.",
            "1.5e400",
            "1.2345678901234e-320",
            "9007199254740993",
            "1234567890123456.78",
            "0.10000000000000000001",
            "18446744073709551615",
            "1.5e",
            "1.5e+",
        ] {
            assert_eq!(float(text.as_bytes()), None, "{text}");
        }
        for text in [
            "0",
            "1.0",
            "-0.0",
            "7.5",
            "3060.3362068965516",
            "0.30000000000000004",
            "1.2e-05",
            "6.022E+23",
            "0.1",
            "9007199254740992",
            "10000000000000000000",
            "123456789012345.6",
            "-1.7976931348623157e308",
        ] {
            assert_eq!(float(text.as_bytes()), text.parse().ok(), "{text}");
        }
        assert!(float(b"NaN").is_some_and(f64::is_nan));
        assert_eq!((float32(b"0.1"), float32(b"16777217")), (Some(0.1), None));
    }

    #[test]
    fn days_and_instants_have_one_form() {
        assert_eq!(date(b"2024-01-31"), Some(19_753));
        assert_eq!((date(b"2024-1-31"), date(b"2024-01-31 00:00:00")), (None, None));
        for text in [
            "2024-01-31 10:00:00",
            "2024-01-31T10:00:00.123Z",
            "2024-01-31 10:00:00+02:00",
            "2024-01-31 10:00:00.123456000Z",
            "2024-01-31",
        ] {
            assert!(timestamp(text.as_bytes()).is_some(), "{text}");
        }
        for text in ["2024-01-31 10:00:00.1234567", "2024-1-31 10:00:00", "12024-01-31 10:00:00", "20240131T100000"] {
            assert_eq!(timestamp(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        /// A text that is taken as a whole number or a decimal is the one that the value is printed as; a
        /// floating-point number has the digits that were written, zeros at both ends aside.
        #[test]
        fn what_is_taken_comes_back(text in "-?[0-9]{0,20}(\\.[0-9]{0,19})?([eE][+-]?[0-9]{1,3})?") {
            if let Some(number) = integer(text.as_bytes()) {
                let zero = text == "-0";
                prop_assert!(zero || number.to_string() == text, "{} is {}", text, number);
            }
            if let Some(number) = decimal(text.as_bytes(), 38, 2) {
                let sign = if number < 0 { "-" } else { "" };
                let number = number.unsigned_abs();
                let printed = format!("{sign}{}.{:02}", number / 100, number % 100);
                let written = if text.contains('.') { text.clone() } else { format!("{text}.00") };
                prop_assert!(printed == written || printed.trim_start_matches('-') == "0.00", "{} is {}", written, printed);
            }
            if let Some(number) = float(text.as_bytes()) {
                prop_assert!(number.is_finite(), "{}", text);
                let digits = |text: &str| {
                    let digits: String = text.split(['e', 'E']).next().unwrap_or_default().chars().filter(char::is_ascii_digit).collect();
                    digits.trim_matches('0').to_owned()
                };
                let written = digits(&text);
                let printed = digits(&format!("{number:.*e}", written.len().saturating_sub(1)));
                prop_assert_eq!(written, printed, "{}", text);
            }
        }
    }
}
