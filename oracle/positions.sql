-- Stock of every SKU-location. In: moves, counted, transits.  Out: stock, variances, erp_totals.

CREATE OR REPLACE TABLE stock AS
SELECT sku, location, sum(sellable)::BIGINT AS sellable, sum(returned)::BIGINT AS returned,
    sum(quarantine)::BIGINT AS quarantine, sum(damaged)::BIGINT AS damaged,
    sum(sellable + returned + quarantine + damaged)::BIGINT AS on_hand,
    sum(in_transit_in)::BIGINT AS in_transit_in
FROM (
    SELECT sku, location, sellable, returned, quarantine, damaged, 0 AS in_transit_in FROM moves
    UNION ALL
    SELECT sku, location, if(bucket = 'sellable', diff, 0), if(bucket = 'returned', diff, 0),
        if(bucket = 'quarantine', diff, 0), if(bucket = 'damaged', diff, 0), 0
    FROM counted
    UNION ALL
    SELECT sku, destination, 0, 0, 0, 0, shipped - received - lost FROM transits
    WHERE shipped - received - lost > 0
)
GROUP BY ALL;

-- All with a difference. A transfer's stands once units are lost or too many came.
CREATE OR REPLACE TABLE variances AS
SELECT 'COUNT' AS kind, sku, location, document, '' AS transfer, expected, quantity AS observed, diff
-- A key that was forgotten and came again is one variance: the latter.
FROM (FROM counted QUALIFY off = max(off) OVER (PARTITION BY sku, key)) WHERE diff <> 0
UNION ALL
SELECT 'TRANSFER', sku, '', '', transfer, shipped, received, received - shipped
FROM transits WHERE (lost > 0 OR received > shipped) AND received <> shipped;

-- What the ERP must have been told: the change of stock on hand by document type.
CREATE OR REPLACE TABLE erp_totals AS
SELECT document_type, sku, location, sum(on_hand)::BIGINT AS quantity
FROM (
    SELECT document_type, sku, location, on_hand FROM moves
    UNION ALL
    SELECT 'COUNT', sku, location, diff FROM counted
)
GROUP BY ALL HAVING sum(on_hand) <> 0;
