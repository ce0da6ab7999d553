//! Shows the progress of a run.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{HumanBytes, HumanCount, MultiProgress, ProgressBar, ProgressStyle};
use serde_json::{Value as Json, json};

use sluicebox_core::meter::Reading;
use sluicebox_service::{Event, HopProgress, Progress};

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// One live line a hop, on the terminal behind standard error.
    Bars,
    /// A line of text about every five seconds, on standard error.
    Lines,
    /// One JSON object a second, `{"event":"progress",…}`, on standard output; and one when the run begins again.
    Json,
}

/// Shows the events of a run.
pub struct Display(Mutex<Shown>);

/// What is on the screen.
struct Shown {
    show: Show,
    screen: Screen,
    /// The time of the last display since the run began. The start counts as a display.
    at: Duration,
    /// The last progress.
    last: Option<Progress>,
}

enum Screen {
    Bars(MultiProgress, Vec<ProgressBar>),
    Lines(Box<dyn Write + Send>),
}

impl Show {
    /// The display that fits the streams of this process.
    pub fn fitting(json: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        match (json, io::stderr().is_terminal() && !dumb) {
            (true, _) => Show::Json,
            (false, true) => Show::Bars,
            (false, false) => Show::Lines,
        }
    }

    /// The interval between two displays.
    fn interval(self) -> Duration {
        match self {
            // At every progress event.
            Show::Bars => Duration::ZERO,
            Show::Json => Duration::from_secs(1),
            Show::Lines => Duration::from_secs(5),
        }
    }
}

impl Display {
    /// A display that has shown nothing.
    pub fn new(show: Show) -> Self {
        let screen = match show {
            Show::Bars => Screen::Bars(MultiProgress::new(), Vec::new()),
            Show::Lines => Screen::Lines(Box::new(io::stderr())),
            Show::Json => Screen::Lines(Box::new(io::stdout())),
        };
        Self::on(show, screen)
    }

    fn on(show: Show, screen: Screen) -> Self {
        Self(Mutex::new(Shown { show, screen, at: Duration::ZERO, last: None }))
    }

    /// Shows an event.
    pub fn take(&self, event: Event) {
        // A panic while drawing leaves at worst an incomplete line.
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Started { hops, .. } => shown.start(&hops),
            Event::Progress(progress) => shown.take(progress),
            Event::Retry { attempt, pause } => shown.retry(attempt, pause),
            Event::Ended { .. } => shown.finish(),
            // The counters say how much was committed and rejected, and the summary what failed.
            Event::Commit { .. } | Event::Reject { .. } | Event::Failure { .. } => {}
        }
    }
}

impl Shown {
    fn start(&mut self, hops: &[String]) {
        if let Screen::Bars(screen, bars) = &mut self.screen {
            *bars = draw_bars(screen, hops);
        }
    }

    /// Shows the counters, unless the last display is too recent.
    fn take(&mut self, progress: Progress) {
        if progress.elapsed.saturating_sub(self.at) >= self.show.interval() {
            self.draw(&progress);
        }
        self.last = Some(progress);
    }

    /// Shows the last counters. In text mode nothing is shown, because the summary follows.
    fn finish(&mut self) {
        if let Some(last) = self.last.take().filter(|_| self.show != Show::Lines) {
            self.draw(&last);
        }
        if let Screen::Bars(_, bars) = &self.screen {
            bars.iter().for_each(ProgressBar::abandon);
        }
    }

    /// In text mode the log has a warning.
    fn retry(&mut self, attempt: u32, pause: Duration) {
        if let (Show::Json, Screen::Lines(out)) = (self.show, &mut self.screen) {
            let event = json!({ "event": "retry", "attempt": attempt, "pause_seconds": pause.as_secs_f64() });
            write_line(out, &event.to_string());
        }
    }

    fn draw(&mut self, progress: &Progress) {
        self.at = progress.elapsed;
        match (&mut self.screen, self.show) {
            (Screen::Bars(_, bars), _) => bars.iter().zip(&progress.hops).for_each(|(bar, hop)| draw(bar, hop)),
            (Screen::Lines(out), Show::Json) => write_line(out, &to_json(progress)),
            (Screen::Lines(out), _) => {
                let seconds = progress.elapsed.as_secs();
                for hop in &progress.hops {
                    write_line(out, &format!("{seconds:>5} s  {}: {}", hop.hop, counts(hop)));
                }
            }
        }
    }
}

fn draw(bar: &ProgressBar, hop: &HopProgress) {
    if let Some((done, total)) = hop.reading.source {
        if bar.length() != Some(total) {
            bar.set_length(total);
            bar.set_style(style("{prefix} [{bar:20}] {percent:>3}% {msg}"));
        }
        bar.set_position(done.min(total));
    }
    bar.set_message(counts(hop));
    bar.tick();
}

/// Casts of floats saturate, so any rate is a valid count.
fn counts(hop: &HopProgress) -> String {
    let Reading { rows_in, rows_out, rows_rejected, .. } = hop.reading;
    format!(
        "{} in, {} out, {} rejected, {} rows/s, {}/s",
        HumanCount(rows_in),
        HumanCount(rows_out),
        HumanCount(rows_rejected),
        HumanCount(hop.rows_per_second as u64),
        HumanBytes(hop.bytes_per_second as u64),
    )
}

fn to_json(progress: &Progress) -> String {
    let hops: Vec<String> = progress.hops.iter().map(hop_to_json).collect();
    let seconds = Json::from((progress.elapsed.as_secs_f64() * 1_000.0).round() / 1_000.0);
    format!("{{\"event\":\"progress\",\"seconds\":{seconds},\"hops\":[{}]}}", hops.join(","))
}

