-- makegood: status_quarantine
SELECT route, reason, count(*) AS records, max(quarantined_at) AS newest_at
FROM makegood.quarantine_open
GROUP BY route, reason
ORDER BY route, records DESC, reason
