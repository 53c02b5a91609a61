-- The ledger as it was when requests were answered. In: ledger, replacements, facts, timely, seen, policies,
-- particulars, answers, epochs, variable `moment_events`.  Out: moments, and the same tables once more in the schema
-- `moment`.
--
-- A verdict depends on nothing that comes after its record. So what the ledger said up to a request needs no judging
-- again: it is what of the SKU, and of every SKU, lies before it. Each request has a copy of that, under a partition
-- and a SKU of its own, and all of them are worked out at once by the files that work out the present. No copy holds
-- the request's own answer. What those files come to read of the ledger needs a copy here.

CREATE OR REPLACE TABLE moments AS
WITH requests AS (
    SELECT f.part, f.off, f.sku, p.request_id, l.channel, l.location, l.quantity, coalesce(p.partial, false) AS partial, p.need_day,
        coalesce(l.order_id, 'request:' || p.request_id) AS order_id, coalesce(l.order_line, 1) AS line, f.tick
    FROM facts f JOIN ledger l USING (part, off) JOIN particulars p USING (part, off)
    WHERE f.type = 'ReservationRequested' AND f.verdict = 'counts'
    -- One that was forgotten and came again has two answers under one id.
    QUALIFY count(*) OVER (PARTITION BY f.sku, p.request_id) = 1
),
-- Before the first tick nobody knows what day it is, and what was not trusted then nobody knows today. What was
-- answered before a rebuild was answered by the fold of that time.
judged AS (
    SELECT r.*, a.channel AS answered_for, a.quantity AS accepted, a.atp
    FROM requests r JOIN (SELECT DISTINCT ON (sku, request_id) * FROM answers) a USING (sku, request_id)
    LEFT JOIN epochs e ON e.part = r.part
    WHERE r.tick IS NOT NULL AND a.epoch >= coalesce(e.epoch, 0)
        AND r.part NOT IN (SELECT part FROM policies WHERE haircuts)
),
sizes AS (
    SELECT part, off, row_number() OVER (PARTITION BY part, sku ORDER BY off)
        + count(*) FILTER (sku = '') OVER (PARTITION BY part ORDER BY off) AS events
    FROM facts WHERE sku = '' OR (part, sku) IN (SELECT (part, sku) FROM judged)
),
sized AS (
    FROM judged JOIN sizes USING (part, off)
)
SELECT row_number() OVER (ORDER BY part, off)::INTEGER AS n, sku || chr(10) || off AS name, * EXCLUDE (events, tick)
FROM (
    FROM sized QUALIFY sum(events) OVER (ORDER BY events, part, off) <= getvariable('moment_events')
);

CREATE SCHEMA IF NOT EXISTS moment;

CREATE OR REPLACE TEMP TABLE of_moments AS
SELECT m.n, m.name, m.part, f.off FROM moments m JOIN facts f ON f.part = m.part AND f.sku = m.sku AND f.off <= m.off
UNION ALL
SELECT m.n, m.name, m.part, f.off FROM moments m JOIN facts f ON f.part = m.part AND f.sku = '' AND f.off <= m.off;

-- Beside them counts that were closed; and of ticks the last, and the last before each such count.
CREATE OR REPLACE TEMP TABLE closed_before AS
SELECT m.n, m.name, m.part, l.off FROM moments m JOIN ledger l ON l.part = m.part AND l.off < m.off
WHERE l.type = 'CountClosed' AND l.sku IN ('', m.sku);

CREATE OR REPLACE TABLE moment.ledger AS
WITH ticks AS (
    FROM ledger WHERE type = 'TimeTicked' AND NOT malformed
    QUALIFY event_time > coalesce(max(event_time) OVER (
        PARTITION BY part ORDER BY off ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)
),
asked AS (
    SELECT n, name, part, off FROM moments
    UNION ALL
    FROM closed_before
),
told AS (
    FROM of_moments
    UNION
    FROM closed_before
    UNION
    SELECT a.n, a.name, a.part, t.off FROM asked a ASOF JOIN ticks t ON a.part = t.part AND a.off > t.off
)
SELECT l.* REPLACE (t.n AS part, if(l.sku = '', '', t.name) AS sku) FROM told t JOIN ledger l USING (part, off);

CREATE OR REPLACE TABLE moment.facts AS
SELECT f.* REPLACE (m.n AS part, if(f.sku = '', '', m.name) AS sku) FROM of_moments m JOIN facts f USING (part, off);

CREATE OR REPLACE TABLE moment.replacements AS
SELECT r.* REPLACE (m.n AS part, if(r.sku = '', '', m.name) AS sku)
FROM of_moments m JOIN replacements r USING (part, off);

CREATE OR REPLACE TABLE moment.timely AS
SELECT t.* REPLACE (m.n AS part, if(t.sku = '', '', m.name) AS sku) FROM of_moments m JOIN timely t USING (part, off);

CREATE OR REPLACE TABLE moment.policies AS
SELECT p.* REPLACE (m.n AS part) FROM of_moments m JOIN policies p USING (part, off);

CREATE OR REPLACE TABLE moment.particulars AS
SELECT p.* REPLACE (m.n AS part) FROM of_moments m JOIN particulars p USING (part, off);

CREATE OR REPLACE TABLE moment.seen AS
SELECT s.* REPLACE (m.n AS part) FROM of_moments m JOIN seen s USING (part, off);

CREATE OR REPLACE TABLE moment.answers AS
SELECT a.* REPLACE (m.name AS sku)
FROM moments m JOIN (SELECT DISTINCT ON (sku, request_id) * FROM answers) a USING (sku)
WHERE a.request_id <> m.request_id;

CREATE OR REPLACE TABLE moment.held AS FROM held LIMIT 0;
CREATE OR REPLACE TABLE moment.kits AS FROM kits LIMIT 0;
CREATE OR REPLACE TABLE moment.drawn AS FROM drawn LIMIT 0;
CREATE OR REPLACE TABLE moment.asked AS SELECT name AS sku FROM moments;
DROP TABLE timely;
