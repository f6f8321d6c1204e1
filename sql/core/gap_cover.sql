-- makegood: gap_cover
-- Run $2 has compared, and made good, everything that became paid before $3. A record that was there when
-- its gap was found tells of a payment from before then.
UPDATE makegood.gaps
SET covered_at = clock_timestamp(), covered_how = 'sweep', covered_run = $2
WHERE route_id = $1 AND covered_at IS NULL AND found_at <= $3
RETURNING partition, from_offset, to_offset
