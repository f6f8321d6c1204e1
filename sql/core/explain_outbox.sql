-- makegood: explain_outbox
-- What the outbox knows of an event by its id ($2), or of a payment where its id is the key ($1).
SELECT at, part, what, NULL::text AS business_key, contents
FROM makegood.outbox_life($1, $2)
