-- Order lines, and the units that they claim. In: in_force, tills, particulars, answers, skus.
-- Out: said_of_lines, lines, placed, claims, pending, dated.

CREATE OR REPLACE TABLE said_of_lines AS
WITH decided AS (
    SELECT DISTINCT ON (sku, request_id) sku, request_id, decision, quantity, channel, state, expires_at FROM answers
)
SELECT f.sku, f.type, f.location, f.event_time,
    if(f.type = 'ReservationRequested', coalesce(d.channel, f.channel), f.channel) AS channel,
    f.quantity, p.from_location, p.need_day,
    CASE
        WHEN starts_with(f.type, 'Transfer') THEN 'transfer:' || coalesce(f.transfer_id, f.doc_id)
        WHEN f.order_id IS NOT NULL THEN f.order_id
        WHEN f.type IN ('ReservationRequested', 'ReservationDecided') THEN 'request:' || p.request_id
        ELSE 'reservation:' || f.doc_id
    END AS order_id,
    CASE
        WHEN starts_with(f.type, 'Transfer') THEN coalesce(f.transfer_line, f.doc_line)
        WHEN f.order_id IS NOT NULL THEN f.order_line
        WHEN f.type IN ('ReservationRequested', 'ReservationDecided') THEN 1
        ELSE f.doc_line
    END AS line,
    -- A request takes what its logged answer accepted, whatever is there by now.
    CASE
        WHEN f.type IN ('ReservationPlaced', 'TransferApproved') THEN f.quantity
        WHEN f.type = 'ReservationDecided' AND p.decision <> 'rejected' THEN f.quantity
        WHEN f.type = 'ReservationRequested' THEN coalesce(d.quantity, 0)
        ELSE 0
    END AS takes,
    CASE f.type WHEN 'TransferApproved' THEN 'firm' WHEN 'ReservationRequested' THEN d.state ELSE p.state END AS state,
    CASE f.type WHEN 'ReservationRequested' THEN d.expires_at ELSE p.expires_at END AS expires_at,
    CASE WHEN f.type IN ('ShipmentConfirmed', 'PickupConfirmed', 'TransferShipped', 'SaleRecorded')
        THEN f.quantity ELSE 0 END AS leaves
FROM in_force f
LEFT JOIN particulars p USING (part, off)
LEFT JOIN decided d ON d.sku = f.sku
    AND d.request_id = CASE f.type
        WHEN 'ReservationRequested' THEN p.request_id
        WHEN 'ReservationConfirmed' THEN if(f.corrected, NULL, f.key || if(f.rev > 0, '@' || f.rev, ''))
    END
WHERE (f.type IN ('ReservationPlaced', 'ReservationRequested', 'ReservationDecided', 'ReservationConfirmed',
        'ReservationReleased', 'ReservationExpired', 'OrderCancelled', 'OrderAllocated', 'PickConfirmed', 'PickFailed',
        'ShipmentConfirmed', 'PickupConfirmed', 'TransferApproved', 'TransferShipped', 'TransferRejected')
        OR (f.type = 'SaleRecorded' AND (f.part, f.off, f.key) IN (FROM tills)))
    -- What leaves without an order is nobody's claim.
    AND (f.order_id IS NOT NULL OR f.type NOT IN ('ShipmentConfirmed', 'PickupConfirmed'))
    -- A line that had expired is confirmed by a decision only, under the key of the confirmation and its revision.
    AND NOT (f.type = 'ReservationConfirmed' AND coalesce(d.decision = 'rejected', false));

CREATE OR REPLACE TEMP TABLE lines_at AS
SELECT sku, order_id, line, location,
    sum(CASE type WHEN 'OrderAllocated' THEN quantity ELSE 0 END)::BIGINT AS allocated,
    sum(CASE type WHEN 'PickFailed' THEN quantity ELSE 0 END)::BIGINT AS failed,
    sum(leaves)::BIGINT AS consumed,
    sum(takes)::BIGINT AS reserved
FROM (
    SELECT sku, order_id, line, location, type, quantity, leaves, takes FROM said_of_lines
    UNION ALL
    SELECT sku, order_id, line, from_location, type, -quantity, 0, 0 FROM said_of_lines
    WHERE type = 'OrderAllocated' AND from_location IS NOT NULL
)
WHERE location <> '' GROUP BY ALL;

