-- makegood: status_suspects
-- The suspects of each route, and what the oldest was refused for.
SELECT s.route, pg_catalog.count(*) AS records, pg_catalog.min(s.refused_at) AS since,
       (pg_catalog.array_agg(s.detail ORDER BY s.id))[1] AS detail, (pg_catalog.array_agg(s.advice ORDER BY s.id))[1] AS advice
FROM makegood.suspects s
WHERE s.state <> 'unverified'
GROUP BY s.route
