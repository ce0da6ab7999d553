//! Whole pipelines, run as their users run them and read by somebody else.

mod c2c;
mod changes;
mod drift;
mod event_time;
mod files;
mod groups;
mod hostile;
mod names;
pub mod orders;
mod readers;
mod refused_changes;
mod resume;
mod retail;
mod reviews;
mod storefront;
