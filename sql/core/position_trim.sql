-- makegood: position_trim
-- Steps nobody needs any more: those more than $5 before the ones given. The newest ones stay, also to tell
-- whether an unanswered commit landed, and so do those of a person, who will be asked about them.
DELETE FROM makegood.positions p
USING unnest($3::integer[], $4::bigint[]) AS newest (partition, step)
WHERE p.consumer_group = $1 AND p.topic_id = $2 AND p.partition = newest.partition
      AND p.step < newest.step - $5 AND (p.why IS NULL OR p.why NOT LIKE 'reset by %')
