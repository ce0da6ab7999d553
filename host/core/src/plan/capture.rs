//! The plan of files of Event Hubs Capture.

use std::time::Duration;

use arrow_schema::SchemaRef;

use super::{MessageFormat, Timestamps};

/// Files of Event Hubs Capture; each partition of a hub is a lane.
#[derive(Clone, Debug)]
pub struct CaptureSpec {
    /// Which files.
    pub files: CaptureFiles,
    /// How the body of an event is decoded.
    pub format: MessageFormat,
    /// The columns of the body.
    pub columns: SchemaRef,
    /// Whether each row keeps the original body.
    pub raw: bool,
    /// What becomes of times that microseconds do not hold.
    pub timestamps: Timestamps,
}

/// Captured files and their order.
#[derive(Clone, Debug)]
pub struct CaptureFiles {
    /// The folder: an absolute path, or a URL of an object store.
    pub path: String,
    /// The layout of the paths below it.
    pub layout: Vec<LayoutPart>,
    /// The name of the hub, if the path does not have it.
    pub hub: Option<String>,
    /// What to do if events are missing between two files.
    pub gaps: Gaps,
    /// How much time before the recorded position files are read again, by the time in their paths.
    pub overlap: Duration,
    /// How often the hub was deleted and made anew: each time its partitions are other lanes.
    pub reset: u32,
}

/// A part of the path of a captured file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayoutPart {
    /// This text.
    Text(String),
    /// The namespace.
    Namespace,
    /// The hub.
    EventHub,
    /// The partition's number.
    PartitionId,
    /// A part of the start time of the file, the largest first.
    Time(TimePart),
}

/// A part of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimePart {
    /// Four digits.
    Year,
    /// One or two digits, like the others.
    Month,
    /// Of the month.
    Day,
    /// Of the day.
    Hour,
    /// Of the hour.
    Minute,
    /// Of the minute.
    Second,
}

/// What to do if events are missing between two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gaps {
    /// Wait with the partition until the missing file exists.
    Wait,
    /// Continue after the gap, with a warning.
    Skip,
}
