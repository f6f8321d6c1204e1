-- makegood: position_topic_known
-- Whether this group has read a topic of this name under another id, and whether under this one.
SELECT EXISTS (
           SELECT FROM makegood.positions WHERE consumer_group = $1 AND topic = $2 AND topic_id <> $3
       ),
       EXISTS (
           SELECT FROM makegood.positions WHERE consumer_group = $1 AND topic_id = $3
       )
