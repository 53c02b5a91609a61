-- When the rates that buffers follow were judged last. In: ledger, policies.  Out: rated_until, drawn (empty).
--
-- At the first tick of each minute: the last one of a partition is the first tick of the minute of its last tick. Only
-- where a policy of the partition ever spoke of such a buffer.

CREATE OR REPLACE TABLE rated_until AS
WITH ticks AS (
    SELECT part, off, event_time // 60000000 AS minute, max(event_time // 60000000) OVER (PARTITION BY part) AS last
    FROM ledger WHERE type = 'TimeTicked' AND NOT malformed
)
SELECT part, min(off) AS until FROM ticks
WHERE minute = last AND part IN (SELECT part FROM policies WHERE buffer_by_rate)
GROUP BY part;

CREATE OR REPLACE TABLE drawn (sku VARCHAR, channel VARCHAR, fast BIGINT, slow BIGINT);
