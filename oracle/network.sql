-- Nodes, and what is promised without one. In: stock, claims, expired, held, places, pending, dated, to_come, rings' papers in
-- in_force and particulars, lines.  Out: nodes, rings, promised, sells_at, served, meets, sums, inbound, own_lots,
-- dated_in_time.
--
-- Most SKUs have promised nothing that no node holds: what their channels may promise is a sum over nodes. The
-- others (`promised`) wait for a maximum flow (network.py).

CREATE OR REPLACE TABLE nodes AS
SELECT p.sku, p.location, coalesce(s.sellable, 0) AS sellable, coalesce(s.returned, 0) AS returned,
    coalesce(s.quarantine, 0) AS quarantine, coalesce(s.damaged, 0) AS damaged, coalesce(s.on_hand, 0) AS on_hand,
    coalesce(s.in_transit_in, 0) AS in_transit_in, p.safety_stock, p.eligible,
    coalesce(c.reserved_soft, 0) AS reserved_soft, coalesce(c.reserved_firm, 0) AS reserved_firm,
    coalesce(c.allocated, 0) AS allocated,
    least(0, s.returned) + least(0, s.quarantine) + least(0, s.damaged) AS debts,
    coalesce(x.units, 0) AS expired,
    coalesce(s.sellable + debts, 0) - coalesce(x.units, 0) AS available,
    coalesce(c.reserved_soft + c.reserved_firm + c.allocated, 0) AS claims,
    available - claims - p.safety_stock AS atp_raw,
    if(p.eligible, greatest(0, atp_raw), 0) AS trusted,
    CASE coalesce(h.haircut, 0)
        WHEN 0 THEN 0 WHEN 5 THEN greatest(1, (trusted * 5 + 99) // 100)
        WHEN 15 THEN greatest(2, (trusted * 15 + 99) // 100) ELSE trusted END AS withheld,
    greatest(0, trusted - withheld) AS atp,
    greatest(0, claims - greatest(0, available)) AS uncovered
FROM places p LEFT JOIN stock s USING (sku, location) LEFT JOIN claims c USING (sku, location)
LEFT JOIN expired x USING (sku, location)
-- How far a position is to be trusted is the pipeline's own judgement: the tier (percent) is taken from it.
LEFT JOIN held h USING (sku, location);

-- Ring-fences: what was granted less what was given back, and what the channel took since its first grant. A
-- grant waits for its date.
CREATE OR REPLACE TABLE rings AS
WITH papers AS (
    SELECT f.sku, coalesce(nullif(f.channel, ''), 'all') AS channel, f.key, f.event_time, f.quantity,
        f.type = 'AllocationGranted' AS grants, p.priority
    FROM in_force f JOIN skus k USING (part, sku) LEFT JOIN particulars p USING (part, off)
    WHERE f.type IN ('AllocationGranted', 'AllocationReturned') AND f.quantity > 0 AND f.event_time <= k.now
),
granted AS (
    SELECT sku, channel, sum(if(grants, quantity, -quantity))::BIGINT AS granted,
        min(event_time) FILTER (grants) AS first,
        coalesce(first(priority ORDER BY event_time DESC, key DESC) FILTER (grants), 0) AS priority
    FROM papers GROUP BY ALL HAVING first IS NOT NULL
),
takings AS (
    SELECT sku, channel, began AS event_time, taken AS units FROM lines WHERE began IS NOT NULL
    UNION ALL
    SELECT f.sku, coalesce(nullif(f.channel, ''), 'all'), f.event_time, f.quantity
    FROM in_force f SEMI JOIN granted g ON g.sku = f.sku
    WHERE f.type IN ('SaleRecorded', 'ShipmentConfirmed', 'PickupConfirmed') AND f.order_id IS NULL
)
SELECT g.*, coalesce(t.taken, 0)::BIGINT AS taken, greatest(0, g.granted - coalesce(t.taken, 0))::BIGINT AS open
FROM granted g LEFT JOIN (
    SELECT g.sku, g.channel, sum(t.units) AS taken
    FROM granted g JOIN takings t ON t.sku = g.sku AND t.channel = g.channel AND t.event_time >= g.first
    GROUP BY ALL
) t USING (sku, channel);

CREATE OR REPLACE TABLE promised AS
SELECT sku FROM pending
UNION SELECT sku FROM nodes WHERE uncovered > 0
UNION SELECT sku FROM rings
UNION SELECT sku FROM dated
UNION SELECT sku FROM to_come
-- Those of which a request asks how much it may take.
UNION SELECT sku FROM asked
-- What lasts longer is promised to some only.
UNION SELECT sku FROM said_of_lots
UNION SELECT sku FROM lives WHERE life > 0;

-- Where a channel sells, of SKUs that have promised something, or whose buffers follow what is drawn: at the places
-- that are heard of, at those that a policy names, and at any other, which is called ''. Whether a place is open at all
-- is another question.
CREATE OR REPLACE TABLE sells_at AS
WITH meant AS (
    SELECT sku FROM promised UNION SELECT sku FROM drawn
),
grounds AS (
    SELECT sku, location FROM places SEMI JOIN meant USING (sku)
    UNION
    SELECT k.sku, unnest(r.locations || [r.location, '']) AS location
    FROM skus k SEMI JOIN meant USING (sku) JOIN rules r ON r.part = k.part AND r.sku IN ('', k.sku)
    UNION
    SELECT sku, '' FROM meant
),
open_at AS (
    SELECT g.sku, m.channel, g.location, max_by(m.eligible, m.strength) AS eligible
    FROM grounds g JOIN matching_channels m ON m.sku = g.sku AND m.location IN ('', g.location)
    WHERE m.eligible IS NOT NULL AND m.r_channel <> ''
    GROUP BY ALL
)
SELECT n.sku, n.channel, g.location
FROM known_channels n
JOIN grounds g USING (sku)
LEFT JOIN terms t ON t.sku = n.sku AND t.channel = n.channel
LEFT JOIN open_at o ON o.sku = n.sku AND o.channel = n.channel AND o.location = g.location
WHERE coalesce(o.eligible, true) AND (t.locations IS NULL OR list_contains(t.locations, g.location));

CREATE OR REPLACE TABLE served AS
SELECT s.* FROM sells_at s JOIN places p USING (sku, location) WHERE p.eligible;

-- Which channels could sell from one place.
CREATE OR REPLACE TABLE meets AS
WITH together AS (
    SELECT DISTINCT sku, channels
    FROM (SELECT sku, location, list(channel ORDER BY channel) AS channels FROM sells_at GROUP BY ALL)
)
SELECT DISTINCT sku, mine.channel, other.channel AS other
FROM together, unnest(channels) AS mine(channel), unnest(channels) AS other(channel);

CREATE OR REPLACE TABLE sums AS
WITH open_at AS (
    SELECT d.sku, m.channel, d.location, max_by(m.eligible, m.strength) AS eligible
    FROM nodes d JOIN matching_channels m ON m.sku = d.sku AND m.location IN ('', d.location)
    WHERE m.eligible IS NOT NULL AND m.r_channel <> ''
    GROUP BY ALL
)
SELECT n.sku, n.channel, coalesce(sum(d.atp), 0)::BIGINT AS units
FROM known_channels n
ANTI JOIN promised USING (sku)
LEFT JOIN terms t ON t.sku = n.sku AND t.channel = n.channel
LEFT JOIN nodes d ON d.sku = n.sku AND (t.locations IS NULL OR list_contains(t.locations, d.location))
LEFT JOIN open_at o ON o.sku = n.sku AND o.channel = n.channel AND o.location = d.location
WHERE coalesce(o.eligible, true)
GROUP BY ALL;

-- Goods that are past due come as late as the supplier's goods do, and not at all once they slipped too far.
CREATE OR REPLACE TABLE inbound AS
SELECT c.sku, c.state, c.location, c.units, c.eta_day + p.dock_days < k.today AS overdue,
    if(overdue, k.today + greatest(1, p.late_days), c.eta_day + p.dock_days)::INT AS day
FROM to_come c JOIN places p USING (sku, location) JOIN skus k USING (sku)
WHERE k.today IS NOT NULL AND (c.state <> 'ordered' OR p.count_ordered)
    AND k.today - (c.eta_day + p.dock_days) <= p.max_slip_days;

-- Demand of later days, by who serves it: where a node is chosen it is that one, as far as it has the units by then
-- beside what is due before; else anybody. What is due beyond the horizon must be left at its end.
CREATE OR REPLACE TABLE own_lots AS
SELECT DISTINCT sku, location, ['|place|' || location] AS own FROM dated WHERE location <> '';

CREATE OR REPLACE TABLE dated_in_time AS
WITH due AS (
    SELECT d.sku, d.channel, d.location, least(d.day, k.today + 180) AS day, d.units FROM dated d JOIN skus k USING (sku)
),
asked AS (
    SELECT sku, location, day, sum(units)::BIGINT AS units FROM due WHERE location <> '' GROUP BY ALL
),
comes AS (
    SELECT i.sku, i.location, i.day, i.units FROM inbound i JOIN places p USING (sku, location) JOIN skus k USING (sku)
    WHERE p.eligible AND i.day <= k.today + 180
),
sides AS (
    SELECT a.*, sum(a.units) OVER (PARTITION BY sku, location ORDER BY day) AS wanted,
        coalesce((SELECT n.atp FROM nodes n WHERE n.sku = a.sku AND n.location = a.location), 0)
        + coalesce((SELECT sum(c.units) FROM comes c WHERE c.sku = a.sku AND c.location = a.location AND c.day <= a.day), 0)
            AS there
    FROM asked a
),
-- What is served by each day is what was wanted by then, less the most that was ever missing.
served_by AS (
    SELECT *, wanted + least(0, min(there - wanted) OVER (PARTITION BY sku, location ORDER BY day)) AS done FROM sides
),
parts AS (
    SELECT *, (done - lag(done, 1, 0) OVER (PARTITION BY sku, location ORDER BY day))::BIGINT AS sure FROM served_by
)
SELECT sku, channel, '' AS location, day, units FROM due WHERE location = ''
UNION ALL
SELECT sku, '', location, day, sure FROM parts WHERE sure > 0
UNION ALL
SELECT sku, '', '', day, units - sure FROM parts WHERE units > sure;
