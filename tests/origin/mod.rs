//! Where tables come from: what is recorded, what is kept, and whether that is enough to
//! make a table again.

mod history;
mod kept;
mod replay;
