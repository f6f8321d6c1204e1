-- makegood: key_duplicates
-- Business keys that are there more than once, so that no unique index can be made; at most ten. The engine
-- puts table and column in place of the placeholders.
SELECT {column}::text AS business_key, count(*) AS purchases
FROM {table}
WHERE {column} IS NOT NULL
GROUP BY {column}
HAVING count(*) > 1
ORDER BY 2 DESC, 1
LIMIT 10
