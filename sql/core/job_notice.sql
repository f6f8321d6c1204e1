-- makegood: job_notice
UPDATE makegood.jobs SET notice = $2 WHERE name = $1 AND notice IS DISTINCT FROM $2
