-- makegood: host_rights
-- What would give the role the rights that it lacks beside those on the tables themselves: on the schemas that tables of
-- the names $1 are in, where the path $3 leads to them, and on what the defaults of the tables $2 call. What a trigger
-- does nobody can tell.
WITH named AS (
    SELECT pg_catalog.parse_ident(t.written) AS parts
    FROM unnest($1::text[]) AS t (written)
), searched AS (
    SELECT pg_catalog.btrim(s.name, ' "') AS name
    FROM pg_catalog.regexp_split_to_table($3::text, ',') AS s (name)
), called AS (
    SELECT p.refclassid, p.refobjid
    FROM pg_catalog.pg_attrdef d
    JOIN pg_catalog.pg_depend p ON p.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND p.objid = d.oid
    WHERE d.adrelid = ANY ($2::oid[])
)
SELECT pg_catalog.format('GRANT USAGE ON SCHEMA %I TO %I;', n.nspname, current_user) AS statement, true AS is_schema
FROM named
JOIN pg_catalog.pg_class c
    ON c.relname = named.parts[pg_catalog.cardinality(named.parts)] AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE NOT pg_catalog.has_schema_privilege(n.oid, 'USAGE')
      AND CASE pg_catalog.cardinality(named.parts)
              WHEN 1 THEN n.nspname IN (SELECT searched.name FROM searched)
              ELSE n.nspname = named.parts[1]
          END
UNION
SELECT pg_catalog.format('GRANT USAGE ON SEQUENCE %s TO %I;', c.oid::pg_catalog.regclass, current_user), false
FROM called
JOIN pg_catalog.pg_class c ON c.oid = called.refobjid
WHERE called.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
      -- What is no sequence must not be asked.
      AND CASE c.relkind WHEN 'S' THEN NOT pg_catalog.has_sequence_privilege(c.oid, 'USAGE') ELSE false END
UNION
SELECT pg_catalog.format('GRANT EXECUTE ON FUNCTION %s TO %I;', called.refobjid::pg_catalog.regprocedure, current_user), false
FROM called
WHERE called.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
      AND NOT pg_catalog.has_function_privilege(called.refobjid, 'EXECUTE')
ORDER BY 1
