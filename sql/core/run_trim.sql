-- makegood: run_trim
-- Scheduled runs that found nothing, once they are a week old.
SELECT makegood.trim_runs($1)
