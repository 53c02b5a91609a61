-- What time is it? In: facts, ledger, kits.  Out: skus.
--
-- `clock` is the SKU's greatest event time, `tick` the last of its partition; `now` is the tick, else the clock.
-- Without a tick there is no today: nothing expires, and nothing is due later.

CREATE OR REPLACE TABLE skus AS
WITH heard AS (
    SELECT part, sku, max(CASE WHEN NOT statement THEN event_time END) AS clock
    FROM facts WHERE sku <> '' AND verdict IN ('counts', 'superseded')
    GROUP BY ALL
    UNION ALL
    -- A kit is sold once a bill names it, though nothing may ever be assembled of it.
    SELECT part, kit, NULL FROM kits
    WHERE (part, kit) NOT IN (SELECT (part, sku) FROM facts WHERE verdict IN ('counts', 'superseded'))
),
ticks AS (
    SELECT part, max(event_time) AS tick FROM ledger WHERE type = 'TimeTicked' AND NOT malformed GROUP BY ALL
)
SELECT h.part, h.sku, h.clock, t.tick, coalesce(t.tick, h.clock, 0) AS now, (t.tick // 86400000000)::INT AS today
FROM heard h LEFT JOIN ticks t USING (part);
