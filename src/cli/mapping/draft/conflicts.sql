-- makegood: conflicts
-- makegood: index {{ d.payments }} ({{ d.paid_at }}, {{ d.key.payment }}, {{ d.status }})
{% if let Some(c) = d.purchased_at -%}
-- makegood: index {{ d.purchases }} ({{ c }}, {{ d.key.purchase }})
--
-- Finds payments and purchases that contradict each other, for people: makegood records them and changes nothing.
-- sql/purchases/conflicts.sql of the source says more, and is quicker with many millions of payments.
--
-- In:  as in missing.sql; the order is that of both the payments' and the purchases' times
-- Out: business_key, at, kind, expected, found, compared: a row a contradiction, and one without a kind for the last key
WITH page AS MATERIALIZED (
    (
        SELECT mg_at, mg_key
        FROM (
            (
                SELECT {{ d.at() }} AS mg_at, {{ d.key.payment }} AS mg_key
                FROM {{ d.payments }}
                WHERE $5::text[] IS NULL
                      AND ({{ d.paid_at }}, {{ d.key.payment }}) > ({{ d.bound("coalesce($1::timestamptz, '-infinity')") }},
                                              coalesce($2::text, {{ d.first_key }})::{{ d.key.kind }})
                      AND {{ d.paid_at }} < {{ d.bound("$3::timestamptz") }}
                ORDER BY {{ d.paid_at }}, {{ d.key.payment }}
                LIMIT $4::bigint
            )
            UNION ALL
            (
                SELECT {{ c }}, {{ d.key.purchase }}
                FROM {{ d.purchases }}
                WHERE $5::text[] IS NULL
                      AND ({{ c }}, {{ d.key.purchase }}) > (coalesce($1::timestamptz, '-infinity'),
                                                        coalesce($2::text, {{ d.first_key }})::{{ d.key.kind }})
                      AND {{ c }} < $3::timestamptz
                ORDER BY {{ c }}, {{ d.key.purchase }}
                LIMIT $4::bigint
            )
        ) both_tables
        ORDER BY mg_at, mg_key
        LIMIT $4::bigint
    )
    UNION ALL
    (
        SELECT 'infinity', mg_key
        FROM (
            SELECT {{ d.key.payment }} AS mg_key
            FROM {{ d.payments }}
            WHERE $5::text[] IS NULL AND $1::timestamptz = 'infinity' AND ({{ d.paid_at }} IS NULL OR {{ d.paid_at }} = 'infinity')
            UNION
            SELECT {{ d.key.purchase }}
            FROM {{ d.purchases }}
            WHERE $5::text[] IS NULL AND $1::timestamptz = 'infinity' AND ({{ c }} IS NULL OR {{ c }} = 'infinity')
        ) timeless
        WHERE $2::text IS NULL OR mg_key > $2::text::{{ d.key.kind }}
        ORDER BY mg_key
        LIMIT $4::bigint
    )
    UNION ALL
    SELECT NULL, pg_catalog.unnest($5::text[]::{{ d.key.kind }}[])
), span AS MATERIALIZED (
    SELECT max(mg_at) AS mg_last, count(*) AS compared FROM page
), keys AS MATERIALIZED (
    SELECT DISTINCT mg_at, mg_key FROM page
), judged AS (
    SELECT keys.mg_key, greatest(p.mg_paid_at, s.mg_found_at) AS mg_at, p.mg_id IS NOT NULL AS mg_has_payment,
           CASE
               WHEN p.mg_id IS NULL THEN 'no_payment'
               WHEN p.mg_status = ANY ($7::text[]) THEN 'refunded'
               WHEN p.mg_status <> ALL ($6::text[]) THEN 'not_paid'
               WHEN NOT ({{ d.same("s", "p") }}) THEN 'differs'
               WHEN s.mg_found_at > greatest(pg_catalog.now() + interval '1 hour', p.mg_paid_at)
                    AND s.mg_found_at < 'infinity' THEN 'future'
           END AS kind,
           pg_catalog.jsonb_build_object('status', p.mg_status) || {{ d.contents("p.") }} AS expected,
           {{ d.contents("s.") }} AS found
    FROM keys
    CROSS JOIN LATERAL (
        SELECT {{ c }} AS mg_found_at{{ d.columns("") }} FROM {{ d.purchases }} WHERE {{ d.key.purchase }} = keys.mg_key LIMIT 1
    ) s
    LEFT JOIN LATERAL (
        SELECT {{ d.key.payment }} AS mg_id, {{ d.status }}::text AS mg_status, {{ d.at() }} AS mg_paid_at{{ d.taken("") }}
        FROM {{ d.payments }}
        WHERE {{ d.key.payment }} = keys.mg_key
        LIMIT 1
    ) p ON true
    -- A pair is in the order twice; it is told where the later of both is.
    WHERE keys.mg_at IS NULL OR keys.mg_at = coalesce(greatest(p.mg_paid_at, s.mg_found_at), 'infinity')
)
SELECT mg_key::text AS business_key, mg_at AS at, kind, CASE WHEN mg_has_payment THEN expected END AS expected, found,
       NULL::bigint AS compared
FROM judged
WHERE kind IS NOT NULL
UNION ALL
(
    SELECT page.mg_key::text, mg_last, NULL, NULL, NULL, span.compared
    FROM span
    JOIN page ON page.mg_at IS NOT DISTINCT FROM mg_last
    ORDER BY page.mg_key DESC
    LIMIT 1
)
{% endif -%}
