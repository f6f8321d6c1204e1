-- makegood: job_list
SELECT j.name AS job, r.name AS route, j.cursor_at, j.swept_at, j.looked_at, j.notice,
       (SELECT count(*) FROM makegood.paid_not_purchased p WHERE p.job = j.name) AS paid_not_purchased,
       (SELECT now() - max(p.age) FROM makegood.paid_not_purchased p WHERE p.job = j.name) AS oldest_at
FROM makegood.jobs j
JOIN makegood.routes r ON r.id = j.route_id
ORDER BY j.name
