-- makegood: quarantine_take
-- Locks cases until the transaction ends; those that somebody else has at hand are left out. So are those that were
-- closed meanwhile, unless a person has asked for a replay of them.
SELECT q.id
FROM makegood.quarantine q
WHERE q.id = ANY ($1::bigint[])
      AND (q.resolved_at IS NULL OR EXISTS (
          SELECT
          FROM makegood.decisions d
          WHERE d.quarantine_id = q.id AND d.kind = 'replay' AND d.finished_at IS NULL
      ))
ORDER BY q.id
FOR UPDATE OF q SKIP LOCKED
