-- What follows from rules. In: rules, in_force, facts, skus, stock, claims, dated, to_come.
-- Out: places, known_channels, matching_channels, terms.

-- What holds for a SKU at a location, whatever the channel.
CREATE OR REPLACE TABLE places AS
WITH heard AS (
    SELECT sku, location FROM stock
    UNION
    SELECT sku, location FROM claims
    UNION
    SELECT sku, location FROM dated WHERE location <> ''
    UNION
    SELECT sku, location FROM to_come
),
somewhere AS (
    SELECT k.part, k.sku, k.now, h.location FROM heard h JOIN skus k USING (sku)
),
matching AS (
    SELECT p.sku, p.location, r.* EXCLUDE (sku, location)
    FROM somewhere p JOIN rules r ON r.part = p.part AND r.sku = p.sku AND r.location = p.location
    WHERE r.channel = '' AND r.effective <= p.now
    UNION ALL
    SELECT p.sku, p.location, r.* EXCLUDE (sku, location)
    FROM somewhere p JOIN rules r ON r.part = p.part AND r.sku = p.sku
    WHERE r.location = '' AND r.channel = '' AND r.effective <= p.now
    UNION ALL
    SELECT p.sku, p.location, r.* EXCLUDE (sku, location)
    FROM somewhere p JOIN rules r ON r.part = p.part AND r.location = p.location
    WHERE r.sku = '' AND r.channel = '' AND r.effective <= p.now
    UNION ALL
    SELECT p.sku, p.location, r.* EXCLUDE (sku, location)
    FROM somewhere p JOIN rules r ON r.part = p.part
    WHERE r.sku = '' AND r.location = '' AND r.channel = '' AND r.effective <= p.now
),
resolved AS (
    SELECT sku, location,
        max_by(safety_stock, strength) FILTER (safety_stock IS NOT NULL) AS safety_stock,
        max_by(eligible, strength) FILTER (eligible IS NOT NULL) AS eligible,
        max_by(dock_days, strength) FILTER (dock_days IS NOT NULL) AS dock_days,
        max_by(max_slip_days, strength) FILTER (max_slip_days IS NOT NULL) AS max_slip_days,
        max_by(supplier_late_p90_days, strength) FILTER (supplier_late_p90_days IS NOT NULL) AS late_days,
        max_by(count_ordered, strength) FILTER (count_ordered IS NOT NULL) AS count_ordered
    FROM matching GROUP BY ALL
)
SELECT p.part, p.sku, p.location, coalesce(r.safety_stock, 0) AS safety_stock, coalesce(r.eligible, true) AS eligible,
    coalesce(r.dock_days, 0) AS dock_days, coalesce(r.max_slip_days, 30) AS max_slip_days,
    coalesce(r.late_days, 1) AS late_days, coalesce(r.count_ordered, false) AS count_ordered
FROM somewhere p LEFT JOIN resolved r USING (sku, location);

-- A channel exists for a SKU once a policy declares it or an event of the SKU names it; `all` always.
CREATE OR REPLACE TABLE known_channels AS
WITH named AS (
    SELECT part, sku, channel FROM facts
    WHERE sku <> '' AND channel <> '' AND verdict IN ('counts', 'superseded')
    UNION
    SELECT part, sku, channel FROM in_force WHERE sku <> '' AND channel <> ''
    UNION
    -- Any version of a policy declares its channel, also one that another has replaced.
    SELECT k.part, k.sku, f.channel FROM skus k JOIN facts f ON f.part = k.part
    WHERE f.type = 'PolicyChanged' AND f.sku = '' AND f.channel <> '' AND f.verdict IN ('counts', 'superseded')
    UNION
    SELECT part, sku, 'all' FROM skus
)
SELECT n.part, n.sku, n.channel, k.now FROM named n JOIN skus k USING (part, sku);

CREATE OR REPLACE TEMP TABLE matching_channels AS
SELECT n.sku, n.channel, r.*
FROM known_channels n JOIN (SELECT * EXCLUDE (sku, channel), sku AS r_sku, channel AS r_channel FROM rules) r
    ON r.part = n.part AND r.r_channel = n.channel
WHERE r.r_sku IN ('', n.sku) AND r.effective <= n.now
UNION ALL
SELECT n.sku, n.channel, r.*
FROM known_channels n JOIN (SELECT * EXCLUDE (sku, channel), sku AS r_sku, channel AS r_channel FROM rules) r
    ON r.part = n.part AND r.r_sku = n.sku
WHERE r.r_channel = '' AND r.effective <= n.now
UNION ALL
SELECT n.sku, n.channel, r.*
FROM known_channels n JOIN (SELECT * EXCLUDE (sku, channel), sku AS r_sku, channel AS r_channel FROM rules) r
    ON r.part = n.part
WHERE r.r_sku = '' AND r.r_channel = '' AND r.effective <= n.now;

-- A policy that names a location says nothing of the channel as a whole.
CREATE OR REPLACE TABLE terms AS
SELECT sku, channel,
    max_by(share_percent, strength) FILTER (share_percent IS NOT NULL) AS share_percent,
    max_by(buffer, strength) FILTER (buffer IS NOT NULL) AS buffer,
    max_by(cap, strength) FILTER (cap IS NOT NULL) AS cap,
    max_by(low_at, strength) FILTER (low_at IS NOT NULL) AS low_at,
    max_by(lag_s, strength) FILTER (lag_s IS NOT NULL) AS lag_s,
    max_by(min_life_days, strength) FILTER (min_life_days IS NOT NULL) AS min_life_days,
    max_by(order_lag_s, strength) FILTER (order_lag_s IS NOT NULL) AS order_lag_s,
    max_by(buffer_by_rate, strength) FILTER (buffer_by_rate IS NOT NULL) AS buffer_by_rate,
    max_by(locations, strength) FILTER (locations IS NOT NULL) AS locations
FROM matching_channels WHERE location = '' GROUP BY ALL;
