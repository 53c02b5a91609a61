-- Which versions stand. In: ledger, replacements, facts, timely, policies.  Out: in_force, rules, tills.

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

-- Sales of orders that hand goods over, by the policies as they stood when the till's line came: of each the
-- version that was then the last. It is not judged anew.
CREATE OR REPLACE TABLE tills AS
WITH versions AS (
    SELECT f.part, f.off, f.key, l.sku, l.location, l.channel, l.event_time, p.till_is_handover,
        printf('%d|%d|%020d|%s',
            (l.sku <> '')::INT + (l.channel <> '')::INT + (l.location <> '')::INT,
            4 * (l.sku <> '')::INT + 2 * (l.channel <> '')::INT + (l.location <> '')::INT,
            l.event_time, f.key) AS strength
    FROM facts f JOIN policies p USING (part, off) JOIN ledger l USING (part, off)
    WHERE f.verdict = 'counts'
        AND (f.part, f.key) IN (SELECT (part, key) FROM facts JOIN policies USING (part, off)
            WHERE till_is_handover IS NOT NULL)
),
then_in_force AS (
    SELECT s.part, s.off, s.key, v.key AS policy, max_by(v, v.off) AS v,
        any_value(s.sku) AS sku, any_value(s.location) AS location, any_value(s.channel) AS channel,
        any_value(coalesce(t.tick, greatest(t.oldest + getvariable('window_us'), s.event_time))) AS now
    FROM in_force s JOIN timely t USING (part, off) JOIN versions v ON v.part = s.part AND v.off < s.off
    WHERE s.type = 'SaleRecorded' AND s.order_id IS NOT NULL
    GROUP BY ALL
)
SELECT part, off, key FROM then_in_force
WHERE v.till_is_handover IS NOT NULL AND v.sku IN ('', sku) AND v.location IN ('', location)
    AND v.channel IN ('', channel) AND v.event_time <= now
GROUP BY ALL HAVING max_by(v.till_is_handover, v.strength);
