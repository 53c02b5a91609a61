-- Where the pipeline's answers differ from the judge's. In: what `dump` and `recompute` filled.
-- Out: differences (what, key, expected, found): the judge's figures, and the pipeline's.

CREATE OR REPLACE TEMP MACRO figures(sellable, returned, quarantine, damaged, in_transit_in) AS
    format('sellable {}, returned {}, quarantine {}, damaged {}, in_transit_in {}',
        sellable, returned, quarantine, damaged, in_transit_in);

CREATE OR REPLACE TABLE differences (what VARCHAR, key VARCHAR, expected VARCHAR, found VARCHAR);

-- Tables. A row of zeros and no row are the same.
INSERT INTO differences
WITH both_sides AS (
    SELECT sku, location,
        figures(coalesce(n.sellable, 0), coalesce(n.returned, 0), coalesce(n.quarantine, 0),
            coalesce(n.damaged, 0), coalesce(n.in_transit_in, 0)) AS expected,
        figures(coalesce(h.sellable, 0), coalesce(h.returned, 0), coalesce(h.quarantine, 0),
            coalesce(h.damaged, 0), coalesce(h.in_transit_in, 0)) AS found
    FROM nodes n FULL JOIN held h USING (sku, location)
)
SELECT 'position', sku || ' at ' || location, expected, found FROM both_sides WHERE expected <> found;

INSERT INTO differences
SELECT 'terms of a position', sku || ' at ' || location,
    format('safety_stock {}, eligible {}, atp {}', n.safety_stock, n.eligible, n.atp),
    format('safety_stock {}, eligible {}, atp {}', h.safety_stock, h.eligible, h.atp)
FROM nodes n JOIN held h USING (sku, location)
WHERE (n.safety_stock, n.eligible, n.atp) <> (h.safety_stock, h.eligible, h.atp);

INSERT INTO differences
SELECT 'channel in the table', channel || '|' || sku, format('atp {}', c.atp), format('atp {}', h.atp)
FROM channels c FULL JOIN held_channels h USING (sku, channel)
WHERE coalesce(c.atp, 0) <> coalesce(h.atp, 0);

-- Last availability per key. Through channels a kit is answered for by what its parts leave (compare_kits.sql).
CREATE OR REPLACE TEMP TABLE sold AS
SELECT c.channel || '|' || c.sku AS key, c.* FROM channels c
WHERE c.sku NOT IN (SELECT kit FROM kits);

-- What a channel's policy holds back is answered all the same, only not told yet; but never that nothing is left.
CREATE OR REPLACE TEMP TABLE answered AS
SELECT p.key, coalesce(h.atp, p.atp) AS atp, if(h.key IS NULL, p.horizon, h.horizon) AS horizon,
    if(h.key IS NULL, p.next_available, h.next_available) AS next_available
FROM published p LEFT JOIN held_back h USING (key)
WHERE NOT of_kit AND (key IN (SELECT key FROM sold) OR key NOT IN (SELECT channel || '|' || sku FROM channels));

INSERT INTO differences
SELECT 'held back', key, format('atp {}', h.atp), format('atp {}', p.atp)
FROM held_back h JOIN published p USING (key)
WHERE (h.atp = 0) <> (p.atp = 0);

INSERT INTO differences
WITH expected AS (
    SELECT key, atp FROM sold
    UNION ALL
    SELECT 'node|' || sku || '|' || location, atp FROM nodes
)
SELECT 'availability', key, format('atp {}', e.atp), format('atp {}', a.atp)
FROM expected e FULL JOIN answered a USING (key)
WHERE coalesce(e.atp, 0) <> coalesce(a.atp, 0);

-- A channel that sells a SKU must have been told of it, be it 0, and so of a node that holds anything.
INSERT INTO differences
SELECT 'availability', key, format('atp {}', atp), 'nothing published'
FROM sold ANTI JOIN answered USING (key)
WHERE atp = 0 AND sku IN (SELECT sku FROM nodes)
UNION ALL
SELECT 'availability', 'node|' || n.sku || '|' || n.location, 'atp 0', 'nothing published'
FROM nodes n ANTI JOIN published p ON p.key = 'node|' || n.sku || '|' || n.location
WHERE n.atp = 0 AND (n.sellable, n.returned, n.quarantine, n.damaged) <> (0, 0, 0, 0);

