-- makegood: worker_beat
-- The route has exactly one state at a time; `state_since` moves only when it changes. What a clock that was ahead
-- has written is no time.
INSERT INTO makegood.workers AS w (id, route_id, host, pid, version, state, reason, advice, partitions)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (id, route_id) DO UPDATE SET
    seen_at = now(), state = excluded.state, reason = excluded.reason, advice = excluded.advice,
    partitions = excluded.partitions,
    state_since = CASE WHEN w.state = excluded.state AND w.state_since <= now() THEN w.state_since ELSE now() END,
    started_at = least(w.started_at, now())
