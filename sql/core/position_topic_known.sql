-- makegood: position_topic_known
-- Whether this group has read this topic name before: under this id, and under any other.
SELECT coalesce(bool_or(topic_id = $3), false) AS this_id, coalesce(bool_or(topic_id <> $3), false) AS another_id
FROM makegood.positions
WHERE consumer_group = $1 AND topic = $2