-- ERP lines.
CREATE OR REPLACE TABLE posted_once AS
SELECT DISTINCT ON (posting_key) * FROM posted;

INSERT INTO differences
SELECT 'ERP total', concat_ws(' ', document_type, sku, 'at', location), coalesce(t.quantity, 0)::VARCHAR,
    coalesce(p.quantity, 0)::VARCHAR
FROM erp_totals t FULL JOIN (
    SELECT document_type, sku, location, sum(quantity)::BIGINT AS quantity FROM posted_once GROUP BY ALL
) p USING (document_type, sku, location)
WHERE coalesce(t.quantity, 0) <> coalesce(p.quantity, 0);

INSERT INTO differences
WITH legs AS (
    SELECT sku, unnest(accounts) AS account, unnest(units) AS units FROM posted_once
),
told AS (
    SELECT sku, account, sum(units)::BIGINT AS units FROM legs
    WHERE contains(account, '|') AND NOT starts_with(account, 'transit|') GROUP BY ALL
),
due AS (
    UNPIVOT (SELECT sku, location, sellable, returned, quarantine, damaged FROM stock)
    ON sellable, returned, quarantine, damaged INTO NAME bucket VALUE units
)
SELECT 'ERP account', sku || ' in ' || account, coalesce(d.units, 0)::VARCHAR, coalesce(t.units, 0)::VARCHAR
FROM (SELECT sku, bucket || '|' || location AS account, units FROM due) d FULL JOIN told t USING (sku, account)
WHERE coalesce(d.units, 0) <> coalesce(t.units, 0);

INSERT INTO differences
SELECT 'ERP line out of balance', posting_key, 'legs that add up to 0', 'legs that add up to ' || list_sum(units)
FROM posted WHERE list_sum(units) <> 0;

INSERT INTO differences
SELECT 'posting key with several contents', posting_key, '1', count(DISTINCT content)::VARCHAR
FROM posted GROUP BY posting_key HAVING count(DISTINCT content) > 1;

-- Variances that stand.
INSERT INTO differences
SELECT 'variance', concat_ws(' ', kind, sku, location, document, transfer),
    coalesce(format('expected {}, observed {}', v.expected, v.observed), 'none'),
    coalesce(format('expected {}, observed {}', t.expected, t.observed), 'none')
FROM variances v FULL JOIN (
    -- A transfer's variance is compared without the place. What others say of stock is not judged here.
    SELECT * REPLACE (if(kind = 'TRANSFER', '', location) AS location) FROM told
    WHERE status = 'open' AND kind IN ('COUNT', 'TRANSFER')
) t USING (kind, sku, location, document, transfer, expected, observed)
WHERE v.diff IS NULL OR t.status IS NULL;

-- Dead letters: exactly the records that the judge refuses. What is not folded yet is judged by nobody.
INSERT INTO differences
WITH refused AS (
    SELECT part, off, verdict FROM facts WHERE verdict IN ('late', 'future', 'conflict', 'malformed')
),
lettered AS (
    SELECT DISTINCT part, off, CASE
        WHEN cause IN ('late', 'future', 'conflict', 'fold_error') THEN cause ELSE 'malformed' END AS verdict
    FROM letters l JOIN (SELECT part, off FROM ledger) e USING (part, off)
    WHERE EXISTS (FROM facts f WHERE f.part = l.part AND f.off = l.off)
)
SELECT 'dead letter', format('partition {} offset {}', part, off), coalesce(r.verdict, 'none'),
    coalesce(l.verdict, 'none')
FROM refused r FULL JOIN lettered l USING (part, off)
WHERE coalesce(r.verdict, '') <> coalesce(l.verdict, '');
