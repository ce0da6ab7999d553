//! How far a run has come, while it runs.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, MultiProgress, ProgressBar, ProgressStyle};
use serde_json::Value as Json;

use super::rate::Rate;
use sluicebox_core::meter::{Meters, Reading};

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// One live line a hop, on the terminal behind standard error.
    Bars,
    /// A line of text about every five seconds, on standard error.
    Lines,
    /// One JSON object a second, `{"event":"progress",…}`, on standard output.
    Json,
    /// Not at all.
    Nothing,
}

/// A hop and its counters.
#[derive(Clone, Debug)]
pub struct Hop {
    /// Its name.
    pub name: String,
    /// What the pipeline adds to.
    pub meters: Arc<Meters>,
}

/// Shows how far each hop has come. It only reads: the pipeline neither knows nor waits.
pub struct Progress {
    hops: Vec<(Hop, Rate)>,
    started: Instant,
    shown: Option<Duration>,
    screen: Screen,
}

enum Screen {
    Bars(MultiProgress, Vec<ProgressBar>),
    Lines(Box<dyn Write + Send>),
    Json(Box<dyn Write + Send>),
    Nothing,
}

impl Show {
    /// What fits the streams of this process.
    pub fn fitting(json: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        match (json, io::stderr().is_terminal() && !dumb) {
            (true, _) => Show::Json,
            (false, true) => Show::Bars,
            (false, false) => Show::Lines,
        }
    }

    /// How long one display stands before the next.
    fn interval(self) -> Duration {
        match self {
            Show::Bars => Duration::from_millis(100),
            Show::Json => Duration::from_secs(1),
            Show::Lines | Show::Nothing => Duration::from_secs(5),
        }
    }
}

impl Progress {
    /// Starts to show `hops`.
    pub fn new(show: Show, hops: Vec<Hop>) -> Self {
        let screen = match show {
            Show::Bars => bars(&hops),
            Show::Lines => Screen::Lines(Box::new(io::stderr())),
            Show::Json => Screen::Json(Box::new(io::stdout())),
            Show::Nothing => Screen::Nothing,
        };
        Self::on(screen, hops)
    }

    fn on(screen: Screen, hops: Vec<Hop>) -> Self {
        let hops = hops
            .into_iter()
            .map(|hop| {
                let mut rate = Rate::default();
                rate.take(Duration::ZERO, hop.meters.read());
                (hop, rate)
            })
            .collect();
        Self { hops, started: Instant::now(), shown: None, screen }
    }

    /// Shows the counters of now, unless the last display is too recent.
    pub fn tick(&mut self) {
        self.tick_at(self.started.elapsed());
    }

    /// Shows the last counters and leaves them standing. Lines of text stop without: the
    /// summary that follows says the same.
    pub fn finish(mut self) {
        if !matches!(self.screen, Screen::Lines(_)) {
            self.show(self.started.elapsed());
        }
        if let Screen::Bars(_, bars) = &self.screen {
            bars.iter().for_each(ProgressBar::abandon);
        }
    }

    /// Standard error for whatever else has to be said meanwhile, such as log lines.
    pub fn stderr(&self) -> Stderr {
        match &self.screen {
            Screen::Bars(screen, _) => Stderr(Some(screen.clone())),
            _ => Stderr(None),
        }
    }

    fn tick_at(&mut self, now: Duration) {
        let interval = match &self.screen {
            Screen::Bars(..) => Show::Bars,
            Screen::Lines(_) => Show::Lines,
            Screen::Json(_) => Show::Json,
            Screen::Nothing => return,
        }
        .interval();
        // The start counts as shown: nothing has happened yet.
        if now.saturating_sub(self.shown.unwrap_or_default()) >= interval {
            self.show(now);
        }
    }

    fn show(&mut self, now: Duration) {
        self.shown = Some(now);
        let states: Vec<State<'_>> = self.hops.iter_mut().map(|(hop, rate)| State::take(hop, rate, now)).collect();
        match &mut self.screen {
            Screen::Bars(_, bars) => bars.iter().zip(&states).for_each(|(bar, state)| state.draw(bar)),
            Screen::Lines(out) => states.iter().for_each(|state| write_line(out, &state.to_line(now))),
            Screen::Json(out) => {
                let hops: Vec<String> = states.iter().map(State::to_json).collect();
                let seconds = Json::from((now.as_secs_f64() * 1_000.0).round() / 1_000.0);
                let line = format!("{{\"event\":\"progress\",\"seconds\":{seconds},\"hops\":[{}]}}", hops.join(","));
                write_line(out, &line);
            }
            Screen::Nothing => {}
        }
    }
}

