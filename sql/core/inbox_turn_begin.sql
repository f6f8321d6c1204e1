-- makegood: inbox_turn_begin
-- The next turn, if nobody else has begun it.
INSERT INTO makegood.inbox_turns (turn) VALUES ($1) ON CONFLICT (turn) DO NOTHING RETURNING turn
