-- What the events in force moved. In: in_force, tills.  Out: moves, transits.

CREATE OR REPLACE TABLE moves AS
WITH entries AS (
    SELECT part, off, key, unnest(CASE type
        WHEN 'SaleRecorded' THEN
            -- The goods of an order leave by its hand-over; the till only takes the money, unless a policy says so.
            CASE WHEN order_id IS NULL OR (part, off, key) IN (FROM tills)
                THEN [{bucket: 'sellable', units: -quantity}] ELSE [] END
        WHEN 'ShipmentConfirmed' THEN [{bucket: 'sellable', units: -quantity}]
        WHEN 'PickupConfirmed' THEN [{bucket: 'sellable', units: -quantity}]
        WHEN 'TransferShipped' THEN [{bucket: 'sellable', units: -quantity}]
        WHEN 'TransferReceived' THEN [{bucket: 'sellable', units: quantity}]
        WHEN 'ReturnReceived' THEN [{bucket: 'returned', units: quantity}]
        WHEN 'ReturnDispositioned' THEN
            [{bucket: 'returned', units: -quantity}, {bucket: disposition, units: quantity}]
        WHEN 'GoodsReceived' THEN [{bucket: to_status, units: quantity}]
        WHEN 'StockAdjusted' THEN [{bucket: status, units: quantity}]
        WHEN 'Converted' THEN [{bucket: 'sellable', units: quantity}]
        WHEN 'StatusChanged' THEN [{bucket: from_status, units: -quantity}, {bucket: to_status, units: quantity}]
        ELSE [] END) AS entry
    FROM in_force
),
vectors AS (
    SELECT part, off, key,
        sum(CASE WHEN entry.bucket = 'sellable' THEN entry.units ELSE 0 END)::BIGINT AS sellable,
        sum(CASE WHEN entry.bucket = 'returned' THEN entry.units ELSE 0 END)::BIGINT AS returned,
        sum(CASE WHEN entry.bucket = 'quarantine' THEN entry.units ELSE 0 END)::BIGINT AS quarantine,
        sum(CASE WHEN entry.bucket = 'damaged' THEN entry.units ELSE 0 END)::BIGINT AS damaged
    FROM entries GROUP BY ALL
)
SELECT v.*, f.sku, f.location, f.type, f.event_time, f.source, f.source_seq,
    v.sellable + v.returned + v.quarantine + v.damaged AS on_hand,
    CASE f.type
        WHEN 'SaleRecorded' THEN 'GI_SALE'
        WHEN 'ShipmentConfirmed' THEN 'GI_SHIP'
        WHEN 'PickupConfirmed' THEN 'GI_SHIP'
        WHEN 'GoodsReceived' THEN 'GR'
        WHEN 'ReturnReceived' THEN 'RETURN'
        WHEN 'TransferShipped' THEN 'TRF_OUT'
        WHEN 'TransferReceived' THEN 'TRF_IN'
        WHEN 'StatusChanged' THEN 'RECLASS'
        WHEN 'ReturnDispositioned' THEN
            CASE f.disposition WHEN 'scrap' THEN 'ADJ' WHEN 'vendor_return' THEN 'RTV' ELSE 'RECLASS' END
        WHEN 'Converted' THEN 'ADJ'
        WHEN 'StockAdjusted' THEN CASE f.reason WHEN 'vendor_return' THEN 'RTV' ELSE 'ADJ' END
    END AS document_type
FROM vectors v JOIN in_force f USING (part, off, key);

-- Lines of transfers. What is on the way is bound for where most was shipped, the first by name among equals;
-- without `transfer` the document is the transfer.
CREATE OR REPLACE TABLE transits AS
WITH papers AS (
    SELECT sku, coalesce(transfer_id, doc_id) AS transfer, coalesce(transfer_line, doc_line) AS line,
        type, to_location, quantity
    FROM in_force
    WHERE type IN ('TransferShipped', 'TransferReceived', 'TransferLost') AND quantity <> 0
),
bound AS (
    SELECT sku, transfer, line, to_location, sum(quantity) AS units
    FROM papers WHERE type = 'TransferShipped' GROUP BY ALL
),
destinations AS (
    SELECT sku, transfer, line, first(to_location ORDER BY units DESC, to_location) AS destination
    FROM bound GROUP BY ALL
),
summed AS (
    SELECT sku, transfer, line,
        coalesce(sum(quantity) FILTER (type = 'TransferShipped'), 0)::BIGINT AS shipped,
        coalesce(sum(quantity) FILTER (type = 'TransferReceived'), 0)::BIGINT AS received,
        coalesce(sum(quantity) FILTER (type = 'TransferLost'), 0)::BIGINT AS lost
    FROM papers GROUP BY ALL
)
SELECT s.*, d.destination FROM summed s LEFT JOIN destinations d USING (sku, transfer, line);
