//! What this module says it is, and honest messages for its ports.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{Array, Int64Array, RecordBatch};
use arrow_ipc::reader::RecordBatchDecoder;
use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteOptions, StreamWriter};
use arrow_schema::{DataType, Field, Schema};

use crate::exports::sluicebox::transform::transform::Descriptor;
use crate::sluicebox::transform::types::{InputPort, OutputPort, OutputSchema, PassThrough, Role, Wanted};

/// Port 0.
pub fn full() -> Schema {
    Schema::new(vec![Field::new("id", DataType::Int64, false), Field::new("name", DataType::Utf8, true)])
}

/// What is emitted on port 1.
pub fn kept() -> Schema {
    Schema::new(vec![Field::new("_row", DataType::UInt32, false), Field::new("note", DataType::Utf8, true)])
}

fn wanted() -> Schema {
    Schema::new(vec![Field::new("id", DataType::Int64, false)])
}

pub fn descriptor(deed: &str) -> Descriptor {
    let rows = InputPort { name: "rows".into(), role: Role::Rows, wanted: Wanted::Columns(schema(&wanted())) };
    let lookup = InputPort { name: "lookup".into(), role: Role::Lookup, wanted: Wanted::All };
    let out = OutputPort { name: "out".into(), schema: OutputSchema::Full(schema(&full())) };
    let same = PassThrough {
        input: "rows".into(),
        drop: vec!["price".into()],
        replace: schema(&Schema::new(vec![Field::new("note", DataType::Utf8, true)])),
    };
    let kept = OutputPort { name: "kept".into(), schema: OutputSchema::SameAsInput(same) };
    let mut descriptor = Descriptor {
        name: "evil".into(),
        version: "0.1.0".into(),
        inputs: vec![rows, lookup],
        outputs: vec![out, kept],
        stateful: true,
        deterministic: true,
        row_preserving: deed.starts_with("preserve-"),
        state_version: 1,
    };
    if deed.starts_with("preserve-kept-") {
        descriptor.outputs.swap(0, 1);
    }
    lie(deed, &mut descriptor);
    descriptor
}

fn lie(deed: &str, descriptor: &mut Descriptor) {
    let one = |data_type| Schema::new(vec![Field::new("c", data_type, true)]);
    let mut first = |schema: Vec<u8>| descriptor.outputs[0].schema = OutputSchema::Full(schema);
    match deed {
        "describe-garbage" => first(vec![0x5a; 100]),
        "describe-empty-schema" => first(Vec::new()),
        "describe-batch-for-schema" => first(message(&RecordBatch::new_empty(Arc::new(full())))),
        "describe-dictionary" => {
            first(schema(&one(DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)))))
        }
        "describe-deep" => {
            let mut deep = DataType::Int8;
            for _ in 0..30 {
                deep = DataType::List(Arc::new(Field::new("item", deep, true)));
            }
            first(schema(&one(deep)));
        }
        "describe-odd-field" => first(odd_field()),
        "describe-wide" => first(schema(&Schema::new(
            (0..5_000).map(|n| Field::new(format!("c{n}"), DataType::Int8, true)).collect::<Vec<_>>(),
        ))),
        "describe-row-replaced" => {
            let same = PassThrough {
                input: "rows".into(),
                drop: Vec::new(),
                replace: schema(&Schema::new(vec![Field::new("_row", DataType::Int64, true)])),
            };
            descriptor.outputs[1].schema = OutputSchema::SameAsInput(same);
        }
        "describe-name" => descriptor.name = "../../\u{1b}[31metc".into(),
        "describe-huge" => descriptor.version = "9".repeat(64 << 20),
        "describe-no-outputs" => descriptor.outputs.clear(),
        "describe-no-rows" => {
            descriptor.inputs.remove(0);
            descriptor.outputs.remove(1);
        }
        "describe-many-ports" => {
            for n in 0..100_000 {
                let schema = OutputSchema::Full(Vec::new());
                descriptor.outputs.push(OutputPort { name: format!("p{n}"), schema });
            }
        }
        "describe-twice" => descriptor.outputs[1].name = "out".into(),
        "describe-no-such-input" => {
            if let OutputSchema::SameAsInput(same) = &mut descriptor.outputs[1].schema {
                same.input = "nowhere".into();
            }
        }
        _ => {}
    }
}

/// A schema whose field says it is an integer and says it has seven bits.
fn odd_field() -> Vec<u8> {
    let mut builder = flatbuffers::FlatBufferBuilder::new();
    let name = builder.create_string("c");
    let mut int = arrow_ipc::IntBuilder::new(&mut builder);
    int.add_bitWidth(7);
    let int = int.finish();
    let mut field = arrow_ipc::FieldBuilder::new(&mut builder);
    field.add_name(name);
    field.add_type_type(arrow_ipc::Type::Int);
    field.add_type_(int.as_union_value());
    let field = field.finish();
    let fields = builder.create_vector(&[field]);
    let mut schema = arrow_ipc::SchemaBuilder::new(&mut builder);
    schema.add_fields(fields);
    let schema = schema.finish();
    let mut root = arrow_ipc::MessageBuilder::new(&mut builder);
    root.add_version(arrow_ipc::MetadataVersion::V5);
    root.add_header_type(arrow_ipc::MessageHeader::Schema);
    root.add_header(schema.as_union_value());
    let root = root.finish();
    builder.finish(root, None);
    enclose(builder.finished_data(), &[])
}

/// A Schema message.
pub fn schema(schema: &Schema) -> Vec<u8> {
    let encoded = IpcDataGenerator::default().schema_to_bytes_with_dictionary_tracker(
        schema,
        &mut DictionaryTracker::new(false),
        &IpcWriteOptions::default(),
    );
    enclose(&encoded.ipc_message, &[])
}

/// A record-batch message.
pub fn message(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.get_mut().clear();
    writer.write(batch).unwrap();
    std::mem::take(writer.get_mut())
}

/// Metadata and a body, with what stands before a message.
pub fn enclose(metadata: &[u8], body: &[u8]) -> Vec<u8> {
    let padded = metadata.len().next_multiple_of(8);
    let mut message = vec![0xff; 4];
    message.extend((padded as u32).to_le_bytes());
    message.extend(metadata);
    message.resize(8 + padded, 0);
    message.extend(body);
    message
}

/// The ids of a batch that the host sent.
pub fn ids(message: &[u8], rows: usize) -> Vec<i64> {
    let length = u32::from_le_bytes(message[4..8].try_into().unwrap()) as usize;
    let root = arrow_ipc::root_as_message(&message[8..8 + length]).unwrap();
    let body = arrow_buffer::Buffer::from(&message[8 + length..]);
    let header = root.header_as_record_batch().unwrap();
    let batch = RecordBatchDecoder::try_new(&body, header, Arc::new(wanted()), &HashMap::new(), &root.version())
        .and_then(RecordBatchDecoder::read_record_batch)
        .unwrap();
    assert_eq!(batch.num_rows(), rows);
    batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap().values().to_vec()
}
