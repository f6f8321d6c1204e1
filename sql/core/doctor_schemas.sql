-- makegood: doctor_schemas
-- The schemas searched for the mapping in which everybody may create. Run with them searched, so nothing in here is left
-- to what fits best.
SELECT n.nspname::pg_catalog.text AS schema_name
FROM pg_catalog.pg_namespace n
WHERE n.nspname OPERATOR(pg_catalog.=) ANY (pg_catalog.current_schemas(false))
      AND EXISTS (
          SELECT
          FROM pg_catalog.aclexplode(coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner))) a
          WHERE a.grantee OPERATOR(pg_catalog.=) 0::pg_catalog.oid AND a.privilege_type OPERATOR(pg_catalog.=) 'CREATE'
      )
ORDER BY 1
