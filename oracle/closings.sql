-- Full counts that are closed. In: ledger, replacements, facts, in_force, variable `window_us`.  Out: closings.
--
-- A full count that is closed counts 0 of what no line of it lists, where that was known to be at the location by
-- then. It is of no use to a SKU whose clock is a window ahead of it.

CREATE OR REPLACE TABLE closings AS
WITH said AS (
    SELECT part, off, replace(replace(source, '%', '%25'), '|', '%7C') AS source_name, source, rev, sku AS only_sku,
        location, doc_id AS document, event_time, coalesce(as_of, event_time) AS as_of
    FROM ledger WHERE type = 'CountClosed' AND NOT malformed
),
known AS (
    SELECT h.part, h.sku, h.location, min(h.off) AS since
    FROM (
        SELECT part, off, sku, location FROM ledger WHERE location IN (SELECT location FROM said)
        UNION ALL
        SELECT part, off, sku, location FROM replacements WHERE location IN (SELECT location FROM said)
        UNION ALL
        SELECT part, off, sku, to_location FROM ledger WHERE to_location IN (SELECT location FROM said)
    ) h JOIN facts f USING (part, off)
    WHERE f.verdict = 'counts' AND NOT f.statement GROUP BY ALL
),
timed AS (
    SELECT s.*, k.sku, max(f.event_time) AS clock,
        (SELECT max(t.event_time) FROM ledger t
            WHERE t.type = 'TimeTicked' AND NOT t.malformed AND t.part = s.part AND t.off < s.off) AS tick
    FROM said s
    JOIN known k ON k.part = s.part AND k.location = s.location AND k.since < s.off
    JOIN facts f ON f.part = s.part AND f.sku = k.sku AND f.off < s.off
    WHERE s.only_sku IN ('', k.sku) AND f.verdict IN ('counts', 'superseded') AND NOT f.statement
    GROUP BY ALL
)
SELECT t.* FROM timed t
ANTI JOIN in_force c ON c.type = 'CountRecorded' AND c.sku = t.sku AND c.location = t.location
    AND c.doc_id = t.document AND (c.source = t.source OR c.off < t.off)
WHERE least(t.event_time, t.as_of) >= least(t.clock, t.tick) - getvariable('window_us')
    AND coalesce(t.event_time <= t.tick + 86400000000, true)
QUALIFY row_number() OVER (PARTITION BY t.source, t.document, t.sku ORDER BY t.rev DESC, t.off) = 1;
