//! What can go wrong with a broker is told with a cause and a way out, and nothing is lost.

use super::support::{Pipeline, landing, source};
use crate::harness::kafka::{Broker, Secure, broker};
use crate::harness::sluice::Outcome;

const COLUMNS: &str = "format = \"json\"\ncolumns = { id = \"int64\" }";

/// A pipeline that reads a topic through the listener that behaves like that of Event Hubs.
fn event_hubs(secure: &Secure, topic: &str, more: &str) -> Pipeline {
    let address = &secure.address;
    landing(
        &format!(
            "[sources.events]\ntype = \"eventhubs\"\nnamespace = \"{address}\"\ntopics = [\"{topic}\"]\n\
             connection_string = \"env:HUBS\"\n{COLUMNS}\n{more}\n"
        ),
        "",
    )
}

fn secure(broker: &Broker) -> Option<&Secure> {
    if broker.secure.is_none() {
        crate::harness::skipped("the broker of SLUICE_KAFKA has no listener like that of Event Hubs");
    }
    broker.secure.as_ref()
}

/// The run failed, and says this to its user.
fn says(run: &Outcome, words: &[&str]) {
    assert_ne!(run.code, Some(0), "{run}");
    for word in words {
        assert!(run.stderr.contains(word), "`{word}` is not said\n{run}");
    }
}

#[test]
fn the_way_into_event_hubs_is_a_connection_string() {
    let Some(broker) = broker() else { return };
    let Some(secure) = secure(broker) else { return };
    let topic = broker.topic("hub", 2);
    broker.write(&topic, 0, ["{\"id\":1}", "{\"id\":2}"]);
    let ca = format!("ca = \"{}\"", secure.ca);
    let pipeline = event_hubs(secure, &topic, &ca);
    let run = pipeline.run_with(&[("HUBS", &secure.connection_string)]).ok();
    assert_eq!(run.hop("land")["rows_in"], 2, "{run}");
    // The secret is nowhere: neither said nor kept.
    assert!(!run.stderr.contains("SharedAccessKey=") && !run.stdout.contains("SharedAccessKey="), "{run}");
    for entry in std::fs::read_dir(pipeline.lake.path().join("_pipelines")).unwrap() {
        let kept = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(kept.contains("env:HUBS") && !kept.contains("SharedAccessKey"), "{kept}");
    }

    let wrong = pipeline.run_with(&[("HUBS", "Endpoint=sb://localhost/;SharedAccessKey=wrong=")]);
    says(&wrong, &["the broker refuses", "Invalid username or password", "hint: check the name and the password"]);
    assert!(!wrong.stderr.contains("wrong="), "{wrong}");
    let absent = pipeline.run();
    says(&absent, &["there is no secret at `env:HUBS`: the variable is not set"]);
    let strange = event_hubs(secure, &topic, "").run_with(&[("HUBS", &secure.connection_string)]);
    says(&strange, &["no encrypted connection to the broker", "certificate", "name that in `ca`"]);
}

#[test]
fn a_topic_that_is_not_there_is_named() {
    let Some(broker) = broker() else { return };
    let topic = broker.topic("present", 1);
    let run = landing(&source(broker, &[&format!("{topic}x")], COLUMNS), "").run();
    says(&run, &[&format!("there is no topic `{topic}x`"), &format!("did you mean `{topic}`?")]);
}

#[test]
fn nobody_at_the_address_is_said() {
    // A port that was free a moment ago, on which nobody listens.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text =
        format!("[sources.events]\ntype = \"kafka\"\nbrokers = \"127.0.0.1:{port}\"\ntopics = [\"t\"]\n{COLUMNS}\n");
    let run = landing(&text, "").run();
    says(&run, &["no broker answers at 127.0.0.1", "Connection refused", "check the address"]);
}

#[test]
fn messages_that_are_gone_stop_the_run_or_are_passed_over_as_told() {
    let Some(broker) = broker() else { return };
    let topic = broker.topic("expired", 1);
    let body = |id: i32| format!("{{\"id\":{id}}}");
    broker.write(&topic, 0, (0..100).map(body));
    let pipeline = landing(&source(broker, &[&topic], COLUMNS), "");
    assert_eq!(pipeline.run().ok().hop("land")["rows_in"], 100);
    broker.write(&topic, 0, (100..200).map(body));
    broker.expire(&topic, 0, 150);
    let run = pipeline.run();
    says(&run, &["goes on at 100", "the oldest message that is kept is 150: 50 are gone", "on_lost = \"earliest\""]);
    pipeline.change(|text| text.replace("format =", "on_lost = \"earliest\"\nformat ="));
    let run = pipeline.run().ok();
    assert_eq!(run.hop("land")["rows_in"], 50, "{run}");
    assert!(run.stderr.contains("messages are gone that nobody took"), "{run}");
}

#[test]
fn a_topic_made_anew_is_not_taken_for_the_old_one() {
    let Some(broker) = broker() else { return };
    let topic = broker.topic("anew", 1);
    broker.write(&topic, 0, (0..10).map(|id| format!("{{\"id\":{id}}}")));
    let pipeline = landing(&source(broker, &[&topic], COLUMNS), "");
    pipeline.run().ok();
    broker.remove_topic(&topic);
    broker.make_topic(&topic, 1, &[]);
    broker.write(&topic, 0, ["{\"id\":0}"]);
    says(&pipeline.run(), &["was taken up to 10, and the broker has it only up to 1", "set `reset = 1`"]);
    pipeline.change(|text| text.replace("format =", "reset = 1\nformat ="));
    assert_eq!(pipeline.run().ok().hop("land")["rows_in"], 1, "the new topic is read from its beginning");
    broker.write(&topic, 0, ["{\"id\":1}"]);
    assert_eq!(pipeline.run().ok().hop("land")["rows_in"], 1, "and goes on as any other");
}
