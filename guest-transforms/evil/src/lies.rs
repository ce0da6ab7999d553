//! Batches that are not what they say.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow_ipc::{BodyCompressionBuilder, CompressionType, FieldNode, MessageBuilder, MessageHeader, MetadataVersion};
use arrow_schema::{DataType, Field, Schema};

use crate::ports::{enclose, message, schema};
use crate::sluicebox::transform::sink;
use crate::{full, kept, ports};

/// Emits what the deed calls for; `false` when it is no deed of this kind.
pub fn emit(deed: &str, rows: u32) -> bool {
    if let Some(lie) = deed.strip_prefix("ipc-") {
        emit_one(message_that_is(lie));
        return true;
    }
    match deed {
        "port" => crate::emit(7, &full(&[1])),
        "wrong-schema" => {
            let columns: Vec<ArrayRef> =
                vec![Arc::new(StringArray::from(vec!["1"])), Arc::new(Int64Array::from(vec![1]))];
            let schema =
                Schema::new(vec![Field::new("id", DataType::Utf8, false), Field::new("name", DataType::Int64, true)]);
            emit_one(message(&RecordBatch::try_new(Arc::new(schema), columns).unwrap()));
        }
        "huge" => {
            let text = "x".repeat(100 << 20);
            let columns: Vec<ArrayRef> =
                vec![Arc::new(Int64Array::from(vec![1])), Arc::new(StringArray::from(vec![text]))];
            crate::emit(0, &RecordBatch::try_new(Arc::new(ports::full()), columns).unwrap());
        }
        "many" => {
            let bytes = message(&RecordBatch::new_empty(Arc::new(ports::full())));
            loop {
                sink::emit(0, std::slice::from_ref(&bytes));
            }
        }
        "chunks" => sink::emit(0, &vec![Vec::new(); 4_000_000]),
        "alias" => {
            // The same bytes over and over: cheap to say, and dear to copy.
            let block = vec![0u8; 4 << 20];
            sink::emit(0, &vec![block; 20]);
        }
        "rows" => {
            let ids = vec![1; 100_000];
            for _ in 0..1_000 {
                crate::emit(0, &full(&ids));
            }
        }
        "row-outside" => emit_kept(&[0, rows]),
        "row-max" => emit_kept(&[u32::MAX]),
        "row-twice" => emit_kept(&[0, 0]),
        "row-falling" => emit_kept(&[1, 0]),
        "row-twice-apart" => {
            emit_kept(&[0, 1]);
            emit_kept(&[1, 2]);
        }
        "preserve-lose" => crate::emit(0, &full(&vec![1; rows as usize - 1])),
        "preserve-invent" => crate::emit(0, &full(&vec![1; rows as usize + 1])),
        "preserve-both" => {
            crate::emit(0, &full(&vec![1; rows as usize]));
            super::reject(&[(0, 0)], 1);
        }
        "preserve-all" => crate::emit(0, &full(&vec![1; rows as usize])),
        "preserve-kept-lose" => crate::emit(0, &kept(&(1..rows).collect::<Vec<_>>())),
        "preserve-kept-both" => {
            super::reject(&[(1, 0)], 1);
            crate::emit(0, &kept(&(0..rows).collect::<Vec<_>>()));
        }
        "preserve-kept-all" => {
            super::reject(&[(1, 0)], 1);
            crate::emit(0, &kept(&(0..rows).filter(|row| *row != 1).collect::<Vec<_>>()));
        }
        "preserve-late" => crate::emit(0, &full(&[1])),
        "kept-late" => emit_kept(&[0]),
        _ => return false,
    }
    true
}

fn emit_one(bytes: Vec<u8>) {
    sink::emit(0, &[bytes]);
}

fn emit_kept(rows: &[u32]) {
    crate::emit(1, &kept(rows));
}

/// The parts of a record-batch message, each of which can lie.
struct Parts {
    rows: i64,
    nodes: Vec<FieldNode>,
    buffers: Vec<arrow_ipc::Buffer>,
    body: Vec<u8>,
    declared: i64,
    compressed: bool,
    variadic: Option<Vec<i64>>,
    version: MetadataVersion,
}

impl Parts {
    /// Two honest rows of port 0: ids 1 and 2, names "ab" and "c".
    fn honest() -> Self {
        let mut body = vec![0; 40];
        body[0..8].copy_from_slice(&1i64.to_le_bytes());
        body[8..16].copy_from_slice(&2i64.to_le_bytes());
        for (at, offset) in [(16, 0i32), (20, 2), (24, 3)] {
            body[at..at + 4].copy_from_slice(&offset.to_le_bytes());
        }
        body[32..35].copy_from_slice(b"abc");
        let buffer = arrow_ipc::Buffer::new;
        Self {
            rows: 2,
            nodes: vec![FieldNode::new(2, 0), FieldNode::new(2, 0)],
            buffers: vec![buffer(0, 0), buffer(0, 16), buffer(16, 0), buffer(16, 12), buffer(32, 3)],
            declared: body.len() as i64,
            body,
            compressed: false,
            variadic: None,
            version: MetadataVersion::V5,
        }
    }

