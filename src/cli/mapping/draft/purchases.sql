{% if let Some(c) = d.purchased_at -%}
-- makegood: purchases
-- makegood: index {{ d.purchases }} ({{ c }}, {{ d.key.purchase }})
--
-- Reads purchases, to be compared with the rows of payments.sql: where the payments are in another database, and by a shadow.
-- sql/purchases/purchases.sql of the source says more.
--
-- In:  as in payments.sql, by the purchases' own times
-- Out: business_key, at, terms
SELECT mg_key::text AS business_key, mg_at AS at, {{ d.contents("") }} AS terms
FROM (
    (
        SELECT {{ d.key.purchase }} AS mg_key, {{ c }} AS mg_at{{ d.columns("") }}
        FROM {{ d.purchases }}
        WHERE $5::text[] IS NULL
              AND ({{ c }}, {{ d.key.purchase }}) > (coalesce($1::timestamptz, '-infinity'),
                                                coalesce($2::text, {{ d.first_key }})::{{ d.key.kind }})
              AND {{ c }} < $3::timestamptz
        ORDER BY {{ c }}, {{ d.key.purchase }}
        LIMIT $4::bigint
    )
    UNION ALL
    (
        SELECT {{ d.key.purchase }}, {{ c }}{{ d.columns("") }}
        FROM {{ d.purchases }}
        WHERE $5::text[] IS NULL AND $1::timestamptz = 'infinity' AND ({{ c }} IS NULL OR {{ c }} = 'infinity')
              AND ($2::text IS NULL OR {{ d.key.purchase }} > $2::text::{{ d.key.kind }})
        ORDER BY {{ d.key.purchase }}
        LIMIT $4::bigint
    )
    UNION ALL
    SELECT {{ d.key.purchase }}, {{ c }}{{ d.columns("") }}
    FROM {{ d.purchases }}
    WHERE {{ d.key.purchase }} = ANY ($5::text[]::{{ d.key.kind }}[])
) page
ORDER BY mg_at, mg_key
{% endif -%}
