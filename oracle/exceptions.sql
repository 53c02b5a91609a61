-- Which exceptions follow from what stands. In: said_of_supply, supply_lines, transits, in_force, lines, lines_at,
-- placed, facts, ledger, skus.  Out: judged_exceptions (kind, sku, scope, since, ripe: the tick by which it must be
-- open, NULL at once).
--
-- When a cause began follows from the order in which its facts came, where some were revised or reversed: it is no
-- later than the last of them.

CREATE OR REPLACE TEMP MACRO escaped(name) AS replace(replace(name, '%', '%25'), '|', '%7C');

CREATE OR REPLACE TABLE judged_exceptions AS
WITH supplied AS (
    SELECT sku, purchase_order, line, max(event_time) AS since, bool_or(type = 'AsnShipped') AS noticed,
        bool_or(starts_with(type, 'PurchaseOrder')) AS was_ordered
    FROM said_of_supply GROUP BY ALL
),
transferred AS (
    SELECT f.sku, coalesce(f.transfer_id, f.doc_id) AS transfer, coalesce(f.transfer_line, f.doc_line) AS line,
        max(f.event_time) AS since, max(p.eta_day) FILTER (f.type = 'TransferShipped') AS eta_day
    FROM in_force f LEFT JOIN particulars p USING (part, off)
    WHERE f.type IN ('TransferShipped', 'TransferReceived', 'TransferLost') GROUP BY ALL
),
returned AS (
    SELECT sku, order_id, order_line AS line, max(event_time) AS since
    FROM in_force WHERE type = 'ReturnReceived' AND order_id IS NOT NULL GROUP BY ALL HAVING sum(quantity) > 0
),
failed AS (
    SELECT sku, order_id, line FROM lines_at GROUP BY ALL HAVING sum(failed) > 0
),
-- The time after which nothing was taken back any more.
settled AS (
    SELECT f.sku, max(f.event_time) AS at FROM facts f JOIN ledger l USING (part, off)
    WHERE f.reversal OR l.rev > 0 GROUP BY f.sku
),
standing AS (
    SELECT 'short_receipt' AS kind, sku, escaped(purchase_order) || '|' || line AS scope, NULL::BIGINT AS due, since
    FROM supply_lines l JOIN supplied s USING (sku, purchase_order, line)
    WHERE l.closed AND l.received < if(s.noticed, l.shipped, greatest(l.ordered, l.confirmed))
    UNION ALL
    SELECT 'over_receipt', sku, escaped(purchase_order) || '|' || line, since + 86400000000, since
    FROM supply_lines l JOIN supplied s USING (sku, purchase_order, line)
    WHERE s.was_ordered AND l.received > l.ordered
    UNION ALL
    SELECT 'over_receipt', sku, escaped(transfer) || '|' || line, since + 86400000000, since
    FROM transits t JOIN transferred USING (sku, transfer, line) WHERE t.shipped < t.received + t.lost
    UNION ALL
    SELECT 'overdue_transfer', sku, escaped(transfer) || '|' || line,
        coalesce((eta_day + 1) * 86400000000, since + 6 * 86400000000) + 86400000000, since
    FROM transits t JOIN transferred USING (sku, transfer, line) WHERE t.shipped > t.received + t.lost
    UNION ALL
    SELECT 'pick_failed', sku, escaped(order_id) || '|' || line, NULL, began
    FROM lines l JOIN failed USING (sku, order_id, line) LEFT JOIN (
        SELECT sku, order_id, line, sum(units)::BIGINT AS units FROM placed GROUP BY ALL
    ) p USING (sku, order_id, line)
    WHERE l.open > coalesce(p.units, 0)
    UNION ALL
    SELECT 'unmatched_shipment', sku, escaped(order_id) || '|' || line, began + 86400000000, began
    FROM lines WHERE consumed > 0 AND requested = 0 AND NOT starts_with(order_id, 'transfer:')
    UNION ALL
    SELECT 'unmatched_return', sku, escaped(order_id) || '|' || line, since + 86400000000, since
    FROM returned r LEFT JOIN lines l USING (sku, order_id, line) WHERE coalesce(l.consumed, 0) <= 0
)
SELECT kind, sku, scope, since, (greatest(due, s.at + 7 * 86400000000) + 999999) // 1000000 * 1000000 AS ripe
FROM standing LEFT JOIN settled s USING (sku);
