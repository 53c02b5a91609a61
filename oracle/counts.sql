-- Counts against deltas in flight. In: in_force, tills, moves, seen, particulars, closings.  Out: counted.
--
-- Counts of a position are ordered by (as_of, event time, key). A count covers a move by time, or by sequence
-- for a source that it names; what one covers, all later ones cover. It expects the book of its scope over what
-- it covers, with the variances of the counts before it.

-- A count that left out what was picked already is raised by what of it had not left by then.
CREATE OR REPLACE TEMP TABLE picked AS
WITH claims AS (
    SELECT sku, location, event_time, if(type = 'PickConfirmed', quantity, -quantity) AS units,
        CASE
            WHEN type = 'TransferShipped' THEN 'transfer:' || coalesce(transfer_id, doc_id)
            ELSE coalesce(order_id, 'reservation:' || doc_id)
        END AS order_id,
        CASE
            WHEN type = 'TransferShipped' THEN coalesce(transfer_line, doc_line)
            WHEN order_id IS NULL THEN doc_line
            ELSE order_line
        END AS line
    FROM in_force
    WHERE type IN ('PickConfirmed', 'TransferShipped')
        OR (type IN ('ShipmentConfirmed', 'PickupConfirmed') AND order_id IS NOT NULL)
        OR (type = 'SaleRecorded' AND (part, off, key) IN (FROM tills))
),
by_line AS (
    SELECT c.part, c.off, greatest(0, sum(m.units)) AS units
    FROM in_force c JOIN particulars p USING (part, off) JOIN claims m
        ON m.sku = c.sku AND m.location = c.location AND m.event_time <= coalesce(c.as_of, c.event_time)
    WHERE c.type = 'CountRecorded' AND p.excludes = 'picked'
    GROUP BY c.part, c.off, m.order_id, m.line
)
SELECT part, off, sum(units)::BIGINT AS units FROM by_line GROUP BY ALL;

CREATE OR REPLACE TABLE counts AS
WITH lines AS (
    SELECT part, off, key, sku, location, doc_id AS document, quantity + coalesce(picked.units, 0) AS quantity, scope,
        coalesce(as_of, event_time) AS as_of, event_time
    FROM in_force LEFT JOIN picked USING (part, off)
    WHERE type = 'CountRecorded'
    UNION ALL
    SELECT part, off, source_name || '|closed count|' || document || '|0|CountRecorded|' || sku, sku, location, document,
        0, 'on_hand', as_of, event_time
    FROM closings
)
SELECT *, CASE scope WHEN 'on_hand' THEN 'sellable' ELSE scope END AS bucket,
    row_number() OVER (PARTITION BY sku, location ORDER BY as_of, event_time, key) AS nth
FROM lines;

CREATE OR REPLACE TABLE counted AS
WITH RECURSIVE first_cover AS (
    SELECT m.part, m.off, m.key, m.sku, m.location, m.sellable, m.returned, m.quarantine, m.damaged,
        min(c.nth) AS nth
    FROM moves m
    JOIN counts c USING (sku, location)
    LEFT JOIN seen s ON s.part = c.part AND s.off = c.off AND s.source = m.source AND m.source_seq IS NOT NULL
    WHERE CASE WHEN s.seq IS NULL THEN m.event_time <= c.as_of ELSE m.source_seq <= s.seq END
    GROUP BY ALL
),
newly AS (
    SELECT sku, location, nth, sum(sellable)::BIGINT AS sellable, sum(returned)::BIGINT AS returned,
        sum(quarantine)::BIGINT AS quarantine, sum(damaged)::BIGINT AS damaged
    FROM first_cover GROUP BY ALL
),
stepped AS (
    SELECT c.*, coalesce(n.sellable, 0) AS d_sellable, coalesce(n.returned, 0) AS d_returned,
        coalesce(n.quarantine, 0) AS d_quarantine, coalesce(n.damaged, 0) AS d_damaged
    FROM counts c LEFT JOIN newly n USING (sku, location, nth)
),
-- The covered book after each count, its own variance included.
walk AS (
    SELECT sku, location, 0::BIGINT AS nth, NULL::VARCHAR AS key, NULL::BIGINT AS expected,
        0::BIGINT AS sellable, 0::BIGINT AS returned, 0::BIGINT AS quarantine, 0::BIGINT AS damaged
    FROM counts WHERE nth = 1
    UNION ALL
    SELECT sku, location, nth, key, expected,
        sellable + CASE bucket WHEN 'sellable' THEN quantity - expected ELSE 0 END,
        returned + CASE bucket WHEN 'returned' THEN quantity - expected ELSE 0 END,
        quarantine + CASE bucket WHEN 'quarantine' THEN quantity - expected ELSE 0 END,
        damaged + CASE bucket WHEN 'damaged' THEN quantity - expected ELSE 0 END
    FROM (
        SELECT *,
            CASE scope
                WHEN 'on_hand' THEN sellable + returned + quarantine + damaged
                WHEN 'sellable' THEN sellable
                WHEN 'returned' THEN returned
                WHEN 'quarantine' THEN quarantine
                WHEN 'damaged' THEN damaged
            END AS expected
        FROM (
            SELECT s.sku, s.location, s.nth, s.key, s.scope, s.bucket, s.quantity,
                w.sellable + s.d_sellable AS sellable, w.returned + s.d_returned AS returned,
                w.quarantine + s.d_quarantine AS quarantine, w.damaged + s.d_damaged AS damaged
            FROM walk w
            JOIN stepped s ON s.sku = w.sku AND s.location = w.location AND s.nth = w.nth + 1
        )
    )
)
SELECT c.*, w.expected, c.quantity - w.expected AS diff
FROM counts c JOIN walk w USING (sku, location, nth);
