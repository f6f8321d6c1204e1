-- makegood: missing
-- makegood: index {{ d.payments }} ({{ d.paid_at }}, {{ d.key.payment }}, {{ d.status }})
--
-- Finds payments that succeeded and have no purchase, for the reconciler: each as an event of the topic's own shape, which
-- then goes through apply.sql.
{% if d.paid_at_is_zoneless -%}
-- {{ d.paid_at }} has no zone and is taken for UTC. If your payment service writes it in another one, name that here.
{% endif -%}
--
-- In:  $1, $2 the time and the key to go on behind; $3 the end; $4 how many; $5 these keys, whatever the others say;
--      $6, $7 the words that mean paid and refunded
-- Out: business_key, paid_at, event, compared: a row a payment without a purchase, and one without an event for the last one
--      that was looked at. sql/purchases/missing.sql of the source says more.
WITH ahead AS NOT MATERIALIZED (
    SELECT {{ d.key.payment }} AS mg_key, {{ d.at() }} AS mg_at
    FROM {{ d.payments }}
    WHERE $5::text[] IS NULL AND {{ d.status }}::text = ANY ($6::text[])
          AND ({{ d.paid_at }}, {{ d.key.payment }}) > ({{ d.bound("coalesce($1::timestamptz, '-infinity')") }},
                                  coalesce($2::text, {{ d.first_key }})::{{ d.key.kind }})
          AND {{ d.paid_at }} < {{ d.bound("$3::timestamptz") }}
), timeless AS MATERIALIZED (
    SELECT {{ d.key.payment }} AS mg_key, {{ d.at() }} AS mg_at
    FROM {{ d.payments }}
    WHERE $5::text[] IS NULL AND $1::timestamptz = 'infinity' AND {{ d.status }}::text = ANY ($6::text[])
          AND ({{ d.paid_at }} IS NULL OR {{ d.paid_at }} = 'infinity')
          AND ($2::text IS NULL OR {{ d.key.payment }} > $2::text::{{ d.key.kind }})
    ORDER BY {{ d.key.payment }}
    LIMIT $4::bigint
), page AS NOT MATERIALIZED (
    (SELECT mg_key, mg_at FROM ahead ORDER BY mg_at, mg_key LIMIT $4::bigint)
    UNION ALL
    SELECT mg_key, mg_at FROM timeless
    UNION ALL
    SELECT {{ d.key.payment }}, {{ d.at() }}
    FROM {{ d.payments }}
    WHERE {{ d.status }}::text = ANY ($6::text[]) AND {{ d.key.payment }} = ANY ($5::text[]::{{ d.key.kind }}[])
), full_page AS MATERIALIZED (
    SELECT mg_key, mg_at, $4::bigint AS compared FROM ahead ORDER BY mg_at, mg_key OFFSET $4::bigint - 1 LIMIT 1
), edge AS MATERIALIZED (
    SELECT mg_key, mg_at, compared FROM full_page
    UNION ALL
    (
        SELECT mg_key, mg_at, (SELECT count(*) FROM page)
        FROM ahead
        WHERE NOT EXISTS (SELECT FROM full_page)
        ORDER BY mg_at DESC, mg_key DESC
        LIMIT 1
    )
    UNION ALL
    (SELECT mg_key, mg_at, (SELECT count(*) FROM timeless) FROM timeless ORDER BY mg_key DESC LIMIT 1)
)
SELECT page.mg_key::text AS business_key, page.mg_at AS paid_at,
       {{ d.event("page.mg_key", "p.", "page.mg_at") }} AS event,
       NULL::bigint AS compared
FROM page
LEFT JOIN LATERAL (
    SELECT {{ d.key.purchase }} FROM {{ d.purchases }} WHERE {{ d.key.purchase }} = page.mg_key LIMIT 1
) s ON true
CROSS JOIN LATERAL (
    SELECT {{ d.key.payment }} AS mg_id{{ d.taken("") }} FROM {{ d.payments }} WHERE {{ d.key.payment }} = page.mg_key LIMIT 1
) p
WHERE s.{{ d.key.purchase }} IS NULL
UNION ALL
SELECT mg_key::text, mg_at, NULL, compared FROM edge
