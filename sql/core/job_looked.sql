-- makegood: job_looked
UPDATE makegood.jobs SET look_at = $2, looked_at = $3 WHERE name = $1
