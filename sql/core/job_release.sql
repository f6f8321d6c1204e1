-- makegood: job_release
UPDATE makegood.jobs SET lease_owner = NULL, lease_until = NULL WHERE lease_owner = $1
