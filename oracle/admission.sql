-- The records that may count, side by side with the versions that they compete with.
-- In: ledger, replacements, particulars.  Out: facts, every one presumed to count unless it is malformed.

CREATE OR REPLACE TABLE facts AS
WITH timed AS (
    SELECT ledger.*,
        max(CASE WHEN type = 'TimeTicked' AND NOT malformed THEN event_time END)
            OVER (PARTITION BY part ORDER BY off ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS tick,
        -- A request is known by its id, whatever paper it comes on.
        CASE WHEN request_id IS NOT NULL AND type = 'ReservationRequested' THEN 'request|' || request_id || '|' || sku
        ELSE replace(replace(source, '%', '%25'), '|', '%7C') || '|'
            || replace(replace(doc_type, '%', '%25'), '|', '%7C') || '|'
            || replace(replace(doc_id, '%', '%25'), '|', '%7C') || '|'
            || doc_line || '|' || type || '|' || sku END AS key
    FROM ledger LEFT JOIN particulars USING (part, off)
)
SELECT t.part, t.off, t.sku, t.type, t.event_time, t.channel, t.tick, t.key, t.malformed,
    t.type IN ('SaleVoided', 'ShipmentReversed', 'Correction') AS reversal,
    -- They say how things stand: never late, never of the future, never forgotten, and no clock of theirs runs.
    t.type IN ('PolicyChanged', 'AllocationGranted', 'AllocationReturned', 'PurchaseOrderPlaced',
        'PurchaseOrderChanged', 'PurchaseOrderCancelled', 'SupplierConfirmed', 'AsnShipped') AS statement,
    -- What it competes for: a reversal for the event that it names.
    CASE WHEN reversal
        THEN replace(replace(t.ref_source, '%', '%25'), '|', '%7C') || '|'
            || replace(replace(t.ref_doc_type, '%', '%25'), '|', '%7C') || '|'
            || replace(replace(t.ref_doc_id, '%', '%25'), '|', '%7C') || '|'
            || t.ref_doc_line || '|' || t.ref_type || '|' || t.sku
        ELSE t.key END AS chain,
    -- Versions by strength: any reversal beats any revision; the latest reversal, then the greatest key.
    CASE WHEN reversal
        THEN '1|' || printf('%020d', t.event_time) || '|' || t.key
        WHEN t.type = 'ReservationRequested' THEN '0'
        ELSE '0|' || printf('%020d', t.rev) END AS rank,
    -- The earliest time that it speaks of, by which it may be late.
    least(t.event_time, CASE WHEN t.type = 'CountRecorded' THEN t.as_of END,
        r.event_time, CASE WHEN r.type = 'CountRecorded' THEN r.as_of END) AS dated,
    -- The time at which it stands once it is in force.
    coalesce(r.event_time, t.event_time) AS stands_at,
    -- Everything that is business: not who carried it when, under which number.
    hash(t.type, t.event_time, t.location, t.channel, t.quantity, t.order_id, t.order_line, t.reason,
        t.disposition, t.status, t.from_status, t.to_status, t.to_location, t.transfer_id, t.transfer_line,
        t.as_of, t.scope, t.ref_type, t.ref_source, t.ref_doc_type, t.ref_doc_id, t.ref_doc_line,
        t.rest) AS business,
    CASE WHEN t.malformed THEN 'malformed' ELSE 'counts' END AS verdict,
    1 AS life
FROM timed t LEFT JOIN replacements r USING (part, off)
WHERE t.malformed OR statement OR reversal OR t.type IN (
    'SaleRecorded', 'ShipmentConfirmed', 'PickupConfirmed', 'GoodsReceived', 'ReturnReceived',
    'ReturnDispositioned', 'StockAdjusted', 'StatusChanged', 'Converted', 'TransferShipped', 'TransferReceived',
    'TransferLost', 'CountRecorded', 'FinancialOnly', 'ReservationRequested', 'ReservationPlaced',
    'ReservationDecided', 'ReservationConfirmed', 'ReservationReleased', 'OrderCancelled', 'OrderAllocated',
    'PickConfirmed', 'PickFailed', 'TransferRequested', 'TransferApproved', 'TransferRejected',
    'ReturnAuthorised', 'ReservationExpired');
