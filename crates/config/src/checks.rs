//! What may not be configured, each with its reason.

use std::collections::BTreeMap;

use super::mistake::did_you_mean;
use super::reader::ConfigReader;
use super::{Config, Start, show_duration};

/// Notes every breach as a mistake at the value's origin.
pub fn check(config: &Config, from: &mut ConfigReader) {
    routes(config, from);
    jobs(config, from);
    http(config, from);
    search(config, from);
    if let Some(name) = &config.outbox.database
        && !config.databases.contains_key(name)
    {
        let what = format!("`outbox.database` names `{name}`, which is not configured");
        from.wrong("outbox.database", what, format!("add [databases.{name}] with its url"));
    }
    if config.outbox.enabled && config.outbox_database().with_session().is_none() {
        let section = config.outbox.database.as_ref().map(|name| format!("databases.{name}"));
        let section = section.unwrap_or_else(|| "postgres".to_owned());
        let what = "the relay of the outbox needs a session of its own, and a pooler in transaction mode gives none";
        let fix =
            format!("set {section}.direct_url to PostgreSQL itself, or outbox.enabled = false");
        from.wrong(&format!("{section}.pooler"), what, fix);
    }
    retention(config, from);
    if config.kafka.msk_region.is_some() && !config.kafka.token_command.is_empty() {
        let what = "kafka.token_command gives tokens too";
        from.wrong("kafka.msk_region", what, "keep one of the two");
    }
    for (property, value) in &config.kafka.properties {
        if let Some((why, fix)) = refused(property, value) {
            let key = format!("kafka.properties.{property}");
            from.wrong(&key, format!("`{property}` cannot be set so: {why}"), fix);
        }
    }
}

/// A published event can be sent again for as long as its row is there, which the inbox must outlast.
fn retention(config: &Config, from: &mut ConfigReader) {
    let (inbox, outbox) = (config.retention.inbox, config.retention.outbox);
    let longest = outbox.saturating_mul(3) / 2;
    // One that could not be read is told of by itself.
    let are_read = !inbox.is_zero() && !outbox.is_zero();
    if config.outbox.enabled && are_read && inbox <= longest {
        let what = format!(
            "retention.inbox ({}) is not longer than a published event may be there and sent again, which is one and a \
             half times retention.outbox ({})",
            show_duration(inbox),
            show_duration(longest)
        );
        let fix = format!("set retention.inbox to more than {}", show_duration(longest));
        from.wrong("retention.inbox", what, fix);
    }
}

fn routes(config: &Config, from: &mut ConfigReader) {
    let mut names = BTreeMap::new();
    let mut readers = BTreeMap::new();
    for (index, route) in config.inbox.iter().enumerate() {
        let key = |part: &str| format!("inbox[{index}].{part}");
        named(from, &key("name"), &route.name);
        if let Some(first) = names.insert(&route.name, index).filter(|_| !route.name.is_empty()) {
            let what = format!("route {} is called `{}` too", first + 1, route.name);
            from.wrong(&key("name"), what, "give each route a name of its own");
        }
        let pair = (&route.group, &route.topic);
        if let Some(first) = readers.insert(pair, index).filter(|_| !route.topic.is_empty()) {
            let what = format!(
                "route {} reads topic `{}` in group `{}` too; each would get only some partitions",
                first + 1,
                route.topic,
                route.group
            );
            from.wrong(&key("group"), what, "give each route a group of its own");
        }
        if route.start == Start::Latest && !route.allow_skip {
            let what = "start = \"latest\" skips paid events that arrived before the first commit";
            let fix = "write start = \"earliest\", or add allow_skip = true if that is meant";
            from.wrong(&key("start"), what, fix);
        }
    }
}

fn jobs(config: &Config, from: &mut ConfigReader) {
    let routes: Vec<&str> = config.inbox.iter().map(|route| route.name.as_str()).collect();
    let mut names = BTreeMap::new();
    for (index, job) in config.reconcile.iter().enumerate() {
        let key = |part: &str| format!("reconcile[{index}].{part}");
        named(from, &key("name"), &job.name);
        if names.insert(&job.name, index).is_some_and(|_| !job.name.is_empty()) {
            from.wrong(&key("name"), "two jobs have this name", "give each its own");
        }
        if let Some(name) = job.source.as_ref().filter(|name| !config.databases.contains_key(*name))
        {
            let what =
                format!("job `{}` names `{name}` as its source, which is not configured", job.name);
            from.wrong(&key("source"), what, format!("add [databases.{name}] with its url"));
        }
        if !routes.contains(&job.inbox.as_str()) && !job.inbox.is_empty() {
            let what =
                format!("job `{}` names a route that does not exist: {}", job.name, job.inbox);
            from.wrong(&key("inbox"), what, did_you_mean(&job.inbox, &routes));
        }
    }
}

