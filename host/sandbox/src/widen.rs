//! Which types can be cast to which without loss.

use arrow_schema::{DataType, TimeUnit};

/// Whether every value of `from` is exactly a value of `to`.
///
/// Dictionaries and views count as their value type. Whether a coarse timestamp fits a finer unit depends on the
/// value; the cast itself fails if not.
pub(super) fn is_lossless(from: &DataType, to: &DataType) -> bool {
    use DataType::{Binary, Date32, Date64, FixedSizeBinary, LargeBinary, LargeUtf8, Null, Timestamp, Utf8};
    let from = &super::schema::crossing(from);
    if from.equals_datatype(to) {
        return true;
    }
    match (from, to) {
        (Null, _) => true,
        (Utf8 | LargeUtf8, Utf8 | LargeUtf8) | (Binary | LargeBinary | FixedSizeBinary(_), Binary | LargeBinary) => {
            true
        }
        (Date32, Date64) => true,
        (Date32, Timestamp(unit, None)) => *unit != TimeUnit::Nanosecond,
        (Timestamp(coarse, a), Timestamp(fine, b)) => {
            same_zone(a.as_deref(), b.as_deref()) && rank(*coarse) <= rank(*fine)
        }
        (DataType::Time32(coarse), DataType::Time32(fine) | DataType::Time64(fine))
        | (DataType::Time64(coarse), DataType::Time64(fine)) => rank(*coarse) <= rank(*fine),
        _ => is_wider_number(from, to),
    }
}

fn is_wider_number(from: &DataType, to: &DataType) -> bool {
    if let (Some((signed, bits)), Some((to_signed, to_bits))) = (integer(from), integer(to)) {
        return match (signed, to_signed) {
            (true, false) => false,
            (false, true) => bits < to_bits,
            _ => bits <= to_bits,
        };
    }
    if let (Some((signed, bits)), Some(mantissa)) = (integer(from), mantissa(to)) {
        return bits - u32::from(signed) <= mantissa;
    }
    if let (Some(from), Some(to)) = (mantissa(from), mantissa(to)) {
        return from <= to;
    }
    let (Some((precision, scale)), Some((whole, from_scale))) = (decimal(to), digits(from)) else {
        return false;
    };
    scale >= from_scale && i16::from(precision) - i16::from(scale) >= whole
}

fn integer(data_type: &DataType) -> Option<(bool, u32)> {
    Some(match data_type {
        DataType::Int8 => (true, 8),
        DataType::Int16 => (true, 16),
        DataType::Int32 => (true, 32),
        DataType::Int64 => (true, 64),
        DataType::UInt8 => (false, 8),
        DataType::UInt16 => (false, 16),
        DataType::UInt32 => (false, 32),
        DataType::UInt64 => (false, 64),
        _ => return None,
    })
}

/// Bits of a float's mantissa: integers with up to this many bits are exact.
fn mantissa(data_type: &DataType) -> Option<u32> {
    Some(match data_type {
        DataType::Float16 => 11,
        DataType::Float32 => 24,
        DataType::Float64 => 53,
        _ => return None,
    })
}

fn decimal(data_type: &DataType) -> Option<(u8, i8)> {
    match data_type {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => Some((*precision, *scale)),
        _ => None,
    }
}

/// The digits before the point of a type, and its scale.
fn digits(data_type: &DataType) -> Option<(i16, i8)> {
    if let Some((precision, scale)) = decimal(data_type) {
        return Some((i16::from(precision) - i16::from(scale), scale));
    }
    let (_, bits) = integer(data_type)?;
    Some((
        match bits {
            8 => 3,
            16 => 5,
            32 => 10,
            _ => 20,
        },
        0,
    ))
}

fn rank(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 1,
        TimeUnit::Microsecond => 2,
        TimeUnit::Nanosecond => 3,
    }
}

/// Whether two zones are equal; several spellings mean UTC.
fn same_zone(a: Option<&str>, b: Option<&str>) -> bool {
    let utc = |zone: &str| matches!(zone, "UTC" | "Etc/UTC" | "Z" | "+00:00" | "+0000" | "00:00");
    match (a, b) {
        (Some(a), Some(b)) => a == b || utc(a) && utc(b),
        (None, None) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DataType::*;

    #[test]
    fn widens_what_fits() {
        let utc = |unit, zone: &str| Timestamp(unit, Some(zone.into()));
        for (from, to) in [
            (Int32, Int64),
            (UInt32, Int64),
            (Int32, Float64),
            (Float32, Float64),
            (Int64, Decimal128(38, 2)),
            (Decimal128(10, 2), Decimal128(21, 2)),
            (Utf8View, Utf8),
            (Dictionary(Box::new(Int32), Box::new(Utf8)), Utf8),
            (Dictionary(Box::new(Int32), Box::new(Int16)), Int32),
            (utc(TimeUnit::Millisecond, "+00:00"), utc(TimeUnit::Microsecond, "UTC")),
            (Null, Date32),
        ] {
            assert!(is_lossless(&from, &to), "{from} → {to}");
        }
    }

    #[test]
    fn refuses_what_may_not_fit() {
        for (from, to) in [
            (Int64, Int32),
            (Int64, Float64),
            (UInt64, Int64),
            (Int8, UInt16),
            (Float64, Float32),
            (Decimal128(21, 2), Decimal128(10, 2)),
            (Decimal128(10, 4), Decimal128(21, 2)),
            (Int64, Decimal128(18, 0)),
            (Utf8, Int64),
            (Int64, Utf8),
            (Timestamp(TimeUnit::Microsecond, None), Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
            (Timestamp(TimeUnit::Microsecond, None), Timestamp(TimeUnit::Millisecond, None)),
        ] {
            assert!(!is_lossless(&from, &to), "{from} → {to}");
        }
    }
}
