-- makegood: lookup
--
-- Finds a payment and its purchase, for `makegood explain`. Add what people may see of them.
--
-- In:  $1 text  the id of a payment; anything else finds nothing
-- Out: part (`payment` or `purchase`), business_key, at, contents
WITH wanted AS MATERIALIZED (
{%- if let Some(pattern) = d.key_pattern %}
    SELECT CASE WHEN $1::text ~ '{{ pattern }}' THEN $1::text::{{ d.key.kind }} END AS mg_key
{%- else %}
    SELECT $1::text AS mg_key
{%- endif %}
)
SELECT 'payment' AS part, p.{{ d.key.payment }}::text AS business_key, {{ d.at_of("p.") }} AS at,
       pg_catalog.jsonb_build_object('status', p.{{ d.status }}) || {{ d.contents_of_payment("p.") }} AS contents
FROM {{ d.payments }} p
JOIN wanted ON p.{{ d.key.payment }} = wanted.mg_key
UNION ALL
SELECT 'purchase', s.{{ d.key.purchase }}::text,
       {% if let Some(c) = d.purchased_at %}s.{{ c }}{% else %}NULL::timestamptz{% endif %},
       {{ d.contents("s.") }}
FROM {{ d.purchases }} s
JOIN wanted ON s.{{ d.key.purchase }} = wanted.mg_key
