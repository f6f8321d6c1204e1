-- makegood: inbox_note_reach
-- How far the rows of slot $2, those of turn $1, reached.
INSERT INTO makegood.inbox_reach (turn, route_id, partition, last_offset)
SELECT $1, i.route_id, i.partition, max(i."offset")
FROM makegood.inbox i
WHERE i.slot = $2 AND i.partition IS NOT NULL
GROUP BY i.route_id, i.partition
