-- makegood: strangers
--
-- Finds purchases that belong to no payment: made by hand, with a key that was left out, mistyped or invented. When makegood
-- starts in a group for the first time, their payments would get a second purchase.
--
-- In:  $1 bigint  at most so many; $2 text[]  the words of a status that mean paid
-- Out: purchase, business_key, at, contents, link (a statement that would link it with its payment, for a person to run)
SELECT coalesce(s.{{ d.key.purchase }}::text, '?') AS purchase, s.{{ d.key.purchase }}::text AS business_key,
       {% if let Some(c) = d.purchased_at %}s.{{ c }}{% else %}NULL::timestamptz{% endif %} AS at,
       {{ d.contents("s.") }} AS contents, NULL::text AS link
FROM {{ d.purchases }} s
WHERE NOT EXISTS (SELECT FROM {{ d.payments }} p WHERE p.{{ d.key.payment }} = s.{{ d.key.purchase }}) AND $2::text[] IS NOT NULL
LIMIT $1::bigint
