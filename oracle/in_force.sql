-- Which versions stand. In: ledger, replacements, facts, policies.  Out: in_force, rules, tills.

CREATE OR REPLACE TABLE in_force AS
WITH winner AS (
    SELECT part, chain, life, max_by(off, rank) AS off, max_by(reversal, rank) AS reversal
    FROM facts
    WHERE verdict = 'counts'
    GROUP BY ALL
)
SELECT w.chain AS key, false AS corrected, l.* FROM winner w JOIN ledger l USING (part, off) WHERE NOT w.reversal
UNION ALL
-- A void or a reversal leaves nothing of the event that it names, a correction its replacement.
SELECT w.chain AS key, true AS corrected, r.* FROM winner w JOIN replacements r USING (part, off) WHERE w.reversal;

-- The policy that names more of SKU, channel and location wins; among equals the SKU counts most, then the
-- channel; then the latest effective, then the greatest key. A field that a policy leaves out is left to the
-- next. A policy waits for its date: now is the partition's last tick, else the SKU's clock.
CREATE OR REPLACE TABLE rules AS
SELECT p.*, f.key, f.sku, f.location, f.channel, f.event_time AS effective,
    printf('%d|%d|%020d|%s',
        (f.sku <> '')::INT + (f.channel <> '')::INT + (f.location <> '')::INT,
        4 * (f.sku <> '')::INT + 2 * (f.channel <> '')::INT + (f.location <> '')::INT,
        f.event_time, f.key) AS strength
FROM in_force f JOIN policies p USING (part, off)
WHERE f.type = 'PolicyChanged';

-- Sales of orders that hand goods over, by the policy that held when the till's line came: it is not judged anew.
CREATE OR REPLACE TABLE tills AS
SELECT s.part, s.off, s.key
FROM in_force s JOIN facts f USING (part, off)
JOIN (FROM rules WHERE till_is_handover IS NOT NULL) r ON r.part = s.part AND r.off < s.off
    AND r.sku IN ('', s.sku) AND r.location IN ('', s.location) AND r.channel IN ('', s.channel)
    AND r.effective <= coalesce(f.tick, s.event_time)
WHERE s.type = 'SaleRecorded' AND s.order_id IS NOT NULL
GROUP BY ALL HAVING max_by(r.till_is_handover, r.strength);
