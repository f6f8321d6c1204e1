-- makegood: gap_newest_open
SELECT max(found_at) AS found_at FROM makegood.gaps WHERE route_id = $1 AND covered_at IS NULL
