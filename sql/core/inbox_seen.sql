-- makegood: inbox_seen
-- Which of some event ids this route has taken in already, and what bytes they came with.
SELECT event_id, digest
FROM makegood.inbox
WHERE event_id = ANY ($1::uuid[]) AND route_id = $2
