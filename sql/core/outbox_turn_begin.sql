-- makegood: outbox_turn_begin
-- The next turn, if nobody else has begun it.
INSERT INTO makegood.outbox_turns (turn) VALUES ($1) ON CONFLICT (turn) DO NOTHING RETURNING turn
