-- What is to come. In: in_force, particulars, transits.  Out: supply_lines, to_come.

CREATE OR REPLACE TEMP TABLE said_of_supply AS
SELECT f.sku, p.po_id AS purchase_order, p.po_line AS line, f.key, f.rev, f.type, f.quantity, f.location,
    f.event_time, p.eta_day, coalesce(p.final, false) AS final
FROM in_force f JOIN particulars p USING (part, off)
WHERE p.po_id IS NOT NULL AND (
    f.type IN ('SupplierConfirmed', 'AsnShipped', 'GoodsReceived') OR starts_with(f.type, 'PurchaseOrder'))
UNION ALL
-- The papers of an order are it, where they name none.
SELECT f.sku, f.doc_id, f.doc_line, f.key, f.rev, f.type, f.quantity, f.location, f.event_time, p.eta_day, false
FROM in_force f LEFT JOIN particulars p USING (part, off)
WHERE starts_with(f.type, 'PurchaseOrder') AND p.po_id IS NULL;

CREATE OR REPLACE TABLE supply_lines AS
WITH ranked AS (
    SELECT *, if(starts_with(type, 'PurchaseOrder'), 'order', type) AS what,
        row_number() OVER (PARTITION BY sku, purchase_order, line, what ORDER BY rev DESC, event_time DESC, key DESC)
            = 1 AS stands
    FROM said_of_supply
)
SELECT sku, purchase_order, line,
    coalesce(max(quantity) FILTER (stands AND what = 'order' AND type <> 'PurchaseOrderCancelled'), 0) AS ordered,
    max(eta_day) FILTER (stands AND what = 'order') AS ordered_for,
    max(location) FILTER (stands AND what = 'order') AS ordered_to,
    coalesce(max(quantity) FILTER (stands AND what = 'SupplierConfirmed'), 0) AS confirmed,
    max(eta_day) FILTER (stands AND what = 'SupplierConfirmed') AS confirmed_for,
    max(location) FILTER (stands AND what = 'SupplierConfirmed') AS confirmed_to,
    coalesce(sum(quantity) FILTER (what = 'AsnShipped'), 0)::BIGINT AS shipped,
    coalesce(sum(quantity) FILTER (what = 'GoodsReceived'), 0)::BIGINT AS received,
    coalesce(bool_or(final) FILTER (what = 'GoodsReceived' AND quantity > 0), false) AS closed,
    closed OR coalesce(bool_or(final) FILTER (what = 'AsnShipped' AND quantity > 0), false) AS no_more,
    -- Of a cancelled order comes what is on its way, and no more.
    coalesce(bool_or(stands AND what = 'order'), false) AND ordered = 0 AS cancelled,
    -- Where it comes to, as far as a paper of its own leaves that open.
    coalesce(
        first(location ORDER BY key) FILTER (what = 'AsnShipped' AND quantity > 0 AND location <> ''),
        nullif(confirmed_to, ''), nullif(ordered_to, ''),
        min(location) FILTER (what = 'GoodsReceived' AND quantity > 0), '') AS usual
FROM ranked GROUP BY ALL;

-- Each unit once: shipped, else confirmed, else ordered. Receipts take what was shipped for the earliest day.
CREATE OR REPLACE TABLE to_come AS
WITH shipped AS (
    SELECT sku, purchase_order, line, coalesce(nullif(a.location, ''), l.usual) AS location, a.eta_day,
        greatest(0, least(a.quantity, sum(a.quantity) OVER so_far - l.received))::BIGINT AS units
    FROM said_of_supply a JOIN supply_lines l USING (sku, purchase_order, line)
    WHERE a.type = 'AsnShipped' AND NOT l.closed
    WINDOW so_far AS (PARTITION BY sku, purchase_order, line ORDER BY a.eta_day NULLS LAST, a.key)
),
etas AS (
    SELECT f.sku, coalesce(f.transfer_id, f.doc_id) AS transfer, coalesce(f.transfer_line, f.doc_line) AS line,
        max(p.eta_day) AS eta_day
    FROM in_force f JOIN particulars p USING (part, off)
    WHERE f.type = 'TransferShipped' AND f.quantity > 0 GROUP BY ALL
)
FROM (
    SELECT sku, 'shipped' AS state, location, eta_day, units FROM shipped
    UNION ALL
    SELECT sku, 'confirmed', coalesce(nullif(confirmed_to, ''), usual), confirmed_for,
        confirmed - greatest(shipped, received)
    FROM supply_lines WHERE NOT no_more AND NOT cancelled
    UNION ALL
    SELECT sku, 'ordered', coalesce(nullif(ordered_to, ''), usual), ordered_for,
        ordered - greatest(confirmed, shipped, received)
    FROM supply_lines WHERE NOT no_more
    UNION ALL
    SELECT t.sku, 'transfer', t.destination, e.eta_day, t.shipped - t.received - t.lost
    FROM transits t JOIN etas e USING (sku, transfer, line)
)
WHERE units > 0 AND eta_day IS NOT NULL AND location <> '';
