//! What a module may not do with its rows, and how it is told.

use sluicebox_sdk::prelude::*;

/// Does what its configuration says.
struct Deed(String);

#[derive(serde::Deserialize)]
struct Config {
    deed: String,
    #[serde(default)]
    promise: bool,
}

impl Transform for Deed {
    type Config = Config;

    fn describe(config: &Config) -> Result<Descriptor> {
        let descriptor = Descriptor::new("deed", "1")
            .rows("rows", [required(int64("n"))])
            .pass_through("kept", "rows", &[], [int64("double")])
            .output("full", [int64("n")]);
        Ok(if config.promise { descriptor.row_preserving() } else { descriptor })
    }

    fn open(config: Config, _: &Inputs, _: Option<&State>) -> Result<Self> {
        Ok(Self(config.deed))
    }

    fn rows(&mut self, rows: &Rows, out: &mut Out) -> Result<()> {
        let double = |rows: &[i64]| int64s(rows.iter().copied());
        let even = |row: usize| rows.i64("n").ok().and_then(|n| n.get(row)).is_some_and(|n| n % 2 == 0);
        match self.0.as_str() {
            "even" => {
                let kept = Kept::filter(rows, even);
                let n = kept.of_column(rows.column("n")?)?;
                out.keep("kept", kept.column("double", n))
            }
            "nothing" => Ok(()),
            "many" => out.emit("full", vec![int64s(0..20_000)]),
            "reject all" => {
                rows.indexes().for_each(|row| out.reject(row, Reject::new("no", "it is not wanted")));
                Ok(())
            }
            "unknown port" => out.emit("ful", vec![double(&[1])]),
            "keep on full" => out.keep("full", Kept::all(rows)),
            "emit on kept" => out.emit("kept", vec![double(&[1])]),
            "no column" => out.keep("kept", Kept::all(rows)),
            "extra column" => {
                let n = rows.column("n")?.clone();
                out.keep("kept", Kept::all(rows).column("double", n.clone()).column("triple", n))
            }
            "short column" => out.keep("kept", Kept::all(rows).column("double", double(&[1]))),
            "wrong type" => out.emit("full", vec![strings(["one"])]),
            "twice" => {
                let mut kept = Kept::of(rows);
                kept.keep(0);
                kept.keep(0);
                out.keep("kept", kept.column("double", double(&[1, 1])))
            }
            "row too far" => {
                let mut kept = Kept::of(rows);
                kept.keep(rows.len());
                out.keep("kept", kept.column("double", double(&[1])))
            }
            "reject too far" => {
                out.reject(rows.len(), Reject::new("no", "it is not there"));
                Ok(())
            }
            "wrong column" => rows.i64("m").map(drop),
            "wrong kind" => rows.utf8("n").map(drop),
            other => Err(Failure::config(format!("{other:?} is no deed"))),
        }
    }

    fn end(&mut self, out: &mut Out) -> Result<()> {
        match self.0.as_str() {
            "reject at end" => {
                out.reject(0, Reject::new("late", "too late"));
                Ok(())
            }
            "keep at end" => out.keep("kept", Kept::default()),
            _ => Ok(()),
        }
    }
}

fn open(deed: &str, promise: bool) -> Harness<Deed> {
    Harness::open(&format!(r#"{{"deed": "{deed}", "promise": {promise}}}"#)).unwrap()
}

fn push(deed: &str, promise: bool) -> Result<Recorded> {
    let rows = "{\"n\": 1, \"name\": \"one\"}\n{\"n\": 2, \"name\": \"two\"}\n{\"n\": 4, \"name\": \"four\"}";
    open(deed, promise).push_json("rows", rows)
}

#[test]
fn kept_rows_keep_the_columns_that_never_came() {
    let recorded = push("even", false).unwrap();
    let expected = [r#"{"n":2,"name":"two","double":2}"#, r#"{"n":4,"name":"four","double":4}"#];
    assert_eq!(recorded.json("kept"), expected);
}

#[test]
fn a_large_output_leaves_whole() {
    let rows = push("many", false).unwrap().output("full");
    assert_eq!(rows.num_rows(), 20_000);
    assert_eq!(rows.column(0).as_ref(), int64s(0..20_000).as_ref());
}

#[test]
fn a_promise_is_held() {
    assert_eq!(push("reject all", true).unwrap().codes(), [(0, "no"), (1, "no"), (2, "no")]);
    for deed in ["nothing", "even"] {
        let error = push(deed, true).unwrap_err().to_string();
        assert!(error.contains("promises to preserve rows"), "{error}");
    }
}

#[test]
fn every_slip_is_named() {
    for (deed, words) in [
        ("unknown port", "there is no output \"ful\"; declared are kept, full"),
        ("keep on full", "use `emit`, not `keep`"),
        ("emit on kept", "use `keep`, not `emit`"),
        ("no column", "declares the column \"double\", which was not given"),
        ("extra column", "does not declare the column \"triple\""),
        ("short column", "output \"kept\""),
        ("wrong type", "output \"full\""),
        ("twice", "rising order, each once"),
        ("row too far", "out of the 3 that were pushed"),
        ("reject too far", "row 3 of 3"),
        ("wrong column", "port \"rows\" has no column \"m\"; its columns are n"),
        ("wrong kind", "column \"n\" of port \"rows\" is Int64, not utf8"),
    ] {
        let error = push(deed, false).unwrap_err().to_string();
        assert!(error.contains(words), "{deed}: {error}");
    }
}

#[test]
fn the_end_has_no_rows_to_reject_or_keep() {
    for deed in ["reject at end", "keep at end"] {
        let error = open(deed, false).end("rows").unwrap_err().to_string();
        assert!(error.contains("while they are pushed"), "{error}");
    }
}

#[test]
fn a_required_column_must_be_there_and_hold_no_null() {
    for rows in [r#"{"m": 1}"#, r#"{"n": null}"#] {
        assert!(open("nothing", false).push_json("rows", rows).is_err(), "{rows}");
    }
}
