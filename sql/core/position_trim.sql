-- makegood: position_trim
-- Steps nobody needs any more; the newest ones stay, also to tell whether an unanswered commit landed.
DELETE FROM makegood.positions
WHERE consumer_group = $1 AND topic_id = $2 AND partition = $3 AND step < $4
