//! Types of columns: how they are written, and which turn into which without losing anything.

use arrow_schema::{DataType, Field, TimeUnit};

/// A type as pipeline files and messages write it, such as `decimal(10,2)`.
///
/// What a pipeline file cannot declare is written alike: `list<string>`, `struct<street string>`.
pub fn type_name(data_type: &DataType) -> String {
    let inner = |field: &Field| type_name(field.data_type());
    match data_type {
        DataType::Null => "null".to_owned(),
        DataType::Boolean => "bool".to_owned(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "binary".to_owned(),
        DataType::FixedSizeBinary(size) => format!("binary({size})"),
        DataType::Date32 | DataType::Date64 => "date".to_owned(),
        DataType::Timestamp(unit, zone) => {
            let unit = match unit {
                TimeUnit::Second => "(s)",
                TimeUnit::Millisecond => "(ms)",
                TimeUnit::Microsecond => "",
                TimeUnit::Nanosecond => "(ns)",
            };
            match zone.as_deref() {
                None => format!("timestamp{unit} without zone"),
                Some(zone) if is_utc(zone) => format!("timestamp{unit}"),
                Some(zone) => format!("timestamp{unit} in {zone}"),
            }
        }
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::Dictionary(_, values) => type_name(values),
        DataType::RunEndEncoded(_, values) => inner(values),
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) | DataType::LargeListView(item) => {
            format!("list<{}>", inner(item))
        }
        DataType::FixedSizeList(item, size) => format!("list<{}>({size})", inner(item)),
        DataType::Struct(fields) => {
            let fields: Vec<String> = fields.iter().map(|field| format!("{} {}", field.name(), inner(field))).collect();
            format!("struct<{}>", fields.join(", "))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => {
                format!("map<{}, {}>", inner(&fields[0]), inner(&fields[1]))
            }
            other => format!("map<{}>", type_name(other)),
        },
        DataType::Time32(_) | DataType::Time64(_) => "time".to_owned(),
        DataType::Duration(_) => "duration".to_owned(),
        DataType::Interval(_) => "interval".to_owned(),
        DataType::Union(fields, _) => {
            let kinds: Vec<String> = fields.iter().map(|(_, field)| inner(field)).collect();
            format!("union<{}>", kinds.join(", "))
        }
        // The plain numbers, whose names are Arrow's in lower case.
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64
        | DataType::Float16
        | DataType::Float32
        | DataType::Float64 => data_type.to_string().to_lowercase(),
    }
}

/// A type in messages. It is written as pipeline files write it.
pub struct Named<'a>(pub &'a DataType);

impl std::fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&type_name(self.0))
    }
}

/// Whether every value of the flat type `from` is exactly a value of `to`.
///
/// Dictionaries and views are storage and count as what they hold. Whether a coarse timestamp fits a
/// finer unit depends on the value; the cast itself fails where not.
pub fn is_lossless(from: &DataType, to: &DataType) -> bool {
    use DataType::{
        Binary, BinaryView, Date32, Date64, FixedSizeBinary, LargeBinary, LargeUtf8, Null, Time32, Time64, Timestamp,
        Utf8, Utf8View,
    };
    if from == to {
        return true;
    }
    match (from, to) {
        (Null, _) => true,
        (DataType::Dictionary(_, values), _) => is_lossless(values, to),
        (DataType::RunEndEncoded(_, values), _) => is_lossless(values.data_type(), to),
        (Utf8 | LargeUtf8 | Utf8View, Utf8 | LargeUtf8) => true,
        (Binary | LargeBinary | BinaryView | FixedSizeBinary(_), Binary | LargeBinary) => true,
        (Date32, Date64) => true,
        (Date32, Timestamp(unit, None)) => *unit != TimeUnit::Nanosecond,
        (Timestamp(coarse, a), Timestamp(fine, b)) => {
            same_zone(a.as_deref(), b.as_deref()) && rank(*coarse) <= rank(*fine)
        }
        (Time32(coarse), Time32(fine) | Time64(fine)) | (Time64(coarse), Time64(fine)) => rank(*coarse) <= rank(*fine),
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

/// Whether it is signed, and its bits.
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

/// Bits of a float's mantissa: integers up to so many are exact.
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

/// Digits before the point that a type may need, and its scale.
fn digits(data_type: &DataType) -> Option<(i16, i8)> {
    if let Some((precision, scale)) = decimal(data_type) {
        return Some((i16::from(precision) - i16::from(scale), scale));
    }
    let (signed, bits) = integer(data_type)?;
    let whole = match bits {
        8 => 3,
        16 => 5,
        32 => 10,
        _ if signed => 19,
        _ => 20,
    };
    Some((whole, 0))
}

fn rank(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 1,
        TimeUnit::Microsecond => 2,
        TimeUnit::Nanosecond => 3,
    }
}

/// Whether a zone is a spelling of UTC.
fn is_utc(zone: &str) -> bool {
    matches!(zone, "UTC" | "Etc/UTC" | "Z" | "+00:00" | "+0000" | "00:00")
}

fn same_zone(a: Option<&str>, b: Option<&str>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a == b || is_utc(a) && is_utc(b),
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
