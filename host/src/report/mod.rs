//! What is printed: progress, summaries, errors.
