-- What channels drew in the last minutes and the last day before the rates were judged. In: in_force, lines, rules and
-- skus of the schema `minute`.  Out: drawn.
--
-- A unit counts once, when it is first taken: the units of an order when its line began, what leaves without an order
-- when it leaves. A transfer is nobody's demand.

INSERT INTO drawn
WITH asking AS (
    SELECT DISTINCT k.sku, k.tick // 60000000 AS minute, k.tick // 3600000000 AS hour
    FROM minute.skus k JOIN minute.rules r ON r.part = k.part AND r.sku IN ('', k.sku)
    WHERE r.buffer_by_rate
),
takings AS (
    SELECT sku, channel, began AS event_time, taken AS units FROM minute.lines
    WHERE began IS NOT NULL AND NOT starts_with(order_id, 'transfer:')
    UNION ALL
    SELECT sku, coalesce(nullif(channel, ''), 'all'), event_time, quantity FROM minute.in_force
    WHERE type IN ('SaleRecorded', 'ShipmentConfirmed', 'PickupConfirmed') AND order_id IS NULL
)
SELECT sku, channel,
    coalesce(sum(units) FILTER (event_time // 60000000 BETWEEN minute - 5 AND minute), 0) AS fast,
    coalesce(sum(units) FILTER (event_time // 3600000000 BETWEEN hour - 24 AND hour), 0) AS slow
FROM takings JOIN asking USING (sku)
GROUP BY ALL HAVING fast <> 0 OR slow <> 0;
