-- What may be promised, now and day by day. In: inbound, dated, served, sells_at, meets, sums, shares and in_time
-- (network.py), terms, buffers, known_channels, skus.  Out: levels, channels.

-- Each day's level is the least of what that day and all after it leave: what is taken today is missing then. Where
-- something is promised for later days it is what a flow leaves beside that, which knows who serves what; where that
-- cannot all be served, it is the lower of both.
CREATE OR REPLACE TABLE levels AS
WITH moved AS (
    SELECT s.sku, s.channel, i.day, i.units FROM inbound i JOIN served s USING (sku, location)
    UNION ALL
    SELECT s.sku, s.channel, least(d.day, k.today + 180), -d.units
    FROM dated d JOIN sells_at s USING (sku, location) JOIN skus k USING (sku) WHERE location <> ''
    UNION ALL
    -- Without a node it may come from any of its channel's: it binds all channels that could sell from one.
    SELECT d.sku, m.channel, least(d.day, k.today + 180), -d.units
    FROM dated d JOIN meets m ON m.sku = d.sku AND m.other = d.channel JOIN skus k ON k.sku = d.sku
    WHERE d.location = ''
),
within AS (
    SELECT m.sku, m.channel, m.day, m.units FROM moved m JOIN skus k USING (sku) WHERE m.day <= k.today + 180
),
days AS (
    SELECT m.sku, m.channel, m.day, m.units FROM within m
    UNION ALL
    -- What waits for stock takes what comes first.
    SELECT h.sku, h.channel, k.today, if(h.units = 0, -h.waiting, h.units)
    FROM shares h JOIN skus k USING (sku)
    WHERE (h.sku, h.channel) IN (SELECT (sku, channel) FROM within)
),
steps AS (
    SELECT sku, channel, day, sum(sum(units)) OVER (PARTITION BY sku, channel ORDER BY day)::BIGINT AS after
    FROM days GROUP BY sku, channel, day
),
sums AS (
    SELECT sku, channel, day,
        min(after) OVER (PARTITION BY sku, channel ORDER BY day ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)
            AS least_after
    FROM steps
)
SELECT m.sku, m.channel, m.day,
    CASE WHEN m.sku NOT IN (SELECT sku FROM dated) THEN m.least_after
        WHEN h.lacks = 0 THEN coalesce(t.units, h.in_time)
        ELSE least(m.least_after, coalesce(t.units, h.in_time)) END AS level
FROM sums m
JOIN shares h ON h.sku = m.sku AND h.channel = m.channel
ASOF LEFT JOIN in_time t ON t.sku = m.sku AND t.channel = m.channel AND t.day <= m.day;

CREATE OR REPLACE TABLE channels AS
WITH today AS (
    SELECT l.sku, l.channel, greatest(0, l.level) AS level FROM levels l JOIN skus k ON k.sku = l.sku AND k.today = l.day
),
horizons AS (
    SELECT sku, channel, list({day: day, units: units} ORDER BY day) AS horizon
    FROM (
        SELECT sku, channel, day, greatest(0, level) AS units FROM levels
        QUALIFY units IS DISTINCT FROM lag(units) OVER (PARTITION BY sku, channel ORDER BY day)
    ) GROUP BY ALL
),
pools AS (
    SELECT sku, channel, 0 AS ring, units AS pool FROM sums
    UNION ALL
    SELECT h.sku, h.channel, h.ring, least(h.in_time, coalesce(t.level, h.in_time))
    FROM shares h LEFT JOIN today t USING (sku, channel)
)
SELECT n.part, n.sku, n.channel, coalesce(p.ring, 0) AS ring, coalesce(p.pool, 0) AS pool,
    coalesce(t.share_percent, 100) AS share_percent, b.buffer, t.cap,
    coalesce(p.ring, 0) + coalesce(p.pool, 0) * coalesce(t.share_percent, 100) // 100 - b.buffer AS atp_raw,
    least(coalesce(t.cap, 9223372036854775807), greatest(0, atp_raw)) AS atp,
    coalesce(h.horizon, []) AS horizon,
    -- The first day of which the channel would show something, by the terms of now.
    if(atp = 0, list_filter(list_transform(h.horizon, lambda d: {day: d.day, units: least(
        coalesce(t.cap, 9223372036854775807),
        greatest(0, d.units * coalesce(t.share_percent, 100) // 100 - b.buffer)
    )}), lambda d: d.units > 0)[1], NULL) AS next_available
FROM known_channels n
LEFT JOIN pools p USING (sku, channel)
JOIN buffers b USING (sku, channel)
LEFT JOIN terms t USING (sku, channel)
LEFT JOIN horizons h USING (sku, channel);
