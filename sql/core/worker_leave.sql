-- makegood: worker_leave
-- This daemon's row, and the rows of daemons that died without leaving.
DELETE FROM makegood.workers
WHERE id = $1 OR NOT seen_at BETWEEN now() - interval '1 day' AND now() + interval '1 minute'
