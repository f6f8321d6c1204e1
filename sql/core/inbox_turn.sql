-- makegood: inbox_turn
-- The turn at hand, how long it has lasted in seconds, whether the rows of the turn before the last, whose table is the
-- next to be filled, were noted, and why that is not emptied although it is time.
SELECT t.turn, extract(epoch FROM now() - t.began_at)::double precision AS lasted,
       (SELECT o.noted_at IS NOT NULL FROM makegood.inbox_turns o WHERE o.turn = t.turn - 2) AS noted, t.held
FROM makegood.inbox_turns t
ORDER BY t.turn DESC
LIMIT 1
