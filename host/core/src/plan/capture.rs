//! What a plan says of files that Event Hubs Capture wrote.

use std::time::Duration;

use arrow_schema::SchemaRef;

use super::MessageFormat;

/// Files of Event Hubs Capture; each partition of a hub is a lane.
#[derive(Clone, Debug)]
pub struct CaptureSpec {
    /// Which files.
    pub files: CaptureFiles,
    /// How the body of an event is decoded.
    pub format: MessageFormat,
    /// The columns of the body.
    pub columns: SchemaRef,
    /// Whether each row keeps the body as it came.
    pub raw: bool,
}

/// Where captured files are, and how they follow one another.
#[derive(Clone, Debug)]
pub struct CaptureFiles {
    /// The folder: an absolute path, or a URL of an object store.
    pub path: String,
    /// How the path of a file below it says what is in the file.
    pub layout: Vec<LayoutPart>,
    /// What the hub is called where the path does not say.
    pub hub: Option<String>,
    /// What to do where events are missing between two files.
    pub gaps: Gaps,
    /// How far before the place to go on from files are looked at again, by the time in their paths.
    pub overlap: Duration,
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
    /// A part of the time at which the file was begun, the largest first.
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

/// What to do where events are missing between two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gaps {
    /// Wait with the partition until the file that has them is there.
    Wait,
    /// Go on after them, with a warning.
    Skip,
}
