-- What is held back from each channel. In: known_channels, terms, drawn, meets.  Out: buffers.
--
-- By the rates of what it and what the others draw: the faster of the last five minutes, from 3 units on, and the last
-- day, in units a day. Others are all channels that could sell from one place with it.

CREATE OR REPLACE TABLE buffers AS
WITH shares AS (
    SELECT n.sku, n.channel, coalesce(t.buffer, 0) AS least, coalesce(t.share_percent, 100) AS share_percent,
        coalesce(t.lag_s, 0) AS lag_s, coalesce(t.order_lag_s, 0) AS order_lag_s,
        coalesce(t.buffer_by_rate, false) AS by_rate
    FROM known_channels n LEFT JOIN terms t USING (sku, channel)
),
others AS (
    SELECT m.sku, m.channel, sum(d.fast) AS fast, sum(d.slow) AS slow
    FROM meets m JOIN drawn d ON d.sku = m.sku AND d.channel = m.other
    WHERE m.other <> m.channel GROUP BY ALL
),
rates AS (
    SELECT s.*, greatest(if(coalesce(d.fast, 0) >= 3, d.fast * 288, 0), coalesce(d.slow, 0), 0)::HUGEINT AS own_per_day,
        greatest(if(coalesce(o.fast, 0) >= 3, o.fast * 288, 0), coalesce(o.slow, 0), 0)::HUGEINT AS others_per_day
    FROM shares s LEFT JOIN drawn d USING (sku, channel) LEFT JOIN others o USING (sku, channel)
)
SELECT sku, channel, if(by_rate, greatest(least,
    (share_percent * others_per_day * lag_s + 100 * own_per_day * order_lag_s + 8639999) // 8640000), least)::BIGINT AS buffer
FROM rates;
