-- makegood: status_routes
-- Columns are read by their names, so that what is counted is listed once.
SELECT *
FROM makegood.status
ORDER BY route
