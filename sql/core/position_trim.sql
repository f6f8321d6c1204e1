-- makegood: position_trim
-- Steps nobody needs any more; the newest ones stay, also to tell whether an unanswered commit landed, and
-- so do those of a person, who will be asked about them.
DELETE FROM makegood.positions
WHERE consumer_group = $1 AND topic_id = $2 AND partition = $3 AND step < $4 AND (why IS NULL OR why NOT LIKE 'reset by %')
