-- makegood: gap_newest_open
-- One that was found while the clock was ahead counts as found now, and so from the next look on.
WITH ahead AS (
    UPDATE makegood.gaps
    SET found_at = clock_timestamp()
    WHERE route_id = $1 AND covered_at IS NULL AND found_at > clock_timestamp() + interval '1 second'
)
SELECT max(found_at) AS found_at
FROM makegood.gaps
WHERE route_id = $1 AND covered_at IS NULL AND found_at <= clock_timestamp() + interval '1 second'
