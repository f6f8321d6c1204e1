-- makegood: outbox_turn_begin
-- The next turn, if nobody else has begun it.
INSERT INTO makegood.outbox_turns (turn, top_seq)
SELECT $1, greatest(
    (SELECT max(o.seq) FROM makegood.outbox o),
    (SELECT t.top_seq FROM makegood.outbox_turns t ORDER BY t.turn DESC LIMIT 1),
    0
)
ON CONFLICT (turn) DO NOTHING
RETURNING turn
