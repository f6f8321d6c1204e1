-- makegood: outbox_verdict_write
-- What this daemon says of the outbox, by the rules of verdict_write.
INSERT INTO makegood.outbox_verdict AS v (one, writer, verdict, rank, sentence)
VALUES (true, $1, $2, $3, $4)
ON CONFLICT (one) DO UPDATE SET
    writer = excluded.writer, verdict = excluded.verdict, rank = excluded.rank, sentence = excluded.sentence,
    since = CASE WHEN v.verdict = excluded.verdict AND v.since <= now() THEN v.since ELSE now() END,
    judged_at = now()
WHERE v.writer = excluded.writer OR v.rank <= excluded.rank
      OR v.judged_at NOT BETWEEN now() - interval '10 seconds' AND now()
