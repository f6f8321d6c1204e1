-- makegood: status_quarantine
SELECT route, reason, count(*) AS records
FROM makegood.quarantine_open
GROUP BY route, reason
ORDER BY route, records DESC, reason