    fn message(self) -> Vec<u8> {
        let mut builder = flatbuffers::FlatBufferBuilder::new();
        let nodes = builder.create_vector(&self.nodes);
        let buffers = builder.create_vector(&self.buffers);
        let variadic = self.variadic.map(|counts| builder.create_vector(&counts));
        let compression = self.compressed.then(|| {
            let mut compression = BodyCompressionBuilder::new(&mut builder);
            compression.add_codec(CompressionType::LZ4_FRAME);
            compression.finish()
        });
        let mut batch = arrow_ipc::RecordBatchBuilder::new(&mut builder);
        batch.add_length(self.rows);
        batch.add_nodes(nodes);
        batch.add_buffers(buffers);
        if let Some(variadic) = variadic {
            batch.add_variadicBufferCounts(variadic);
        }
        if let Some(compression) = compression {
            batch.add_compression(compression);
        }
        let batch = batch.finish();
        let mut root = MessageBuilder::new(&mut builder);
        root.add_version(self.version);
        root.add_header_type(MessageHeader::RecordBatch);
        root.add_bodyLength(self.declared);
        root.add_header(batch.as_union_value());
        let root = root.finish();
        builder.finish(root, None);
        enclose(builder.finished_data(), &self.body)
    }
}

fn message_that_is(lie: &str) -> Vec<u8> {
    let mut parts = Parts::honest();
    let buffer = arrow_ipc::Buffer::new;
    match lie {
        "honest" => {}
        "empty" => return Vec::new(),
        "garbage" => return (0..1_000).map(|n| (n * 31 % 251) as u8).collect(),
        "garbage-metadata" => return enclose(&[0x5a; 200], &[]),
        "metadata-huge" => return [&[0xff; 4][..], &i32::MAX.to_le_bytes(), &[0; 64]].concat(),
        "metadata-negative" => return [&[0xff; 4][..], &(-8i32).to_le_bytes(), &[0; 64]].concat(),
        "schema" => return schema(&ports::full()),
        "dictionary" => return dictionary(),
        "wrong-type" => {
            let columns: Vec<ArrayRef> =
                vec![Arc::new(Int32Array::from(vec![1, 2])), Arc::new(StringArray::from(vec!["a", "b"]))];
            let schema =
                Schema::new(vec![Field::new("id", DataType::Int32, false), Field::new("name", DataType::Utf8, true)]);
            return message(&RecordBatch::try_new(Arc::new(schema), columns).unwrap());
        }
        "offset-outside" => parts.buffers[1] = buffer(1 << 40, 16),
        "end-outside" => parts.buffers[1] = buffer(32, 16),
        "offset-negative" => parts.buffers[1] = buffer(-8, 16),
        "length-negative" => parts.buffers[1] = buffer(0, -16),
        "offset-overflow" => parts.buffers[1] = buffer(i64::MAX, i64::MAX),
        "rows-2-40" => {
            parts.rows = 1 << 40;
            parts.nodes = vec![FieldNode::new(1 << 40, 0), FieldNode::new(1 << 40, 0)];
            parts.buffers = vec![buffer(0, 0); 5];
        }
        "rows-negative" => parts.rows = -1,
        "rows-disagree" => parts.rows = 1,
        "node-huge" => parts.nodes[1] = FieldNode::new(i64::MAX, 0),
        "nulls-negative" => parts.nodes[1] = FieldNode::new(2, -1),
        "nulls-too-many" => parts.nodes[1] = FieldNode::new(2, 3),
        "null-in-not-null" => parts.nodes[0] = FieldNode::new(2, 1),
        "short-validity" => parts.nodes[1] = FieldNode::new(2, 1),
        "wrong-null-count" => {
            parts.nodes[1] = FieldNode::new(2, 1);
            parts.buffers[2] = buffer(0, 8);
            parts.body[0] = 0xff;
        }
        "compressed" => parts.compressed = true,
        "trailing" => parts.body.extend([0; 8]),
        "short-body" => parts.declared += 1 << 30,
        "body-negative" => parts.declared = -1,
        "few-buffers" => parts.buffers.truncate(3),
        "many-buffers" => parts.buffers.extend([buffer(0, 0); 1_000]),
        "few-nodes" => parts.nodes.truncate(1),
        "many-nodes" => parts.nodes.extend([FieldNode::new(2, 0); 1_000]),
        "variadic" => parts.variadic = Some(vec![i64::MAX, -1]),
        "version-4" => parts.version = MetadataVersion::V4,
        "short-values" => parts.buffers[1] = buffer(0, 8),
        "bad-utf8" => parts.body[33] = 0xff,
        "offsets-fall" => parts.body[20..24].copy_from_slice(&7i32.to_le_bytes()),
        "offsets-negative" => parts.body[16..20].copy_from_slice(&(-1i32).to_le_bytes()),
        "offsets-outside" => parts.body[24..28].copy_from_slice(&i32::MAX.to_le_bytes()),
        "offsets-split-character" => parts.body[32..35].copy_from_slice("aé".as_bytes()),
        other => panic!("no such lie: {other}"),
    }
    parts.message()
}

fn dictionary() -> Vec<u8> {
    let mut builder = flatbuffers::FlatBufferBuilder::new();
    let mut dictionary = arrow_ipc::DictionaryBatchBuilder::new(&mut builder);
    dictionary.add_id(1);
    let dictionary = dictionary.finish();
    let mut root = MessageBuilder::new(&mut builder);
    root.add_version(MetadataVersion::V5);
    root.add_header_type(MessageHeader::DictionaryBatch);
    root.add_header(dictionary.as_union_value());
    let root = root.finish();
    builder.finish(root, None);
    enclose(builder.finished_data(), &[])
}
