//! The flow: sources, hops and tables at work.