/// Standard error, written to without tearing the live lines of a [`Progress`]: what is
/// written, whole lines at a time, appears above them.
#[derive(Clone, Debug)]
pub struct Stderr(Option<MultiProgress>);

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &self.0 {
            Some(screen) => screen.suspend(|| io::stderr().write(bytes)),
            None => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Ticks a [`Progress`] from a thread of its own, so that it stays live while every other
/// thread is busy.
pub struct Ticker {
    stop: Sender<()>,
    thread: JoinHandle<Progress>,
}

impl Ticker {
    /// Starts to tick.
    ///
    /// # Errors
    /// When the operating system has no thread to give.
    pub fn start(mut progress: Progress) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::Builder::new().name("progress".into()).spawn(move || {
            while stopped.recv_timeout(Show::Bars.interval()) == Err(RecvTimeoutError::Timeout) {
                progress.tick();
            }
            progress
        })?;
        Ok(Self { stop, thread })
    }

    /// Stops ticking, shows the last counters and leaves them standing.
    pub fn finish(self) {
        drop(self.stop);
        // A display that panicked has already said so, and the run's result matters more.
        if let Ok(progress) = self.thread.join() {
            progress.finish();
        }
    }
}

/// A hop at one moment.
struct State<'a> {
    name: &'a str,
    reading: Reading,
    rows_per_second: f64,
    bytes_per_second: f64,
}

impl<'a> State<'a> {
    fn take(hop: &'a Hop, rate: &mut Rate, now: Duration) -> Self {
        let reading = hop.meters.read();
        let (rows_per_second, bytes_per_second) = rate.take(now, reading);
        Self { name: &hop.name, reading, rows_per_second, bytes_per_second }
    }

    fn draw(&self, bar: &ProgressBar) {
        if let Some((done, total)) = self.reading.source {
            if bar.length() != Some(total) {
                bar.set_length(total);
                bar.set_style(style("{prefix} [{bar:20}] {percent:>3}% {msg}"));
            }
            bar.set_position(done.min(total));
        }
        bar.set_message(self.counts());
        bar.tick();
    }

    fn to_line(&self, now: Duration) -> String {
        format!("{:>5} s  {}: {}", now.as_secs(), self.name, self.counts())
    }

    /// Casts of floats saturate, so a rate beyond all counts stays a count.
    fn counts(&self) -> String {
        let Reading { rows_in, rows_out, rows_rejected, .. } = self.reading;
        format!(
            "{} in, {} out, {} rejected, {} rows/s, {}/s",
            HumanCount(rows_in),
            HumanCount(rows_out),
            HumanCount(rows_rejected),
            HumanCount(self.rows_per_second as u64),
            HumanBytes(self.bytes_per_second as u64),
        )
    }

    fn to_json(&self) -> String {
        let Reading { rows_in, rows_out, rows_rejected, bytes_in, commits, source, conflicts: _, peak_in_flight: _ } =
            self.reading;
        let share = source.map(|(done, total)| (done as f64 / total as f64).min(1.0));
        format!(
            "{{\"hop\":{},\"rows_in\":{rows_in},\"rows_out\":{rows_out},\"rows_rejected\":{rows_rejected},\"bytes_in\":{bytes_in},\"commits\":{commits},\"source_read\":{},\"rows_per_second\":{}}}",
            Json::from(self.name),
            Json::from(share),
            self.rows_per_second as u64,
        )
    }
}

fn bars(hops: &[Hop]) -> Screen {
    let screen = MultiProgress::new();
    let width = hops.iter().map(|hop| hop.name.chars().count()).max().unwrap_or_default();
    let bars = hops
        .iter()
        .map(|hop| {
            let bar = screen.add(ProgressBar::no_length());
            bar.set_style(style("{prefix} {spinner} {msg}"));
            bar.set_prefix(format!("{:width$}", hop.name));
            bar
        })
        .collect();
    Screen::Bars(screen, bars)
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .expect("the template is sound because it is one of two constants, and a test draws both")
        .progress_chars("=> ")
}

