-- makegood: outbox_status
SELECT shards::bigint, reason, advice, pending, pending_bytes,
       extract(epoch FROM oldest_age)::double precision AS oldest_age, in_flight, parked, refused, published, seen_at,
       extract(epoch FROM clock_timestamp() - seen_at)::double precision AS seen_age, remark,
       EXISTS (SELECT FROM makegood.outbox_cursor WHERE epoch > 0) AS was_relayed,
       pg_notification_queue_usage() AS notify_queue,
       (
           SELECT count(*)
           FROM pg_catalog.pg_stat_activity
           WHERE datname = current_database() AND application_name = 'makegood relay'
       ) AS sessions
FROM makegood.outbox_status
