//! Sends generated events to a broker or an HTTP server.

use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use sluicebox_core::plan::{KafkaConnection, Mechanism, Sasl, Secret, Security, SimulateSpec};
use sluicebox_simulate::{self as simulate, Events};
use sluicebox_sources::SourceError;
use sluicebox_sources::kafka::{Outgoing, Producer};
use sluicebox_sources::post::Poster;

/// Events generated at once.
const BATCH: u64 = 8_192;

/// Events that are due within this time are sent together.
const TICK: Duration = Duration::from_millis(20);

/// Sends a dataset, at its rate.
pub(super) fn send(
    spec: &SimulateSpec,
    mut to: impl FnMut(&Events) -> Result<(), SourceError>,
) -> Result<(), SourceError> {
    let began = Instant::now();
    let mut done = 0;
    while done < spec.rows {
        let mut end = spec.rows.min(done + BATCH);
        if spec.events.rate > 0 {
            let rate = spec.events.rate as f64;
            let next = began + Duration::from_secs_f64(done as f64 / rate) + TICK;
            simulate::wait(next);
            end = end.min(((began.elapsed().as_secs_f64() * rate) as u64).max(done + 1));
        }
        to(&Events::of(spec, done..end))?;
        done = end;
    }
    Ok(())
}

/// Writes events to a topic, which may have to be created; the client spreads them over its partitions.
pub(super) fn kafka(
    spec: &SimulateSpec,
    to: &KafkaConnection,
    topic: &str,
    partitions: Option<i32>,
    runtime: &Handle,
) -> Result<(), SourceError> {
    let producer = Producer::open("simulate", to)?;
    if let Some(partitions) = partitions {
        producer.make_topic(topic, partitions, runtime)?;
    }
    producer.find(topic)?;
    send(spec, |events| {
        events.iter().try_for_each(|event| producer.send(Outgoing { topic, body: Some(event), ..Outgoing::default() }))
    })?;
    producer.flush()
}

/// Posts events, all that are due in one request.
pub(super) fn http(spec: &SimulateSpec, poster: &Poster) -> Result<(), SourceError> {
    send(spec, |events| {
        let mut lines = Vec::new();
        for event in events.iter() {
            lines.extend_from_slice(event);
            lines.push(b'\n');
        }
        poster.post(lines)
    })
}

/// The connection to brokers: plain, or as Event Hubs requires with a connection string.
pub(super) fn connection(brokers: &str, connection_string: Option<Secret>) -> KafkaConnection {
    let user = "$ConnectionString".to_owned();
    let security = match connection_string {
        Some(password) => {
            let sasl = Sasl::Password { mechanism: Mechanism::Plain, user, password };
            Security { tls: true, ca: None, sasl: Some(sasl) }
        }
        None => Security { tls: false, ca: None, sasl: None },
    };
    KafkaConnection { brokers: brokers.to_owned(), event_hubs: security.tls, security }
}