/// Progress that nobody reads any more is no reason to stop a run.
fn write_line(out: &mut dyn Write, line: &str) {
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no test panics while it writes").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Page {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().expect("no test panics while it writes").clone()).expect("progress is text")
        }
    }

    fn hop(name: &str) -> Hop {
        Hop { name: name.to_owned(), meters: Arc::default() }
    }

    #[test]
    fn lines_come_every_five_seconds() {
        let (page, land) = (Page::default(), hop("land"));
        let mut progress = Progress::on(Screen::Lines(Box::new(page.clone())), vec![land.clone()]);
        progress.tick_at(Duration::from_millis(4_900));
        assert_eq!(page.text(), "", "nothing before five seconds");
        Meters::add(&land.meters.rows_in, 1_500_000);
        Meters::add(&land.meters.rows_out, 1_499_000);
        Meters::add(&land.meters.rows_rejected, 1_000);
        progress.tick_at(Duration::from_secs(5));
        progress.tick_at(Duration::from_secs(7));
        Meters::add(&land.meters.rows_in, 500_000);
        Meters::add(&land.meters.bytes_in, 50 << 20);
        progress.tick_at(Duration::from_secs(10));
        let expected = "    \
    5 s  land: 1,500,000 in, 1,499,000 out, 1,000 rejected, 300,000 rows/s, 0 B/s
   10 s  land: 2,000,000 in, 1,499,000 out, 1,000 rejected, 100,000 rows/s, 10.00 MiB/s
";
        assert_eq!(page.text(), expected);
        progress.finish();
        assert_eq!(page.text(), expected, "the summary says the rest");
    }

    #[test]
    fn json_is_one_event_a_second_about_every_hop() {
        let (page, land) = (Page::default(), hop("land \"1\""));
        let hops = vec![land.clone(), hop("clean")];
        let mut progress = Progress::on(Screen::Json(Box::new(page.clone())), hops);
        land.meters.set_source(1_024, Some(4_096));
        Meters::add(&land.meters.rows_in, 10);
        Meters::add(&land.meters.commits, 2);
        progress.tick_at(Duration::from_millis(999));
        progress.tick_at(Duration::from_millis(1_000));
        let expected = concat!(
            r#"{"event":"progress","seconds":1.0,"hops":["#,
            r#"{"hop":"land \"1\"","rows_in":10,"rows_out":0,"rows_rejected":0,"bytes_in":0,"commits":2,"source_read":0.25,"rows_per_second":10},"#,
            r#"{"hop":"clean","rows_in":0,"rows_out":0,"rows_rejected":0,"bytes_in":0,"commits":0,"source_read":null,"rows_per_second":0}]}"#,
            "\n"
        );
        assert_eq!(page.text(), expected);
    }

    #[test]
    fn bars_draw_with_and_without_a_known_end() {
        let (land, clean) = (hop("land"), hop("clean"));
        let Screen::Bars(screen, bars) = bars(&[land.clone(), clean.clone()]) else { panic!("bars are bars") };
        screen.set_draw_target(indicatif::ProgressDrawTarget::hidden());
        let mut progress = Progress::on(Screen::Bars(screen, bars.clone()), vec![land.clone(), clean]);
        land.meters.set_source(3_072, Some(2_048));
        Meters::add(&land.meters.rows_in, 300);
        progress.tick_at(Duration::from_millis(100));
        assert_eq!((bars[0].position(), bars[0].length()), (2_048, Some(2_048)), "a bar never runs over its end");
        assert_eq!(bars[1].length(), None);
        assert_eq!(bars[1].message(), "0 in, 0 out, 0 rejected, 0 rows/s, 0 B/s");
        progress.finish();
    }

    #[test]
    fn a_ticker_ends_when_it_is_told_to() {
        let ticker = Ticker::start(Progress::new(Show::Nothing, vec![hop("land")])).expect("there is a thread");
        ticker.finish();
    }
}
