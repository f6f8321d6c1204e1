-- makegood: job_statuses
UPDATE makegood.jobs SET statuses = $2, statuses_say = $3 WHERE name = $1
