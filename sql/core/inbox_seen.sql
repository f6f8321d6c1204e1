-- makegood: inbox_seen
-- Which of some events this route has taken in already, and what bytes they came with. One look-up an id and table:
-- `= ANY` reads the whole inbox while the statistics still take it for small.
-- Events that were taken in so long ago that their row was removed are looked up by id and bytes, if their own time says
-- that they may be as old as that: the turn before this one is longer than a clock is wrong.
SELECT i.event_id, i.digest
FROM unnest($1::uuid[]) AS wanted (event_id)
CROSS JOIN LATERAL (
    SELECT seen.event_id, seen.digest
    FROM makegood.inbox seen
    WHERE seen.event_id = wanted.event_id AND seen.route_id = $2 AND seen.slot = ANY ($5::smallint[])
    LIMIT 1
) i
UNION ALL
SELECT old.event_id, old.digest
FROM unnest($1::uuid[], $3::bytea[], $4::timestamptz[]) AS old (event_id, digest, at)
WHERE old.at < (
          SELECT t.began_at FROM makegood.inbox_turns t
          WHERE EXISTS (SELECT FROM makegood.inbox_turns noted WHERE noted.noted_at IS NOT NULL)
          ORDER BY t.turn DESC OFFSET 1 LIMIT 1
      )
      AND makegood.has_ended($2, 'event', makegood.ended_key(uuid_send(old.event_id) || old.digest))
