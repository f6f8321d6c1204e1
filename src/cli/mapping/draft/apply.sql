-- makegood: apply
-- makegood: business-key {{ d.purchases }}({{ d.key.purchase }}) {{ d.key.pointer }}
-- makegood: field {{ d.key.field }} {{ d.key.pointer }}
{% for t in d.terms -%}
-- makegood: field {{ t.field }} {{ t.pointer }}
{% endfor -%}
-- makegood: field timestamptz /occurredAt
-- makegood: paid {{ d.payments }}({{ d.status }}) {% if d.meaning.paid.is_empty() %}FILL_IN{% else %}{{ d.meaning.paid|join(", ") }}{% endif %}
{% if !d.meaning.refunded.is_empty() -%}
-- makegood: refunded {{ d.meaning.refunded|join(", ") }}
{% endif -%}
{% if !d.meaning.not_paid.is_empty() -%}
-- makegood: not-paid {{ d.meaning.not_paid|join(", ") }}
{% endif -%}
{% for w in d.meaning.unknown -%}
-- FILL_IN: "{{ w.text }}" is the status of {{ w.counted() }}: put that word into one of the lines paid, refunded or not-paid.
{% endfor -%}
--
-- Turns events into rows of {{ d.purchases }}. Drafted by `makegood mapping new` from the columns of {{ d.purchases }}
-- and {{ d.payments }}; it is yours to change.
{% if d.event_was_seen -%}
-- Where each value stands in an event (the field lines) was read from an event.
{% else -%}
-- No event was at hand: look whether each value stands in an event where its field line says.
{% endif -%}
--
-- In:  $1 uuid[] event ids, each once; $2 timestamptz[] the records' times; $3 text[] what is wrong with the first field of
--      an event that cannot be read as its type, or null; from $4 on one array for each field line, in their order
-- Out: one row an event: event_id, outcome (applied, altered, already, conflict, ignored, rejected), business_key, detail
-- Rules: insert in the order of the key, or two daemons deadlock; ON CONFLICT DO NOTHING, never a caught error; never
-- UPDATE or DELETE. sql/purchases/apply.sql of the source says more.
WITH event AS MATERIALIZED (
    SELECT e.mg_event, e.{{ d.key.purchase }}::{{ d.key.kind }} AS {{ d.key.purchase }},
{%- for t in d.terms %}
           e.{{ t.purchase }}::{{ t.kind }} AS {{ t.purchase }},
{%- endfor %}
           coalesce(e.mg_occurred, e.mg_at) AS mg_at,
           CASE
               WHEN e.mg_fault IS NOT NULL THEN e.mg_fault
               WHEN e.{{ d.key.purchase }} IS NULL THEN '{{ d.key.pointer }} is missing'
{%- for t in d.terms %}{% if t.is_required %}
               WHEN e.{{ t.purchase }} IS NULL THEN '{{ t.pointer }} is missing'
{%- endif %}{% endfor %}
           END AS mg_fault
    FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::{{ d.key.param }}[]
{%- for t in d.terms %}, ${{ loop.index + 4 }}::{{ t.param }}[]{% endfor %}, ${{ d.terms.len() + 5 }}::timestamptz[])
        AS e (mg_event, mg_at, mg_fault, {{ d.key.purchase }}{{ d.columns("") }}, mg_occurred)
), good AS NOT MATERIALIZED (
    -- Of several events of one payment the first one makes the row.
    SELECT *, pg_catalog.row_number() OVER (PARTITION BY {{ d.key.purchase }} ORDER BY mg_at, mg_event) = 1 AS mg_is_first
    FROM event
    WHERE mg_fault IS NULL
), inserted AS (
    INSERT INTO {{ d.purchases }}
        ({{ d.key.purchase }}{{ d.columns("") }}
{%- if let Some(c) = d.event_id %}, {{ c }}{% endif %}
{%- if let Some(c) = d.purchased_at %}, {{ c }}{% endif %}
{%- for (c, _) in d.extras %}, {{ c }}{% endfor %})
    SELECT {{ d.key.purchase }}{{ d.columns("") }}
{%- if d.event_id.is_some() %}, mg_event{% endif %}
{%- if d.purchased_at.is_some() %}, mg_at{% endif %}
{%- for (c, kind) in d.extras %},
           -- What {{ c }} ({{ kind }}) is of a new purchase.
           FILL_IN_{{ c.trim_matches('"') }}
{%- endfor %}
    FROM good
    WHERE mg_is_first
    ORDER BY {{ d.key.purchase }}
    ON CONFLICT ({{ d.key.purchase }}) DO NOTHING
    RETURNING {{ d.key.purchase }}{{ d.columns("") }}
), found AS (
    SELECT {{ d.key.purchase }}{{ d.columns("") }}, true AS mg_is_new FROM inserted
    UNION ALL
    -- A row from before, or that another transaction made.
    SELECT p.{{ d.key.purchase }}{{ d.columns("p.") }}, false
    FROM (SELECT DISTINCT {{ d.key.purchase }} FROM good) mg_key
    JOIN {{ d.purchases }} p USING ({{ d.key.purchase }})
)
SELECT g.mg_event AS event_id,
       CASE
           WHEN f.mg_is_new AND g.mg_is_first THEN
               CASE WHEN {{ d.same("f", "g") }} THEN 'applied' ELSE 'altered' END
           WHEN {{ d.same("f", "g") }} THEN 'already'
           ELSE 'conflict'
       END AS outcome,
       g.{{ d.key.purchase }}::text AS business_key,
{% if d.terms.is_empty() %}       NULL::text AS detail
{% else %}       CASE
{%- for t in d.terms %}
           WHEN f.{{ t.purchase }} IS DISTINCT FROM g.{{ t.purchase }} THEN 'the purchase has another {{ t.purchase }}'
{%- endfor %}
       END AS detail
{% endif -%}
FROM good g
JOIN found f USING ({{ d.key.purchase }})
UNION ALL
SELECT mg_event, 'rejected', {{ d.key.purchase }}::text, mg_fault
FROM event
WHERE mg_fault IS NOT NULL
