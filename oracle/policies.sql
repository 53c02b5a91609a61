-- Rules and answers. In: in_force, policies, facts, ledger, stock.  Out: nodes, channels.
--
-- The policy that names more of SKU, channel and location wins; among equals the SKU counts most, then the
-- channel; then the latest effective, then the greatest key. A field that a policy leaves out is left to the
-- next. A policy waits for its date: now is the partition's last tick, else the SKU's clock.

CREATE OR REPLACE TABLE skus AS
WITH heard AS (
    SELECT part, sku,
        max(CASE WHEN type <> 'PolicyChanged' THEN event_time END) AS clock
    FROM facts WHERE sku <> '' AND verdict IN ('counts', 'superseded')
    GROUP BY ALL
),
ticks AS (
    SELECT part, max(event_time) AS tick FROM ledger WHERE type = 'TimeTicked' AND NOT malformed GROUP BY ALL
)
SELECT h.part, h.sku, h.clock, coalesce(t.tick, h.clock, 0) AS now FROM heard h LEFT JOIN ticks t USING (part);

CREATE OR REPLACE TABLE rules AS
SELECT p.*, f.key, f.sku, f.location, f.channel, f.event_time AS effective,
    printf('%d|%d|%020d|%s',
        (f.sku <> '')::INT + (f.channel <> '')::INT + (f.location <> '')::INT,
        4 * (f.sku <> '')::INT + 2 * (f.channel <> '')::INT + (f.location <> '')::INT,
        f.event_time, f.key) AS strength
FROM in_force f JOIN policies p USING (part, off)
WHERE f.type = 'PolicyChanged';

-- What holds for a SKU at a location, whatever the channel.
CREATE OR REPLACE TABLE nodes AS
WITH places AS (
    SELECT k.part, k.sku, k.now, s.location FROM stock s JOIN skus k USING (sku)
),
matching AS (
    SELECT p.sku, p.location, r.safety_stock, r.eligible, r.strength
    FROM places p JOIN rules r ON r.part = p.part AND r.sku = p.sku AND r.location = p.location
    WHERE r.channel = '' AND r.effective <= p.now
    UNION ALL
    SELECT p.sku, p.location, r.safety_stock, r.eligible, r.strength
    FROM places p JOIN rules r ON r.part = p.part AND r.sku = p.sku
    WHERE r.location = '' AND r.channel = '' AND r.effective <= p.now
    UNION ALL
    SELECT p.sku, p.location, r.safety_stock, r.eligible, r.strength
    FROM places p JOIN rules r ON r.part = p.part AND r.location = p.location
    WHERE r.sku = '' AND r.channel = '' AND r.effective <= p.now
    UNION ALL
    SELECT p.sku, p.location, r.safety_stock, r.eligible, r.strength
    FROM places p JOIN rules r ON r.part = p.part
    WHERE r.sku = '' AND r.location = '' AND r.channel = '' AND r.effective <= p.now
),
resolved AS (
    SELECT sku, location,
        max_by(safety_stock, strength) FILTER (safety_stock IS NOT NULL) AS safety_stock,
        max_by(eligible, strength) FILTER (eligible IS NOT NULL) AS eligible
    FROM matching GROUP BY ALL
)
SELECT s.*, coalesce(r.safety_stock, 0) AS safety_stock, coalesce(r.eligible, true) AS eligible,
    s.sellable + least(0, s.returned) + least(0, s.quarantine) + least(0, s.damaged)
        - coalesce(r.safety_stock, 0) AS atp_raw,
    if(coalesce(r.eligible, true), greatest(0, atp_raw), 0) AS atp
FROM stock s LEFT JOIN resolved r USING (sku, location);

-- A channel exists for a SKU once a policy declares it or an event of the SKU names it; `all` always.
CREATE OR REPLACE TABLE channels AS
WITH named AS (
    SELECT part, sku, channel FROM facts
    WHERE sku <> '' AND channel <> '' AND verdict IN ('counts', 'superseded')
    UNION
    SELECT part, sku, channel FROM in_force WHERE sku <> '' AND channel <> ''
    UNION
    SELECT k.part, k.sku, r.channel FROM skus k JOIN rules r ON r.part = k.part WHERE r.sku = '' AND r.channel <> ''
    UNION
    SELECT part, sku, 'all' FROM skus
),
known AS (
    SELECT n.part, n.sku, n.channel, k.now FROM named n JOIN skus k USING (part, sku)
),
matching AS (
    SELECT n.sku, n.channel, r.*
    FROM known n JOIN (SELECT * EXCLUDE (sku, channel), sku AS r_sku, channel AS r_channel FROM rules) r
        ON r.part = n.part AND r.r_channel = n.channel
    WHERE r.r_sku IN ('', n.sku) AND r.effective <= n.now
    UNION ALL
    SELECT n.sku, n.channel, r.*
    FROM known n JOIN (SELECT * EXCLUDE (sku, channel), sku AS r_sku, channel AS r_channel FROM rules) r
        ON r.part = n.part AND r.r_sku = n.sku
    WHERE r.r_channel = '' AND r.effective <= n.now
    UNION ALL
    SELECT n.sku, n.channel, r.*
    FROM known n JOIN (SELECT * EXCLUDE (sku, channel), sku AS r_sku, channel AS r_channel FROM rules) r
        ON r.part = n.part
    WHERE r.r_sku = '' AND r.r_channel = '' AND r.effective <= n.now
),
terms AS (
    -- A policy that names a location says nothing of the channel as a whole.
    SELECT sku, channel,
        max_by(share_percent, strength) FILTER (share_percent IS NOT NULL) AS share_percent,
        max_by(buffer, strength) FILTER (buffer IS NOT NULL) AS buffer,
        max_by(cap, strength) FILTER (cap IS NOT NULL) AS cap,
        max_by(locations, strength) FILTER (locations IS NOT NULL) AS locations
    FROM matching WHERE location = '' GROUP BY ALL
),
-- Whether the channel may use a location, beside what holds there for every channel.
open_at AS (
    SELECT n.sku, n.channel, d.location, max_by(m.eligible, m.strength) AS eligible
    FROM known n
    JOIN nodes d USING (sku)
    JOIN matching m ON m.sku = n.sku AND m.channel = n.channel AND m.location IN ('', d.location)
    WHERE m.eligible IS NOT NULL AND m.r_channel <> ''
    GROUP BY ALL
),
pools AS (
    SELECT n.sku, n.channel, coalesce(sum(d.atp), 0)::BIGINT AS pool
    FROM known n
    LEFT JOIN terms t USING (sku, channel)
    LEFT JOIN nodes d ON d.sku = n.sku AND (t.locations IS NULL OR list_contains(t.locations, d.location))
    LEFT JOIN open_at o ON o.sku = n.sku AND o.channel = n.channel AND o.location = d.location
    WHERE coalesce(o.eligible, true)
    GROUP BY ALL
)
SELECT n.part, n.sku, n.channel, coalesce(p.pool, 0) AS pool,
    least(coalesce(t.cap, 9223372036854775807), greatest(0,
        (coalesce(p.pool, 0) * coalesce(t.share_percent, 100)) // 100 - coalesce(t.buffer, 0))) AS atp
FROM known n
LEFT JOIN pools p USING (sku, channel)
LEFT JOIN terms t USING (sku, channel);