fn named(from: &mut ConfigReader, key: &str, name: &str) {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !name.chars().all(fits) {
        let what = format!("`{name}` is no name");
        from.wrong(key, what, "use only a-z, 0-9 and -");
    }
}

fn http(config: &Config, from: &mut ConfigReader) {
    if config.http.is_reachable() && config.http.token.is_none() && !config.http.open {
        let what = "`http.listen` lets other machines ask, and nothing keeps them from it";
        let fix = "set http.token (MAKEGOOD_HTTP_TOKEN_FILE names a file with it), or say open = true in [http] where a \
                   firewall or a proxy with a login does that";
        from.wrong("http.listen", what, fix);
    }
}

fn search(config: &Config, from: &mut ConfigReader) {
    let http = &config.http;
    if http.search && http.token.is_none() && !http.open {
        let what = "`http.search` shows anybody's payments to whoever reaches the page, and nothing keeps strangers from it";
        let fix = "set http.token (MAKEGOOD_HTTP_TOKEN_FILE names a file with it), or say open = true in [http] where a \
                   proxy with a login does that";
        from.wrong("http.search", what, fix);
    }
    if http.search && !http.explain {
        let what = "`http.search` is on, and `http.explain` is off";
        from.wrong("http.search", what, "write explain = true in [http] too");
    }
}

/// Why a librdkafka property would break the promise, and what to do instead.
fn refused(property: &str, value: &str) -> Option<(&'static str, &'static str)> {
    const OWN: &str = "makegood sets it itself; remove it";
    let above = |limit: u64| value.parse::<u64>().is_ok_and(|number| number > limit);
    let below = |limit: u64| value.parse::<u64>().is_ok_and(|number| number < limit);
    let none_of = |allowed: &[&str]| {
        !value.split(',').all(|one| allowed.contains(&one.trim().to_lowercase().as_str()))
    };
    Some(match property {
        "bootstrap.servers" | "metadata.broker.list" => {
            ("it has a key of its own", "write it as bootstrap_servers in [kafka]")
        }
        "group.id" => ("it belongs to a route", "write it as group in [[inbox]]"),
        "group.instance.id" => ("with static membership a dead member keeps its partitions", OWN),
        "group.protocol" => ("the newer protocol has open stalls in this client", OWN),
        "enable.auto.commit" | "auto.commit.enable" | "enable.auto.offset.store" => {
            ("it would commit what is not yet in PostgreSQL", OWN)
        }
        "auto.offset.reset" => ("it would skip payments silently", "write start in [[inbox]]"),
        "enable.partition.eof" => ("the watchdog tells by it what is left to read", OWN),
        "partitioner" => ("a key's events would change their partition and lose order", OWN),
        "partition.assignment.strategy" if none_of(&["range", "roundrobin"]) => {
            ("cooperative assignment is not supported", "use range or roundrobin")
        }
        "max.poll.interval.ms" if above(45_000) => {
            ("a stuck member would hold its partitions for that long", "use at most 45000")
        }
        "isolation.level" if value == "read_uncommitted" => {
            ("it reads events whose transaction was aborted", "remove it")
        }
        "enable.idempotence" if value == "false" => {
            ("retries would reorder and repeat events", "remove it")
        }
        "message.timeout.ms" | "delivery.timeout.ms" | "message.send.max.retries" | "retries" => {
            ("events would be given up while no broker takes them", "remove it")
        }
        "queuing.strategy" => ("events of one key would lose their order", "remove it"),
        "max.in.flight" | "max.in.flight.requests.per.connection" if above(5) => {
            ("the broker keeps the order of five requests", "use at most 5")
        }
        // As much as makegood.publish takes, with makegood's own headers.
        "message.max.bytes" if below(1_000_000) => {
            ("events that makegood.publish takes would be parked", "use at least 1000000")
        }
        "enable.gapless.guarantee" => ("events of one key would lose their order", OWN),
        "delivery.report.only.error" => ("makegood would not hear what was delivered", "remove it"),
        "queue.buffering.max.messages" | "queue.buffering.max.kbytes" => {
            ("makegood bounds what is on its way by itself", "remove it")
        }
        "transactional.id" => ("the relay has no transactions", "remove it"),
        "acks" | "request.required.acks" if !["all", "-1"].contains(&value) => {
            ("a broker's crash would lose published events", "remove it")
        }
        _ => return None,
    })
}
