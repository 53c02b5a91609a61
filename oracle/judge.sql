-- One round of judging. In: facts, variable `window_us`.  Out: judged (part, off, verdict, life).
--
--   late       over the window behind the SKU's clock: the greatest event time that counted before it in the
--              log, at most the last tick. Statements (policies, grants, supply) are never late and move no clock.
--   future     over a day after the last tick, where there is one.
--   conflict   the same version of the same event, saying something else: the first in the log stands.
--   duplicate  the same version, saying the same.   superseded  an older version than the one in force.
--
-- A verdict depends on the SKU's clock, which depends on the verdicts before it. So all are presumed to count
-- and judged again until nothing changes: the n-th record of a SKU is judged right after n rounds at the
-- latest, after two or three in practice.
--
-- A key is forgotten once the window has passed the latest of its versions: what then comes under it, or names
-- it, begins a new `life` of the key and takes nothing back. Statements are never forgotten.

CREATE OR REPLACE TEMP TABLE timely AS
WITH clocked AS (
    SELECT * EXCLUDE (verdict),
        CASE WHEN NOT statement THEN
            max(CASE WHEN verdict IN ('counts', 'superseded') AND NOT statement THEN event_time END)
                OVER (PARTITION BY part, sku ORDER BY off ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
        END AS heard
    FROM facts
    WHERE NOT malformed
)
SELECT * EXCLUDE (heard),
    least(heard, tick) - getvariable('window_us') AS oldest,
    heard IS NOT NULL AND dated < oldest AS late,
    NOT statement AND tick IS NOT NULL AND event_time > tick + 86400000000 AS future
FROM clocked;

-- A reversal is known by its own paper first: only the first one inside the window acts.
CREATE OR REPLACE TEMP TABLE papers AS
WITH RECURSIVE mine AS (
    SELECT part, key, off, business, event_time, oldest,
        row_number() OVER (PARTITION BY part, key ORDER BY off) AS nth
    FROM timely
    WHERE reversal AND NOT late AND NOT future
),
walk AS (
    SELECT part, key, nth, off, 'counts' AS verdict, business AS in_business, event_time AS in_time
    FROM mine WHERE nth = 1
    UNION ALL
    SELECT part, key, nth, off, verdict,
        if(verdict = 'counts', business, in_business), if(verdict = 'counts', event_time, in_time)
    FROM (
        SELECT m.*, w.in_business, w.in_time,
            CASE
                WHEN w.in_time < m.oldest THEN 'counts'
                WHEN m.business = w.in_business THEN 'duplicate'
                ELSE 'conflict'
            END AS verdict
        FROM walk w JOIN mine m ON m.part = w.part AND m.key = w.key AND m.nth = w.nth + 1
    )
)
SELECT part, off, verdict FROM walk;

CREATE OR REPLACE TEMP TABLE contest AS
SELECT part, chain, off, rank, business, greatest(event_time, stands_at) AS last_time, oldest,
    statement AS lasting,
    row_number() OVER (PARTITION BY part, chain ORDER BY off) AS nth,
    count(*) OVER (PARTITION BY part, chain) AS versions
FROM timely t LEFT JOIN papers p USING (part, off)
WHERE NOT late AND NOT future AND coalesce(p.verdict, 'counts') = 'counts';

CREATE OR REPLACE TEMP TABLE judged AS
WITH RECURSIVE walk AS (
    SELECT part, chain, nth, off, 'counts' AS verdict, 1 AS life,
        rank AS in_rank, business AS in_business, last_time AS in_time
    FROM contest WHERE nth = 1 AND versions > 1
    UNION ALL
    SELECT part, chain, nth, off, verdict, life + (NOT known)::INT,
        if(verdict = 'counts', rank, in_rank),
        if(verdict = 'counts', business, in_business),
        if(verdict IN ('counts', 'superseded'), greatest(last_time, if(known, in_time, last_time)), in_time)
    FROM (
        SELECT *,
            CASE
                WHEN NOT known OR rank > in_rank THEN 'counts'
                WHEN rank < in_rank THEN 'superseded'
                WHEN business = in_business THEN 'duplicate'
                ELSE 'conflict'
            END AS verdict
        FROM (
            SELECT c.*, w.life, w.in_rank, w.in_business, w.in_time,
                c.lasting OR c.oldest IS NULL OR w.in_time >= c.oldest AS known
            FROM walk w JOIN contest c ON c.part = w.part AND c.chain = w.chain AND c.nth = w.nth + 1
        )
    )
)
SELECT part, off,
    CASE
        WHEN t.late THEN 'late'
        WHEN t.future THEN 'future'
        WHEN p.verdict <> 'counts' THEN p.verdict
        ELSE coalesce(w.verdict, 'counts')
    END AS verdict,
    coalesce(w.life, 1) AS life
FROM timely t LEFT JOIN papers p USING (part, off) LEFT JOIN walk w USING (part, off);
