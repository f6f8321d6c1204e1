-- makegood: doctor_publishers
-- Roles that may publish to every topic, because no list says who may publish what.
SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee)::text END AS role
FROM pg_catalog.pg_proc p
CROSS JOIN LATERAL pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) a
WHERE p.oid = to_regprocedure('makegood.publish(text,text,text,jsonb,jsonb,uuid)')
      AND a.privilege_type = 'EXECUTE' AND a.grantee <> p.proowner
      AND NOT EXISTS (SELECT FROM makegood.publishers)
ORDER BY 1
