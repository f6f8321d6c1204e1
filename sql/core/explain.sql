-- makegood: explain
SELECT at, part, what, business_key, contents FROM makegood.explain($1)
