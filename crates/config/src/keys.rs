//! Every key there is. `[]` stands for each table of a list, `*` for a name of the operator's own.

/// The keys, in the order they are shown.
pub const KEYS: &[&str] = &[
    "postgres.url",
    "postgres.pooler",
    "postgres.direct_url",
    "postgres.password_command",
    "kafka.bootstrap_servers",
    "kafka.token_command",
    "kafka.msk_region",
    "kafka.properties.*",
    "http.listen",
    "http.explain",
    "http.token",
    "http.open",
    "http.hosts",
    "inbox[].name",
    "inbox[].topic",
    "inbox[].group",
    "inbox[].event_type",
    "inbox[].other_types",
    "inbox[].mapping",
    "inbox[].start",
    "inbox[].allow_skip",
    "inbox[].envelopes",
    "inbox[].id_from",
    "inbox[].type_from",
    "inbox[].max_record",
    "inbox[].suspects",
    "inbox[].verify_payment",
    "inbox[].max_quarantine",
    "inbox[].lanes",
    "inbox[].batch.rows",
    "inbox[].batch.bytes",
    "inbox[].batch.linger",
    "reconcile[].name",
    "reconcile[].inbox",
    "reconcile[].source",
    "reconcile[].every",
    "reconcile[].grace",
    "reconcile[].sweep",
    "reconcile[].window",
    "reconcile[].max_backfill.rows",
    "reconcile[].max_backfill.share",
    "reconcile[].max_backfill.share_from",
    "outbox.enabled",
    "outbox.database",
    "outbox.shards",
    "watchdog.patience",
    "retention.inbox",
    "retention.outbox",
    "migrate.mode",
    "databases.*.url",
    "databases.*.pooler",
    "databases.*.direct_url",
    "databases.*.password_command",
    "alert.webhook",
    "alert.command",
    "alert.after",
    "alert.repeat",
    "log.level",
    "log.format",
];

/// The variable that sets a key, `None` for keys with a name of the operator's own:
/// `inbox[].batch.rows` is `MAKEGOOD_INBOX_BATCH_ROWS`.
pub fn variable(key: &str) -> Option<String> {
    let name = key.replace("[]", "").replace('.', "_").to_uppercase();
    (!key.contains('*')).then(|| format!("MAKEGOOD_{name}"))
}

/// What may stand below a prefix (empty for the top): the next part of each key that starts so.
pub fn below(prefix: &str) -> Vec<&'static str> {
    let mut parts: Vec<&str> = KEYS
        .iter()
        .filter_map(|key| match prefix {
            "" => Some(*key),
            _ => key.strip_prefix(prefix)?.strip_prefix('.'),
        })
        .map(|rest| rest.split('.').next().unwrap_or(rest))
        .collect();
    parts.dedup();
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_a_key_is_known_below_the_one_before() {
        assert_eq!(below("inbox[].batch"), ["rows", "bytes", "linger"]);
        assert_eq!(below("databases"), ["*"]);
        assert_eq!(below("http.listen"), [""; 0]);
        assert!(below("").contains(&"inbox[]"));
    }
}
