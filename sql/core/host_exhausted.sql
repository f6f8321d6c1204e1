-- makegood: host_exhausted
-- What would give the sequences that the columns of the tables $1 take their numbers from new ones, where they have none left
-- and do not begin again: a limit that somebody set goes; otherwise the type of the numbers is the limit. Of a sequence that
-- the role may not look at it is believed if there is no other one.
WITH numbered AS (
    SELECT p.refobjid AS sequence, d.adrelid AS relation, d.adnum AS number
    FROM pg_catalog.pg_attrdef d
    JOIN pg_catalog.pg_depend p ON p.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND p.objid = d.oid
    WHERE d.adrelid = ANY ($1::oid[]) AND p.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    UNION
    -- Of an identity column.
    SELECT p.objid, p.refobjid, p.refobjsubid
    FROM pg_catalog.pg_depend p
    WHERE p.refobjid = ANY ($1::oid[]) AND p.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
          AND p.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND p.deptype = 'i'
), limited AS (
    SELECT s.seqrelid, s.seqmax, a.attrelid, a.attname, a.atttypid,
           CASE s.seqtypid WHEN 21 THEN 32767 WHEN 23 THEN 2147483647 ELSE 9223372036854775807 END AS most,
           s.seqtypid <> 20 AS may_grow,
           -- Asking for the last number of one that it may not look at would be an error.
           CASE WHEN pg_catalog.has_sequence_privilege(s.seqrelid, 'USAGE, SELECT')
                THEN coalesce(pg_catalog.pg_sequence_last_value(s.seqrelid)::numeric + s.seqincrement > s.seqmax, false)
           END AS is_exhausted
    FROM numbered
    JOIN pg_catalog.pg_sequence s ON s.seqrelid = numbered.sequence AND NOT s.seqcycle AND s.seqincrement > 0
    JOIN pg_catalog.pg_attribute a ON a.attrelid = numbered.relation AND a.attnum = numbered.number
), exhausted AS (
    SELECT *
    FROM limited
    WHERE is_exhausted OR (is_exhausted IS NULL AND (SELECT pg_catalog.count(*) FROM limited WHERE is_exhausted IS NOT false) = 1)
)
SELECT s.statement
FROM exhausted e
CROSS JOIN LATERAL (
    VALUES
        (1, e.seqmax < e.most, pg_catalog.format('ALTER SEQUENCE %s NO MAXVALUE;', e.seqrelid::pg_catalog.regclass)),
        (2, e.seqmax = e.most AND e.may_grow AND e.atttypid IN (21, 23),
            pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I TYPE bigint;', e.attrelid::pg_catalog.regclass, e.attname)),
        (3, e.seqmax = e.most AND e.may_grow,
            pg_catalog.format('ALTER SEQUENCE %s AS bigint;', e.seqrelid::pg_catalog.regclass))
) AS s (place, applies, statement)
WHERE s.applies
ORDER BY e.seqrelid, s.place
