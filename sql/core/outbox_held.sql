-- makegood: outbox_held
-- Topics that take nothing while others do, those with the most events first, at most $1.
SELECT topic, events, reason, advice, greatest(extract(epoch FROM clock_timestamp() - held_since), 0)::double precision AS held_for
FROM makegood.outbox_held_topics
ORDER BY events DESC, topic
LIMIT $1
