-- makegood: verdict_write
-- What this daemon says of its routes. Another daemon's worse word stands until that one has not repeated it for ten
-- seconds; a time that is still to come is no time.
INSERT INTO makegood.verdicts AS v (route_id, writer, verdict, rank, sentence)
SELECT r.id, $1, said.verdict, said.rank, said.sentence
FROM unnest($2::text[], $3::text[], $4::smallint[], $5::text[]) AS said(route, verdict, rank, sentence)
JOIN makegood.routes r ON r.name = said.route
ON CONFLICT (route_id) DO UPDATE SET
    writer = excluded.writer, verdict = excluded.verdict, rank = excluded.rank, sentence = excluded.sentence,
    since = CASE WHEN v.verdict = excluded.verdict AND v.since <= now() THEN v.since ELSE now() END,
    judged_at = now()
WHERE v.writer = excluded.writer OR v.rank <= excluded.rank
      OR v.judged_at NOT BETWEEN now() - interval '10 seconds' AND now()
