-- Records that cannot mean anything, beside those whose bytes could not be read. In: ledger.  Out: ledger.malformed.

UPDATE ledger SET malformed = true
WHERE NOT malformed AND (
    (type IN ('SaleRecorded', 'ShipmentConfirmed', 'PickupConfirmed', 'ReturnReceived', 'ReturnDispositioned',
        'GoodsReceived', 'TransferShipped', 'TransferReceived', 'TransferLost', 'StockAdjusted', 'StatusChanged',
        'CountRecorded', 'FinancialOnly', 'SaleVoided', 'ShipmentReversed', 'Correction') AND sku = '')
);
