//! Messages with changed bytes: a batch or an error, never a panic.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, FixedSizeBinaryArray, Int32Array, Int64Array, LargeStringArray,
    ListArray, RecordBatch, StringArray, StructArray,
    builder::{FixedSizeListBuilder, Int16Builder},
    types::Int32Type,
};
use arrow_buffer::{Buffer, MutableBuffer};
use arrow_schema::{DataType, Field, Fields};
use proptest::prelude::*;

use super::{MessageError, decode};
use crate::encode::Encoder;

const ROWS: usize = 37;

/// One column of each layout, with and without nulls.
fn batch() -> RecordBatch {
    let rows = 0..ROWS as i64;
    let some = |row: &i64| row % 5 != 3;
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.clone()));
    let nullable: ArrayRef = Arc::new(Int32Array::from_iter(rows.clone().map(|row| some(&row).then_some(row as i32))));
    let truths: ArrayRef =
        Arc::new(BooleanArray::from_iter(rows.clone().map(|row| some(&row).then_some(row % 2 == 0))));
    let text: ArrayRef =
        Arc::new(StringArray::from_iter(rows.clone().map(|row| some(&row).then(|| format!("é{row}")))));
    let large: ArrayRef = Arc::new(LargeStringArray::from_iter_values(rows.clone().map(|row| format!("x{row}"))));
    let money: ArrayRef = Arc::new(
        Decimal128Array::from_iter_values(rows.clone().map(|row| i128::from(row) * 100))
            .with_precision_and_scale(21, 2)
            .unwrap(),
    );
    let fixed: ArrayRef =
        Arc::new(FixedSizeBinaryArray::try_from_iter(rows.clone().map(|row| [row as u8; 3])).unwrap());
    let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(
        rows.clone().map(|row| some(&row).then(|| (0..row % 4).map(|n| Some(n as i32)).collect::<Vec<_>>())),
    ));
    let mut pairs = FixedSizeListBuilder::new(Int16Builder::new(), 2);
    for row in rows {
        pairs.values().append_value(row as i16);
        pairs.values().append_option(some(&row).then_some(1));
        pairs.append(some(&row));
    }
    let fields = Fields::from(vec![Field::new("a", DataType::Int64, false), Field::new("b", DataType::Utf8, true)]);
    let inner: ArrayRef =
        Arc::new(StructArray::new(fields, vec![numbers.clone(), text.clone()], nullable.nulls().cloned()));
    RecordBatch::try_from_iter_with_nullable([
        ("numbers", numbers, false),
        ("nullable", nullable, true),
        ("truths", truths, true),
        ("text", text, true),
        ("large", large, false),
        ("money", money, false),
        ("fixed", fixed, true),
        ("lists", lists, true),
        ("pairs", Arc::new(pairs.finish()) as ArrayRef, true),
        ("inner", inner, true),
    ])
    .unwrap()
}

fn message(batch: &RecordBatch) -> Vec<u8> {
    Encoder::new(&batch.schema()).unwrap().encode(batch).unwrap().to_vec()
}

/// As `emit` holds it.
fn aligned(bytes: &[u8]) -> Buffer {
    let mut buffer = MutableBuffer::with_capacity(bytes.len());
    buffer.extend_from_slice(bytes);
    buffer.into()
}

/// Decodes, and checks the result against every rule of the format.
fn check(bytes: &[u8], batch: &RecordBatch) -> Result<RecordBatch, MessageError> {
    let decoded = decode(&aligned(bytes), &batch.schema(), 1_000);
    match &decoded {
        Ok(decoded) => {
            assert!(decoded.num_rows() <= 1_000);
            for column in decoded.columns() {
                column.to_data().validate_full().unwrap();
            }
        }
        Err(MessageError::Broken) => panic!("something reached the decoder that makes it panic"),
        Err(_) => {}
    }
    decoded
}

#[test]
fn a_message_is_what_was_encoded() {
    let batch = batch();
    assert_eq!(check(&message(&batch), &batch).unwrap(), batch);
    let slice = batch.slice(5, 20);
    assert_eq!(check(&message(&slice), &batch).unwrap(), slice);
    let empty = batch.slice(5, 0);
    assert_eq!(check(&message(&empty), &batch).unwrap(), empty);
}

#[test]
fn a_message_lies_in_place() {
    let batch = batch();
    let bytes = aligned(&message(&batch));
    let decoded = decode(&bytes, &batch.schema(), 1_000).unwrap();
    let all = bytes.as_slice().as_ptr_range();
    for column in decoded.columns() {
        for buffer in column.to_data().buffers() {
            assert!(buffer.is_empty() || all.contains(&buffer.as_ptr()), "{} was copied", column.data_type());
        }
    }
}

#[test]
fn every_single_byte_can_be_anything() {
    let batch = batch();
    let whole = message(&batch);
    let mut bytes = whole.clone();
    for at in 0..bytes.len() {
        for value in [0x00, 0x01, 0x7f, 0x80, 0xff] {
            bytes[at] = value;
            let _ = check(&bytes, &batch);
        }
        bytes[at] = whole[at];
    }
}

#[test]
fn every_length_can_be_the_last() {
    let batch = batch();
    let whole = message(&batch);
    for length in 0..whole.len() {
        assert!(check(&whole[..length], &batch).is_err(), "{length} of {} bytes", whole.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn several_bytes_can_be_anything(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12)) {
        let batch = batch();
        let mut bytes = message(&batch);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _ = check(&bytes, &batch);
    }

    /// Changes the metadata, eight bytes at a time, to extreme numbers.
    #[test]
    fn lengths_and_offsets_can_be_anything(
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(vec![
            -1i64, 0, 1, 7, 8, 36, 37, 38, 64, 1 << 31, (1 << 31) - 1, 1 << 40, i64::MAX, i64::MIN, i64::MAX - 7,
        ])), 1..4),
    ) {
        let batch = batch();
        let mut bytes = message(&batch);
        let metadata = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]) as usize / 8;
        for (at, value) in changes {
            let at = 8 + at.index(metadata) * 8;
            bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        let _ = check(&bytes, &batch);
    }

    #[test]
    fn a_body_can_be_noise(seed in any::<u64>()) {
        let batch = batch();
        let mut bytes = message(&batch);
        let metadata = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]) as usize;
        let mut state = seed;
        for byte in &mut bytes[8 + metadata..] {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (state >> 33) as u8;
        }
        let _ = check(&bytes, &batch);
    }
}
