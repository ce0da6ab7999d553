//! What honest modules get and give: projection, pass-through, rejections.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, DictionaryArray, Int32Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use sluicebox_core::plan::Limits;
use sluicebox_sandbox::{BindError, Job, Role, Wanted};

use super::modules::{batch, bind, config, evil, on_guest_thread, push};

#[test]
fn describes_its_ports() {
    let descriptor = evil().describe("{}", &Limits::default()).unwrap();
    assert_eq!(descriptor.name, "evil");
    assert_eq!(descriptor.inputs[0].role, Role::Rows);
    assert_eq!(descriptor.inputs[1].role, Role::Lookup);
    let Wanted::Columns(wanted) = &descriptor.inputs[0].wanted else { panic!("wants all") };
    assert_eq!(wanted.fields().len(), 1);
    assert_eq!(descriptor.output("kept"), Some(1));
}

#[test]
fn a_pass_through_output_has_the_inputs_columns() {
    let output = push("{}", &Limits::default()).unwrap();
    let [(0, full), (1, kept)] = output.batches.as_slice() else { panic!("{output:?}") };
    assert_eq!(full.column(0).as_primitive::<Int64Type>().values(), &[0, 1, 2, 3, 4]);
    let names: Vec<_> = kept.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["id", "name", "note"]);
    assert_eq!(kept.column_by_name("note").unwrap().as_string::<i32>().value(4), "kept 4");
    // By reference: not one byte of it was copied.
    let pushed = batch(5);
    assert_eq!(kept.column(1).as_string::<i32>(), pushed.column(1).as_string::<i32>());
    assert_eq!(output.metrics, [("rows-so-far".to_owned(), 5.0)]);
}

#[test]
fn slices_and_empty_batches_cross() {
    on_guest_thread(|| {
        let binding = bind("{}", batch(0).schema());
        let mut job = Job::open(&evil(), "{}", binding, &Limits::default(), None).unwrap();
        for (offset, length) in [(3, 9), (0, 0), (100, 1), (63, 65), (0, 200)] {
            let rows = batch(200).slice(offset, length);
            let output = job.push(0, &rows, Some(17)).unwrap();
            assert_eq!(output.batches[0].1.column(0).as_ref(), rows.column(0).as_ref());
            assert_eq!(output.batches[1].1.column(1).as_ref(), rows.column(1).as_ref());
        }
    });
}

#[test]
fn columns_are_widened_and_unpacked() {
    on_guest_thread(|| {
        let ids: ArrayRef = Arc::new(Int32Array::from(vec![7, 8]));
        let lane: ArrayRef = Arc::new(DictionaryArray::<arrow_array::types::Int32Type>::from_iter(["a", "a"]));
        let rows = RecordBatch::try_from_iter([("_lane", lane), ("id", ids)]).unwrap();
        let binding = bind("{}", rows.schema());
        assert_eq!(binding.input_schema(0).unwrap().field(0).data_type(), &DataType::Int64);
        let mut job = Job::open(&evil(), "{}", binding, &Limits::default(), None).unwrap();
        let output = job.push(0, &rows, None).unwrap();
        assert_eq!(output.batches[0].1.column(0).as_primitive::<Int64Type>().values(), &[7, 8]);
        // What does not cross keeps its type.
        assert!(matches!(output.batches[1].1.column(0).data_type(), DataType::Dictionary(..)));
        assert_eq!(output.batches[1].1.column(1).data_type(), &DataType::Int32);
    });
}

#[test]
fn tables_that_do_not_fit_are_refused() {
    let descriptor = evil().describe("{}", &Limits::default()).unwrap();
    let lookup = ("lookup".to_owned(), batch(0).schema());
    let of = |data_type| Arc::new(Schema::new(vec![Field::new("id", data_type, true)]));
    let bind = |schema| descriptor.bind(&[("rows".to_owned(), schema), lookup.clone()]).unwrap_err();

    assert!(matches!(bind(of(DataType::Utf8)), BindError::Type { .. }));
    assert!(matches!(bind(Arc::new(Schema::empty())), BindError::Column { .. }));
    assert!(matches!(descriptor.bind(std::slice::from_ref(&lookup)).unwrap_err(), BindError::Missing { .. }));
    let error = descriptor.bind(&[("orders".into(), of(DataType::Int64))]).unwrap_err();
    assert_eq!(error.to_string(), "module `evil` has no input port `orders`; it has `rows`, `lookup`");
}

#[test]
fn nulls_in_a_column_that_may_have_none_are_the_rows_fault() {
    use sluicebox_core::fault::{Fault, Remedy};
    on_guest_thread(|| {
        let ids: ArrayRef = Arc::new(Int32Array::from(vec![Some(7), None]));
        let rows = RecordBatch::try_from_iter([("id", ids)]).unwrap();
        let mut job = Job::open(&evil(), "{}", bind("{}", rows.schema()), &Limits::default(), None).unwrap();
        let error = job.push(0, &rows, None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "module `evil` failed in push: column `id` has 1 nulls and the module wants it without"
        );
        assert_eq!(error.remedy(), Remedy::Quarantine);
        // The module never saw them, so the job lives on.
        job.push(0, &rows.slice(0, 1), None).unwrap();
    });
}

#[test]
fn rows_of_another_shape_are_refused() {
    on_guest_thread(|| {
        let mut job = Job::open(&evil(), "{}", bind("{}", batch(0).schema()), &Limits::default(), None).unwrap();
        let other: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
        let other = RecordBatch::try_from_iter([("id", other)]).unwrap();
        let error = job.push(0, &other, None).unwrap_err();
        assert!(error.to_string().contains("1 columns instead of 3"), "{error}");
        assert!(job.push(9, &batch(1), None).unwrap_err().to_string().contains("no input port 9"));
        job.push(0, &batch(1), None).unwrap();
    });
}

#[test]
fn rejected_rows_come_with_their_reason() {
    let output = push(&config("reject", "push"), &Limits::default()).unwrap();
    let [rejection] = output.rejections.as_slice() else { panic!("{output:?}") };
    assert_eq!((rejection.row, rejection.code.as_str(), rejection.message.as_str()), (0, "code-0", "because"));
    // A reason is cut to what a table can bear.
    let output = push(&config("reject-reasons", "push"), &Limits::default()).unwrap();
    assert!(output.rejections[0].code.len() < 100 && output.rejections[0].message.len() < 2_000);
}

#[test]
fn a_job_belongs_on_a_guest_thread() {
    let binding = on_guest_thread(|| bind("{}", batch(0).schema()));
    let Err(error) = Job::open(&evil(), "{}", binding, &Limits::default(), None) else { panic!("opened") };
    assert!(error.to_string().contains("spawn_guest_thread"), "{error}");
}
