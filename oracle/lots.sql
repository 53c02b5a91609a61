-- How long goods last. In: in_force, particulars, moves, stock, terms, matching_channels, known_channels, skus.
-- Out: said_of_lots, lots, expired, lives.
--
-- What events in force moved of a lot, or of goods with a last day, into and out of the sellable bucket. What left of a
-- lot beyond what came with its last day left the earliest of that lot; what the lots have beyond the stock left
-- without a word of any lot: the earliest of all. A lot without a last day comes behind all others.

CREATE OR REPLACE TABLE said_of_lots AS
SELECT m.sku, m.location, coalesce(p.lot, '') AS lot, p.expiry_day, sum(m.sellable)::BIGINT AS units
FROM moves m JOIN particulars p USING (part, off)
WHERE p.lot IS NOT NULL OR p.expiry_day IS NOT NULL
GROUP BY ALL HAVING sum(m.sellable) <> 0;

CREATE OR REPLACE TABLE lots AS
WITH came AS (
    SELECT *, sum(units) OVER (PARTITION BY sku, location, lot ORDER BY expiry_day NULLS LAST) AS through
    FROM said_of_lots WHERE units > 0
),
owed AS (
    SELECT sku, location, lot, -sum(units) AS units FROM said_of_lots WHERE units < 0 GROUP BY ALL
),
of_each AS (
    SELECT c.sku, c.location, c.lot, c.expiry_day,
        least(c.units, greatest(0, c.through - coalesce(o.units, 0))) AS units
    FROM came c LEFT JOIN owed o USING (sku, location, lot)
),
queued AS (
    SELECT *, sum(units) OVER (PARTITION BY sku, location ORDER BY expiry_day NULLS LAST, lot) AS through,
        sum(units) OVER (PARTITION BY sku, location) AS whole
    FROM of_each
)
SELECT q.sku, q.location, q.lot, q.expiry_day,
    least(q.units, greatest(0, q.through - greatest(0, q.whole - greatest(0, s.sellable
        + least(0, s.returned) + least(0, s.quarantine) + least(0, s.damaged)))))::BIGINT AS units
FROM queued q JOIN stock s USING (sku, location);

CREATE OR REPLACE TABLE expired AS
SELECT l.sku, l.location, sum(l.units)::BIGINT AS units
FROM lots l JOIN skus k USING (sku) WHERE l.expiry_day < k.today GROUP BY ALL;

-- The lives that channels ask for; while nobody knows the day they ask for none.
CREATE OR REPLACE TABLE lives AS
SELECT n.sku, n.channel, if(k.today IS NULL, 0, coalesce(t.min_life_days, 0))::BIGINT AS life
FROM known_channels n JOIN skus k USING (sku) LEFT JOIN terms t ON t.sku = n.sku AND t.channel = n.channel;
