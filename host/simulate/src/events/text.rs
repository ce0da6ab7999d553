//! Formats numbers and times as text without the formatting machinery: a generator must be faster than what it
//! measures.

use chrono::{DateTime, Datelike, Timelike};

/// `value` in decimal digits, at least `width` of them.
pub(super) fn digits(out: &mut Vec<u8>, value: u64, width: usize) {
    let mut buffer = [b'0'; 20];
    let (mut rest, mut at) = (value, buffer.len());
    while rest > 0 || buffer.len() - at < width.clamp(1, 20) {
        at -= 1;
        buffer[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&buffer[at..]);
}

/// An amount of cents, with its point.
pub(super) fn cents(out: &mut Vec<u8>, cents: u64) {
    digits(out, cents / 100, 1);
    out.push(b'.');
    digits(out, cents % 100, 2);
}

/// A date: `2024-01-01`.
pub(super) fn date(out: &mut Vec<u8>, micros: i64) {
    let moment = DateTime::from_timestamp_micros(micros).unwrap_or_default();
    digits(out, u64::from(moment.year().unsigned_abs()), 4);
    for part in [moment.month(), moment.day()] {
        out.push(b'-');
        digits(out, part.into(), 2);
    }
}

/// A time in UTC to the millisecond, without its zone: `2024-01-01T00:00:00.010`.
pub(super) fn moment(out: &mut Vec<u8>, micros: i64) {
    date(out, micros);
    let moment = DateTime::from_timestamp_micros(micros).unwrap_or_default();
    for (before, part) in [(b'T', moment.hour()), (b':', moment.minute()), (b':', moment.second())] {
        out.push(before);
        digits(out, part.into(), 2);
    }
    out.push(b'.');
    digits(out, u64::from(moment.nanosecond() / 1_000_000), 3);
}

/// A random UUID (version 4) as text.
pub(super) fn uuid(out: &mut Vec<u8>, random: u128) {
    let bits = (random & !(0xf << 76) & !(0b11 << 62)) | (4 << 76) | (0b10 << 62);
    for place in 0..32 {
        if [8, 12, 16, 20].contains(&place) {
            out.push(b'-');
        }
        let digit = (bits >> (124 - 4 * place)) as u8 & 0xf;
        out.push(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn texts_are_as_people_write_them() {
        assert_eq!(shown(|out| digits(out, 0, 1)), "0");
        assert_eq!(shown(|out| digits(out, u64::MAX, 1)), u64::MAX.to_string());
        assert_eq!(shown(|out| cents(out, 1_205)), "12.05");
        assert_eq!(shown(|out| moment(out, 1_709_210_096_007_999)), "2024-02-29T12:34:56.007");
        assert_eq!(shown(|out| uuid(out, 0)), "00000000-0000-4000-8000-000000000000");
        assert_eq!(shown(|out| uuid(out, u128::MAX)), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
