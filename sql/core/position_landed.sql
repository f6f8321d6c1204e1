-- makegood: position_landed
-- Whether a batch wrote the step it meant to write.
SELECT
FROM makegood.positions
WHERE consumer_group = $1 AND topic_id = $2 AND partition = $3 AND step = $4 AND writer = $5
