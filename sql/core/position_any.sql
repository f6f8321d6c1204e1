-- makegood: position_any
-- Whether the group $1 has ever had a position in a topic named $2.
SELECT EXISTS (SELECT FROM makegood.positions WHERE consumer_group = $1 AND topic = $2)
