-- Records that cannot mean anything, beside those whose bytes could not be read.
-- In: ledger, replacements, particulars, letters.  Out: ledger.malformed.

CREATE OR REPLACE TEMP MACRO odd(text, longest) AS
    length(text) NOT BETWEEN 1 AND longest
    OR regexp_matches(text, '[\x00-\x1f\x7f-\x{9f}\x{2028}\x{2029}]');

CREATE OR REPLACE TEMP MACRO misnamed(name) AS
    odd(name, 64) OR contains(name, '|') OR regexp_matches(name, '^\s|\s$') OR nfc_normalize(name) <> name;

CREATE OR REPLACE TEMP MACRO no_bucket(word) AS word NOT IN ('sellable', 'returned', 'quarantine', 'damaged');

CREATE OR REPLACE TEMP MACRO no_time(time) AS
    time NOT BETWEEN 946684800000000 AND 4102444799999999;  -- 2000 to 2099

-- `r` is a row of ledger or replacements. NULL, where a part of it was left out, is no fault.
CREATE OR REPLACE TEMP MACRO unsound(r) AS coalesce(
    odd(r.source, 200) OR odd(r.doc_type, 200) OR odd(r.doc_id, 200)
    OR r.doc_line NOT BETWEEN 0 AND 2147483647 OR r.rev NOT BETWEEN 0 AND 2147483647
    OR no_time(r.event_time) OR coalesce(no_time(r.as_of), false)
    OR coalesce(r.source_seq < 0, false) OR coalesce(odd(r.reason, 1000), false)
    OR coalesce(odd(r.order_id, 200), false) OR coalesce(odd(r.transfer_id, 200), false)
    OR (r.location <> '' AND misnamed(r.location)) OR (r.channel <> '' AND misnamed(r.channel))
    OR CASE
        WHEN r.type = 'PolicyChanged' THEN r.quantity <> 0 OR (r.sku <> '' AND misnamed(r.sku))
        WHEN r.type = 'TimeTicked' THEN r.quantity <> 0 OR r.sku <> '' OR r.location <> ''
        WHEN r.type IN ('SaleVoided', 'ShipmentReversed', 'Correction') THEN
            misnamed(r.sku) OR r.quantity <> 0 OR r.rev <> 0
            OR odd(r.ref_source, 200) OR odd(r.ref_doc_type, 200) OR odd(r.ref_doc_id, 200)
            OR r.ref_doc_line NOT BETWEEN 0 AND 2147483647
            OR CASE r.type
                WHEN 'SaleVoided' THEN r.ref_type <> 'SaleRecorded'
                WHEN 'ShipmentReversed' THEN
                    r.ref_type NOT IN ('ShipmentConfirmed', 'PickupConfirmed', 'TransferShipped')
                ELSE r.ref_type NOT IN ('SaleRecorded', 'ShipmentConfirmed', 'PickupConfirmed', 'GoodsReceived',
                    'ReturnReceived', 'ReturnDispositioned', 'StockAdjusted', 'StatusChanged', 'Converted',
                    'TransferShipped', 'TransferReceived', 'TransferLost', 'CountRecorded', 'FinancialOnly',
                    'ReservationPlaced', 'ReservationDecided', 'ReservationConfirmed', 'ReservationReleased',
                    'OrderCancelled', 'OrderAllocated', 'PickConfirmed', 'PickFailed', 'TransferRequested',
                    'TransferApproved', 'TransferRejected', 'ReturnAuthorised', 'ReservationExpired')
            END
        WHEN r.type IN ('FinancialOnly', 'ReservationDecided', 'ReservationConfirmed', 'ReservationExpired',
            'OrderCancelled', 'TransferRejected', 'PurchaseOrderPlaced', 'PurchaseOrderChanged', 'SupplierConfirmed') THEN
            misnamed(r.sku) OR r.quantity NOT BETWEEN 0 AND 1000000000
        WHEN r.type = 'PurchaseOrderCancelled' THEN misnamed(r.sku) OR r.quantity <> 0
        WHEN r.type IN ('ReservationRequested', 'ReservationPlaced', 'ReservationReleased', 'AsnShipped',
            'TransferRequested', 'ReturnAuthorised', 'AllocationGranted', 'AllocationReturned') THEN
            misnamed(r.sku) OR r.quantity NOT BETWEEN 0 AND 1000000000 OR (r.quantity = 0 AND r.rev = 0)
            OR (r.type = 'TransferRequested' AND (misnamed(r.to_location) OR r.to_location = r.location))
        WHEN r.type = 'CountRecorded' THEN
            misnamed(r.sku) OR r.location = '' OR r.quantity NOT BETWEEN 0 AND 1000000000
            OR coalesce(r.as_of > r.event_time + 86400000000, false)
            OR (r.scope <> 'on_hand' AND no_bucket(r.scope))
        WHEN r.type = 'StockAdjusted' THEN
            misnamed(r.sku) OR r.location = '' OR abs(r.quantity) > 1000000000
            OR (r.quantity = 0 AND r.rev = 0) OR no_bucket(r.status)
        WHEN r.type = 'Converted' THEN
            misnamed(r.sku) OR r.location = '' OR abs(r.quantity) > 1000000000 OR (r.quantity = 0 AND r.rev = 0)
        WHEN r.type IN ('SaleRecorded', 'ShipmentConfirmed', 'PickupConfirmed', 'ReturnReceived',
            'ReturnDispositioned', 'GoodsReceived', 'StatusChanged', 'TransferShipped', 'TransferReceived',
            'TransferLost', 'OrderAllocated', 'PickConfirmed', 'PickFailed', 'TransferApproved') THEN
            misnamed(r.sku) OR r.location = '' OR r.quantity NOT BETWEEN 0 AND 1000000000
            OR (r.quantity = 0 AND r.rev = 0)
            OR CASE r.type
                WHEN 'ReturnDispositioned' THEN
                    r.disposition NOT IN ('sellable', 'damaged', 'quarantine', 'vendor_return', 'scrap')
                WHEN 'GoodsReceived' THEN no_bucket(r.to_status)
                WHEN 'StatusChanged' THEN
                    no_bucket(r.from_status) OR no_bucket(r.to_status) OR r.from_status = r.to_status
                WHEN 'TransferShipped' THEN misnamed(r.to_location) OR r.to_location = r.location
                WHEN 'TransferApproved' THEN misnamed(r.to_location) OR r.to_location = r.location
                ELSE false
            END
        ELSE false
    END,
    false);

