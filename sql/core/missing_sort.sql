-- makegood: missing_sort
-- What makegood knows of payments that have no purchase; those it knows nothing of are not in the answer.
--   gone       it had one once: the inbox took its event in, or a run made it good
--   refused    its event is in quarantine
--   ignored    the mapping ignores its event
--   dismissed  a person has decided that it stays without
SELECT key,
       CASE WHEN dismissed THEN 'dismissed' WHEN had OR made THEN 'gone' WHEN refused THEN 'refused' ELSE 'ignored' END
FROM (
    SELECT k.key, i.had, f.dismissed, f.refused, f.made
    FROM pg_catalog.unnest($3::text[]) k (key)
    LEFT JOIN LATERAL (
        SELECT bool_or(outcome <> 'ignored') AS had
        FROM makegood.inbox
        WHERE business_key = k.key AND route_id = $1
    ) i ON true
    LEFT JOIN LATERAL (
        SELECT bool_or(resolution = 'dismissed') AS dismissed,
               bool_or(resolution = 'made_good') AS made,
               bool_or(resolved_at IS NULL AND quarantine_id IS NOT NULL) AS refused
        FROM makegood.findings
        WHERE business_key = k.key AND job = $2 AND kind IN ('missing', 'gone')
    ) f ON true
) known
WHERE dismissed OR had IS NOT NULL OR made OR refused
