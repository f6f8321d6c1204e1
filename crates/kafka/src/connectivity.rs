//! Whether the addresses that the brokers advertise can be reached from here. The commonest way for
//! a first start to fail is a broker that answers and then sends its clients to `localhost:9092`.

use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};

use super::complaint::{Asker, attend, listen};
use super::settings;
use rules::problem::{Code, Problem};

/// Asks a bootstrap server for the brokers and tries to connect to each address they advertise.
/// Blocks for at most `timeout` for the answer and as long again for each broker.
pub fn check(kafka: &config::Kafka, timeout: Duration) -> Result<(), Problem> {
    let settings = settings::base(kafka, "makegood-check");
    let client: BaseConsumer<Asker> = settings
        .create_with_context(Asker::default())
        .map_err(|e| super::unusable(&settings, &e))?;
    attend(client.client(), &settings);
    let metadata = client.fetch_metadata(None, timeout).map_err(|e| {
        listen(&client);
        let (at, reason) = (&kafka.bootstrap_servers, super::reason(&e));
        let cause = format!("no Kafka broker answers at {at}: {reason}");
        client.context().complaint.explain(Problem::new(Code::KafkaUnreachable, cause).advice(
            "is Kafka running, and is kafka.bootstrap_servers (KAFKA_BOOTSTRAP_SERVERS) right?\n\
             if the broker wants TLS or a login, see security.protocol in [kafka.properties]",
        ))
    })?;
    if metadata.brokers().is_empty() {
        // A broker that has just started answers before its controller lets it in.
        return Err(Problem::new(
            Code::KafkaUnreachable,
            format!("{} answers, but knows of no broker in service", kafka.bootstrap_servers),
        )
        .advice("a broker that starts is let in within seconds; if it lasts, look at its log"));
    }
    for broker in metadata.brokers() {
        let (host, port) = (broker.host(), broker.port());
        if let Err(cause) = connect(host, port, timeout) {
            return Err(unreachable(kafka, broker.id(), host, port, &cause));
        }
    }
    Ok(())
}

fn connect(host: &str, port: i32, timeout: Duration) -> Result<(), String> {
    let port = u16::try_from(port).map_err(|_| format!("{port} is no port"))?;
    let mut last = "the name has no address".to_owned();
    for address in (host, port).to_socket_addrs().map_err(|e| e.to_string())? {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(_) => return Ok(()),
            Err(e) => last = e.to_string(),
        }
    }
    Err(last)
}

fn unreachable(kafka: &config::Kafka, id: i32, host: &str, port: i32, cause: &str) -> Problem {
    let local = if is_loopback(host) {
        format!("; from this machine {host} is this machine itself, not the broker")
    } else {
        String::new()
    };
    Problem::new(
        Code::KafkaAdvertised,
        format!(
            "{} answers, but broker {id} advertises {host}:{port}, which cannot be reached from here ({cause}){local}",
            kafka.bootstrap_servers
        ),
    )
    .advice(
        "set advertised.listeners in the broker's server.properties to an address that its clients can reach,\n\
         or, in containers, give the broker a listener of its own for this network (KAFKA_ADVERTISED_LISTENERS)",
    )
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
