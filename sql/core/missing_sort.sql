-- makegood: missing_sort
-- What makegood knows of payments that have no purchase; those it knows nothing of are not in the answer.
--   gone       it had one once: the inbox took its event in, be the row removed since, or a run made it good
--   refused    its event is in quarantine
--   ignored    the mapping ignores the event made from it; one that came from Kafka may have told of a time
--              before it was paid, and settles nothing
--   dismissed  a person has decided that it stays without
-- A decision is about the payment, not the job that asked for it: it holds for every job of the route, and for
-- one that was renamed. A refused event is tried by each job, which links it to its own finding.
SELECT key,
       CASE WHEN dismissed THEN 'dismissed' WHEN had OR made THEN 'gone' WHEN refused THEN 'refused' ELSE 'ignored' END
FROM (
    SELECT k.key, i.had, i.ignored, f.dismissed, f.refused, f.made
    FROM unnest($3::text[]) k (key)
    LEFT JOIN LATERAL (
        SELECT bool_or(outcome <> 'ignored')
                   OR makegood.has_ended($1, 'had', makegood.ended_key(convert_to(k.key, 'UTF8'))) AS had,
               bool_or(outcome = 'ignored' AND origin = 'reconcile')
                   OR makegood.has_ended($1, 'ignored', makegood.ended_key(convert_to(k.key, 'UTF8'))) AS ignored
        FROM makegood.inbox
        WHERE business_key = k.key AND route_id = $1
    ) i ON true
    LEFT JOIN LATERAL (
        SELECT bool_or(resolution = 'dismissed') AS dismissed,
               bool_or(resolution = 'made_good') AS made,
               bool_or(job = $2 AND resolved_at IS NULL AND quarantine_id IS NOT NULL) AS refused
        FROM makegood.findings
        WHERE business_key = k.key AND kind IN ('missing', 'gone')
              AND job = ANY (ARRAY(SELECT name FROM makegood.jobs WHERE route_id = $1))
    ) f ON true
) known
WHERE dismissed OR had OR made OR refused OR ignored
