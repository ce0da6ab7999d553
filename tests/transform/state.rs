//! State that outlives a job.

use sluicebox_core::plan::Limits;
use sluicebox_sandbox::{Job, SavedState};

use super::modules::{batch, bind, evil, on_guest_thread};

#[test]
fn a_job_goes_on_from_saved_state() {
    on_guest_thread(|| {
        let binding = bind("{}", batch(0).schema());
        let open =
            |state: Option<&SavedState>| Job::open(&evil(), "{}", binding.clone(), &Limits::default(), state).unwrap();
        let mut job = open(None);
        job.push(0, &batch(5), None).unwrap();
        job.push(0, &batch(6), None).unwrap();
        let state = job.snapshot().unwrap();
        assert_eq!(state, SavedState { version: 1, entries: vec![("rows".into(), 11u64.to_le_bytes().to_vec())] });

        let mut next = open(Some(&state));
        let output = next.push(0, &batch(1), None).unwrap();
        assert_eq!(output.metrics, [("rows-so-far".to_owned(), 12.0)]);
        // Saving does not end a job.
        assert_eq!(job.push(0, &batch(1), None).unwrap().metrics, output.metrics);
    });
}
