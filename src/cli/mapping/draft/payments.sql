-- makegood: payments
-- makegood: index {{ d.payments }} ({{ d.paid_at }}, {{ d.key.payment }}, {{ d.status }})
--
-- Reads payments: those of the events at hand ($5), which make a purchase only if their payment is paid and says the same
-- (verify_payment). sql/purchases/payments.sql of the source says more.
--
-- In:  as in missing.sql; all payments, paid or not
-- Out: business_key, at, state (`paid`, or another word), terms, event
SELECT mg_key::text AS business_key, mg_at AS at,
       CASE
           WHEN mg_status = ANY ($6::text[]) THEN 'paid'
           WHEN mg_status = ANY ($7::text[]) THEN 'refunded'
           ELSE 'not_paid'
       END AS state,
       {{ d.contents("") }} AS terms,
       CASE WHEN mg_status = ANY ($6::text[]) THEN
           {{ d.event("mg_key", "", "mg_at") }}
       END AS event
FROM (
    (
        SELECT {{ d.key.payment }} AS mg_key, {{ d.at() }} AS mg_at, {{ d.status }}::text AS mg_status{{ d.taken("") }}
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
        SELECT {{ d.key.payment }}, {{ d.at() }}, {{ d.status }}::text{{ d.taken("") }}
        FROM {{ d.payments }}
        WHERE $5::text[] IS NULL AND $1::timestamptz = 'infinity' AND ({{ d.paid_at }} IS NULL OR {{ d.paid_at }} = 'infinity')
              AND ($2::text IS NULL OR {{ d.key.payment }} > $2::text::{{ d.key.kind }})
        ORDER BY {{ d.key.payment }}
        LIMIT $4::bigint
    )
    UNION ALL
    SELECT {{ d.key.payment }}, {{ d.at() }}, {{ d.status }}::text{{ d.taken("") }}
    FROM {{ d.payments }}
    WHERE {{ d.key.payment }} = ANY ($5::text[]::{{ d.key.kind }}[])
) page
ORDER BY mg_at, mg_key