-- `p` is a row of particulars.
CREATE OR REPLACE TEMP MACRO unsound_particulars(p) AS
    coalesce(odd(p.request_id, 200), false) OR coalesce(no_time(p.expires_at), false)
    OR coalesce(p.state NOT IN ('soft', 'firm'), false)
    OR coalesce(p.decision NOT IN ('accepted', 'partly', 'rejected'), false)
    OR coalesce(misnamed(p.from_location), false) OR coalesce(odd(p.po_id, 200), false)
    OR coalesce(p.po_line NOT BETWEEN 0 AND 2147483647, false)
    OR coalesce(p.priority NOT BETWEEN 0 AND 2147483647, false);

-- What a correction puts in the place of an event is another version of that very event.
UPDATE ledger SET malformed = true
FROM replacements r
WHERE r.part = ledger.part AND r.off = ledger.off AND NOT ledger.malformed AND (
    unsound(r) OR r.event_time > ledger.event_time + 86400000000 OR r.type <> ledger.ref_type
    OR r.source <> ledger.ref_source OR r.doc_type <> ledger.ref_doc_type
    OR r.doc_id <> ledger.ref_doc_id OR r.doc_line <> ledger.ref_doc_line OR r.sku <> ledger.sku);

UPDATE ledger SET malformed = true
FROM (
    SELECT part, off FROM ledger l WHERE NOT malformed AND unsound(l)
    UNION
    SELECT part, off FROM particulars p WHERE unsound_particulars(p)
) bad
WHERE bad.part = ledger.part AND bad.off = ledger.off;

-- What the pipeline had no room for counts for nobody. Which these are is taken from what it says.
UPDATE ledger SET malformed = true
FROM letters l
WHERE l.part = ledger.part AND l.off = ledger.off AND l.cause = 'row_full';
