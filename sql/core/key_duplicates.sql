-- makegood: key_duplicates
-- Business keys that are there more than once, so that no unique index can be made; at most ten. The engine
-- puts table, columns and their texts in place of the placeholders.
SELECT ARRAY[{texts}] AS business_key, count(*) AS purchases
FROM {table}
WHERE num_nulls({columns}) = 0
GROUP BY {columns}
HAVING count(*) > 1
ORDER BY 2 DESC, 1
LIMIT 10
