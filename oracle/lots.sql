-- How long goods last. In: in_force, particulars, moves, stock, terms, matching_channels, known_channels, skus.
-- Out: said_of_lots, lots, expired, lives.
--
-- What events in force moved of a lot, or of goods with a last day, into and out of the sellable bucket. What left of a
-- lot beyond what came with its last day left the earliest of that lot; what the lots have beyond the stock left
-- without a word of any lot: the earliest of all, but none after its last day as long as it may have been another. A lot
-- without a last day comes behind all others.

CREATE OR REPLACE TABLE said_of_lots AS
SELECT m.sku, m.location, coalesce(p.lot, '') AS lot, p.expiry_day, sum(m.sellable)::BIGINT AS units
FROM moves m JOIN particulars p USING (part, off)
WHERE p.lot IS NOT NULL OR p.expiry_day IS NOT NULL
GROUP BY ALL HAVING sum(m.sellable) <> 0;

-- What moved without a word of any lot, by day.
CREATE OR REPLACE TEMP TABLE unnamed AS
SELECT m.sku, m.location, (m.event_time // 86400000000)::INT AS day, sum(m.sellable)::BIGINT AS units
FROM moves m LEFT JOIN particulars p USING (part, off)
WHERE p.lot IS NULL AND p.expiry_day IS NULL AND (m.sku, m.location) IN (SELECT (sku, location) FROM said_of_lots)
GROUP BY ALL;

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
    SELECT e.*, sum(e.units) OVER (PARTITION BY sku, location ORDER BY expiry_day NULLS LAST, lot) AS through,
        greatest(0, sum(e.units) OVER (PARTITION BY sku, location) - greatest(0, s.sellable
            + least(0, s.returned) + least(0, s.quarantine) + least(0, s.damaged))) AS beyond
    FROM of_each e JOIN stock s USING (sku, location)
    WHERE e.units > 0
),
-- Of what is beyond the stock, what may have left a lot of that last day or an earlier one.
late AS (
    SELECT q.sku, q.location, q.expiry_day, greatest(0, -sum(u.units)) AS units
    FROM (SELECT DISTINCT sku, location, expiry_day FROM queued) q
    JOIN unnamed u ON u.sku = q.sku AND u.location = q.location AND u.day > q.expiry_day
    GROUP BY ALL
),
bounded AS (
    SELECT q.*, greatest(0, max(q.beyond - coalesce(l.units, 0)) OVER upto) AS most
    FROM queued q LEFT JOIN late l USING (sku, location, expiry_day)
    WINDOW upto AS (PARTITION BY sku, location ORDER BY expiry_day NULLS LAST, lot)
),
-- Each takes what the earlier ones left of that: the sum taken is the least that any of them bounds.
first_taken AS (
    SELECT *, through - greatest(0, max(through - most) OVER upto) AS taken
    FROM bounded
    WINDOW upto AS (PARTITION BY sku, location ORDER BY expiry_day NULLS LAST, lot)
),
kept AS (
    SELECT *, units - (taken - coalesce(lag(taken) OVER upto, 0)) AS here,
        beyond - max(taken) OVER (PARTITION BY sku, location) AS rest
    FROM first_taken
    WINDOW upto AS (PARTITION BY sku, location ORDER BY expiry_day NULLS LAST, lot)
)
-- What cannot have left any other lot left these after all.
SELECT sku, location, lot, expiry_day,
    least(here, greatest(0, sum(here) OVER upto - rest))::BIGINT AS units
FROM kept
WINDOW upto AS (PARTITION BY sku, location ORDER BY expiry_day NULLS LAST, lot);

CREATE OR REPLACE TABLE expired AS
SELECT l.sku, l.location, sum(l.units)::BIGINT AS units
FROM lots l JOIN skus k USING (sku) WHERE l.expiry_day < k.today GROUP BY ALL;

-- The lives that channels ask for; while nobody knows the day they ask for none.
CREATE OR REPLACE TABLE lives AS
SELECT n.sku, n.channel, if(k.today IS NULL, 0, coalesce(t.min_life_days, 0))::BIGINT AS life
FROM known_channels n JOIN skus k USING (sku) LEFT JOIN terms t ON t.sku = n.sku AND t.channel = n.channel;
