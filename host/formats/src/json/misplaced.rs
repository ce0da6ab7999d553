//! A value that its column has no place for, found again for the message.

use arrow_schema::{DataType, Schema};

use super::object;

/// An object or a list where a column holds something else, or the other way round.
pub(super) struct Misplaced<'a> {
    /// The column, with what is above it.
    pub(super) path: String,
    /// The value, as it is written.
    pub(super) value: &'a [u8],
    /// The type of the column.
    pub(super) kind: DataType,
}

/// The first such value of `record`.
pub(super) fn misplaced<'a>(record: &'a [u8], declared: &Schema) -> Option<Misplaced<'a>> {
    object::fields(record)?.into_iter().find_map(|(key, value)| {
        let name = object::name(key)?;
        let (_, field) = declared.fields().find(&name)?;
        // A column of text at the top takes everything.
        if field.data_type() == &DataType::Utf8 { None } else { within(value, field.data_type(), name.into_owned()) }
    })
}

fn within<'a>(value: &'a [u8], kind: &DataType, path: String) -> Option<Misplaced<'a>> {
    let here = |path| Some(Misplaced { path, value, kind: kind.clone() });
    match (value.first()?, kind) {
        (b'n', _) => None,
        (b'{', DataType::Struct(fields)) => object::fields(value)?.into_iter().find_map(|(key, value)| {
            let name = object::name(key)?;
            let (_, field) = fields.find(&name)?;
            within(value, field.data_type(), format!("{path}.{name}"))
        }),
        (b'{', DataType::Map(..)) => None,
        (b'[', DataType::List(item)) => object::items(value)?
            .into_iter()
            .find_map(|value| within(value, item.data_type(), format!("{path}.element"))),
        (b'{' | b'[', _) => here(path),
        (_, DataType::Struct(_) | DataType::List(_) | DataType::Map(..)) => here(path),
        _ => None,
    }
}
