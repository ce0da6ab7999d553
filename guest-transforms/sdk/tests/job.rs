//! The life of a job.

use sluicebox_sdk::prelude::*;

/// Counts rows of two inputs; says so at the end.
struct Count(i64);

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    from: i64,
    #[serde(default = "one")]
    version: u32,
}

fn one() -> u32 {
    1
}

impl Transform for Count {
    type Config = Config;

    fn describe(config: &Config) -> Result<Descriptor> {
        Ok(Descriptor::new("count", "1")
            .rows("a", [int64("n")])
            .rows("b", [int64("n")])
            .output("count", [int64("rows")])
            .stateful(config.version))
    }

    fn open(config: Config, inputs: &Inputs, restored: Option<&State>) -> Result<Self> {
        assert!(inputs.schema("c").is_err());
        log(Level::Info, "opened");
        let saved = restored.map(|state| state.json("rows")).transpose()?.flatten();
        Ok(Self(saved.unwrap_or(config.from)))
    }

    fn rows(&mut self, rows: &Rows, _: &mut Out) -> Result<()> {
        metric(rows.port(), rows.len() as f64);
        self.0 += rows.len() as i64;
        Ok(())
    }

    fn end(&mut self, out: &mut Out) -> Result<()> {
        out.emit("count", vec![int64s([self.0])])
    }

    fn flush(&mut self, watermark: Option<i64>, out: &mut Out) -> Result<()> {
        out.emit("count", vec![int64s([watermark])])
    }

    fn snapshot(&mut self, state: &mut State) -> Result<()> {
        state.put_json("rows", &self.0)
    }
}

const ROW: &str = r#"{"n": 1}"#;

#[test]
fn the_end_comes_when_every_input_has_ended() {
    let mut harness = Harness::<Count>::open("").unwrap();
    let recorded = harness.push_json("a", ROW).unwrap();
    assert_eq!(recorded.metrics(), [("a".to_owned(), 1.0)]);
    assert_eq!(recorded.logged(), [(Level::Info, "opened".to_owned())]);
    assert!(harness.end("a").unwrap().json("count").is_empty());
    harness.push_json("b", ROW).unwrap();
    assert_eq!(harness.end("b").unwrap().json("count"), [r#"{"rows":2}"#]);
    let error = harness.push_json("b", ROW).unwrap_err().to_string();
    assert!(error.contains("rows came on \"b\" after its end"), "{error}");
}

#[test]
fn a_flush_gives_the_watermark() {
    let mut harness = Harness::<Count>::open("").unwrap();
    assert_eq!(harness.flush(Some(5)).unwrap().json("count"), [r#"{"rows":5}"#]);
}

#[test]
fn state_goes_from_job_to_job_of_one_version() {
    let mut first = Harness::<Count>::open(r#"{"from": 40}"#).unwrap();
    first.push_json("a", ROW).unwrap();
    let state = first.snapshot().unwrap();
    let mut second = Harness::<Count>::open_with("", &[], Some(state.clone())).unwrap();
    second.push_json("a", ROW).unwrap();
    second.end("a").unwrap();
    assert_eq!(second.end("b").unwrap().json("count"), [r#"{"rows":42}"#]);
    let error = Harness::<Count>::open_with(r#"{"version": 2}"#, &[], Some(state)).err().unwrap();
    assert!(matches!(error, Failure::State(_)), "{error}");
}

#[test]
fn a_slip_in_the_configuration_is_named() {
    let error = Harness::<Count>::open(r#"{"form": 40}"#).err().unwrap();
    assert!(error.to_string().contains("unknown field `form`, expected `from`"), "{error}");
    assert!(matches!(Harness::<Count>::open("[").err(), Some(Failure::Config(_))));
}