CREATE OR REPLACE TABLE lines AS
-- Another system lets run out what was taken up to then; what was taken later runs out by itself.
WITH let_go AS (
    SELECT sku, order_id, line, event_time AS ended FROM said_of_lines WHERE type = 'ReservationExpired'
),
ending AS (
    SELECT s.* REPLACE (CASE WHEN g.ended < s.expires_at OR s.expires_at IS NULL THEN g.ended ELSE s.expires_at END
        AS expires_at)
    FROM said_of_lines s ASOF LEFT JOIN let_go g
        ON g.sku = s.sku AND g.order_id = s.order_id AND g.line = s.line AND g.ended >= s.event_time
),
summed AS (
    SELECT sku, order_id, line,
        sum(takes)::BIGINT AS requested,
        coalesce(sum(quantity) FILTER (type IN ('ReservationReleased', 'OrderCancelled')), 0)::BIGINT AS released,
        bool_or(type = 'TransferRejected' OR (type = 'OrderCancelled' AND quantity = 0)) AS cancelled,
        bool_or(type = 'ReservationConfirmed' OR (takes > 0 AND state = 'firm')) AS firm,
        sum(leaves)::BIGINT AS consumed,
        -- The line runs out with the last of its takes, if each of them does.
        CASE WHEN bool_and(expires_at IS NOT NULL) FILTER (takes > 0)
            THEN (max(expires_at) FILTER (takes > 0) + 999999) // 1000000 * 1000000 END AS expires_at,
        max(need_day) FILTER (takes > 0) AS need_day,
        coalesce(nullif(coalesce(max(channel) FILTER (takes > 0), max(channel) FILTER (leaves > 0)), ''), 'all')
            AS channel,
        coalesce(min(event_time) FILTER (takes > 0), min(event_time) FILTER (leaves > 0)) AS began
    FROM ending GROUP BY ALL
),
held AS (
    SELECT DISTINCT sku, order_id, line FROM lines_at WHERE allocated > 0
)
SELECT s.* EXCLUDE (firm, need_day),
    s.firm OR h.sku IS NOT NULL AS is_firm,
    if(s.need_day > k.today, s.need_day, NULL) AS need_day,
    NOT is_firm AND coalesce(s.expires_at <= k.tick, false) AS expired,
    if(s.cancelled OR expired, 0, greatest(0, s.requested - s.released - s.consumed)) AS open,
    greatest(if(s.cancelled OR expired, 0, s.requested - s.released), s.consumed) AS taken
FROM summed s JOIN skus k USING (sku) LEFT JOIN held h USING (sku, order_id, line);

-- Open units lie first where they were allocated, then where they were reserved, locations by name.
CREATE OR REPLACE TABLE placed AS
WITH room AS (
    SELECT sku, order_id, line, location, 1 AS step, greatest(0, allocated - failed - consumed) AS units
    FROM lines_at
    UNION ALL
    SELECT sku, order_id, line, location, 2, greatest(0, reserved + least(0, allocated) - failed
        - greatest(0, consumed - greatest(0, allocated - failed)))
    FROM lines_at
)
SELECT sku, order_id, line, location, l.channel, l.need_day,
    CASE WHEN step = 1 THEN 'allocated' WHEN l.is_firm THEN 'reserved_firm' ELSE 'reserved_soft' END AS counter,
    greatest(0, least(r.units, l.open - coalesce(sum(r.units) OVER before, 0)))::BIGINT AS units
FROM room r JOIN lines l USING (sku, order_id, line)
WHERE l.open > 0
WINDOW before AS (
    PARTITION BY sku, order_id, line ORDER BY step, location ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
QUALIFY units > 0;

-- What is due is claimed now, at a node or of the network; what is due later waits for its day.
CREATE OR REPLACE TABLE claims AS
SELECT sku, location,
    coalesce(sum(units) FILTER (counter = 'reserved_soft'), 0)::BIGINT AS reserved_soft,
    coalesce(sum(units) FILTER (counter = 'reserved_firm'), 0)::BIGINT AS reserved_firm,
    coalesce(sum(units) FILTER (counter = 'allocated'), 0)::BIGINT AS allocated
FROM placed WHERE need_day IS NULL GROUP BY ALL;

CREATE OR REPLACE TEMP TABLE waiting AS
SELECT sku, channel, need_day, l.open - coalesce(p.units, 0) AS units
FROM lines l
LEFT JOIN (SELECT sku, order_id, line, sum(units)::BIGINT AS units FROM placed GROUP BY ALL) p
    USING (sku, order_id, line)
WHERE l.open > coalesce(p.units, 0);

CREATE OR REPLACE TABLE pending AS
SELECT sku, channel, sum(units)::BIGINT AS units FROM waiting WHERE need_day IS NULL GROUP BY ALL;

CREATE OR REPLACE TABLE dated AS
SELECT sku, need_day AS day, channel, location, sum(units)::BIGINT AS units
FROM (
    SELECT sku, need_day, channel, location, units FROM placed
    UNION ALL
    SELECT sku, need_day, channel, '', units FROM waiting
)
WHERE need_day IS NOT NULL GROUP BY ALL HAVING sum(units) > 0;