fn hop_to_json(hop: &HopProgress) -> String {
    let Reading { rows_in, rows_out, rows_rejected, bytes_in, commits, source, conflicts: _, peak_in_flight: _ } =
        hop.reading;
    let share = source.map(|(done, total)| (done as f64 / total as f64).min(1.0));
    format!(
        "{{\"hop\":{},\"rows_in\":{rows_in},\"rows_out\":{rows_out},\"rows_rejected\":{rows_rejected},\"bytes_in\":{bytes_in},\"commits\":{commits},\"source_read\":{},\"rows_per_second\":{}}}",
        Json::from(hop.hop.as_str()),
        Json::from(share),
        hop.rows_per_second as u64,
    )
}

fn draw_bars(screen: &MultiProgress, hops: &[String]) -> Vec<ProgressBar> {
    let width = hops.iter().map(|hop| hop.chars().count()).max().unwrap_or_default();
    let bars = hops.iter().map(|hop| {
        let bar = screen.add(ProgressBar::no_length());
        bar.set_style(style("{prefix} {spinner} {msg}"));
        bar.set_prefix(format!("{hop:width$}"));
        bar
    });
    bars.collect()
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .expect("the template is sound because it is one of two constants, and a test draws both")
        .progress_chars("=> ")
}

/// A closed output is ignored: it is no reason to stop a run.
fn write_line(out: &mut dyn Write, line: &str) {
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluicebox_service::RunStatus;
    use std::sync::Arc;

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

        fn display(&self, show: Show) -> Display {
            Display::on(show, Screen::Lines(Box::new(self.clone())))
        }
    }

    fn hop(name: &str, rows: (u64, u64, u64), rates: (f64, f64)) -> HopProgress {
        let (rows_in, rows_out, rows_rejected) = rows;
        let reading = Reading { rows_in, rows_out, rows_rejected, ..Reading::default() };
        HopProgress { hop: name.to_owned(), reading, rows_per_second: rates.0, bytes_per_second: rates.1 }
    }

    fn progress(milliseconds: u64, hops: Vec<HopProgress>) -> Event {
        Event::Progress(Progress { elapsed: Duration::from_millis(milliseconds), hops })
    }

    const ENDED: Event = Event::Ended { status: RunStatus::Done };

    #[test]
    fn lines_come_every_five_seconds() {
        let page = Page::default();
        let display = page.display(Show::Lines);
        display.take(progress(4_900, vec![hop("land", (0, 0, 0), (0.0, 0.0))]));
        assert_eq!(page.text(), "", "nothing before five seconds");
        let rows = (1_500_000, 1_499_000, 1_000);
        display.take(progress(5_000, vec![hop("land", rows, (300_000.0, 0.0))]));
        display.take(progress(7_000, vec![hop("land", rows, (1.0, 0.0))]));
        let rows = (2_000_000, 1_499_000, 1_000);
        display.take(progress(10_000, vec![hop("land", rows, (100_000.9, 10_485_760.0))]));
        let expected = "    \
    5 s  land: 1,500,000 in, 1,499,000 out, 1,000 rejected, 300,000 rows/s, 0 B/s
   10 s  land: 2,000,000 in, 1,499,000 out, 1,000 rejected, 100,000 rows/s, 10.00 MiB/s
";
        assert_eq!(page.text(), expected);
        display.take(ENDED);
        assert_eq!(page.text(), expected, "the summary says the rest");
    }

    #[test]
    fn json_is_one_event_a_second_about_every_hop() {
        let page = Page::default();
        let display = page.display(Show::Json);
        let mut land = hop("land \"1\"", (10, 0, 0), (10.0, 0.0));
        land.reading.commits = 2;
        land.reading.source = Some((1_024, 4_096));
        let hops = vec![land, hop("clean", (0, 0, 0), (0.0, 0.0))];
        display.take(progress(999, hops.clone()));
        display.take(progress(1_000, hops.clone()));
        let expected = concat!(
            r#"{"event":"progress","seconds":1.0,"hops":["#,
            r#"{"hop":"land \"1\"","rows_in":10,"rows_out":0,"rows_rejected":0,"bytes_in":0,"commits":2,"source_read":0.25,"rows_per_second":10},"#,
            r#"{"hop":"clean","rows_in":0,"rows_out":0,"rows_rejected":0,"bytes_in":0,"commits":0,"source_read":null,"rows_per_second":0}]}"#,
            "\n"
        );
        assert_eq!(page.text(), expected);
        display.take(Event::Retry { attempt: 2, pause: Duration::from_secs(4) });
        let retry = page.text().lines().last().map(str::to_owned).expect("a line");
        assert_eq!(retry, r#"{"event":"retry","attempt":2,"pause_seconds":4.0}"#);
        display.take(progress(1_500, hops));
        display.take(ENDED);
        assert_eq!(page.text().matches("\"seconds\":1.5").count(), 1, "the last counters are told at the end");
    }

    #[test]
    fn bars_draw_with_and_without_a_known_end() {
        let screen = MultiProgress::with_draw_target(indicatif::ProgressDrawTarget::hidden());
        let bars = draw_bars(&screen, &["land".to_owned(), "clean".to_owned()]);
        let display = Display::on(Show::Bars, Screen::Bars(screen, bars.clone()));
        let mut land = hop("land", (300, 0, 0), (0.0, 0.0));
        land.reading.source = Some((3_072, 2_048));
        display.take(progress(100, vec![land, hop("clean", (0, 0, 0), (0.0, 0.0))]));
        assert_eq!((bars[0].position(), bars[0].length()), (2_048, Some(2_048)), "a bar never runs over its end");
        assert_eq!(bars[1].length(), None);
        assert_eq!(bars[1].message(), "0 in, 0 out, 0 rejected, 0 rows/s, 0 B/s");
        display.take(ENDED);
    }
}
