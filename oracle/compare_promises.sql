-- Where the pipeline's promises differ from the judge's. In: what `dump` and `recompute` filled.
-- Out: more rows of differences.

CREATE OR REPLACE TEMP MACRO told(units) AS coalesce(units, 0)::VARCHAR;

INSERT INTO differences
WITH both_sides AS (
    SELECT sku, location,
        format('reserved_soft {}, reserved_firm {}, allocated {}', coalesce(n.reserved_soft, 0),
            coalesce(n.reserved_firm, 0), coalesce(n.allocated, 0)) AS expected,
        format('reserved_soft {}, reserved_firm {}, allocated {}', coalesce(h.reserved_soft, 0),
            coalesce(h.reserved_firm, 0), coalesce(h.allocated, 0)) AS found
    FROM nodes n FULL JOIN held h USING (sku, location)
)
SELECT 'claims', sku || ' at ' || location, expected, found FROM both_sides WHERE expected <> found;

INSERT INTO differences
SELECT 'pending demand', channel || '|' || sku, told(p.units), told(h.units)
FROM pending p FULL JOIN held_pending h USING (sku, channel) WHERE told(p.units) <> told(h.units);

INSERT INTO differences
SELECT 'demand of a later day', concat_ws(' ', sku, channel, date '1970-01-01' + day, location),
    told(d.units), told(h.units)
FROM dated d FULL JOIN (
    SELECT sku, day, channel, location, sum(units)::BIGINT AS units FROM held_dated GROUP BY ALL
) h USING (sku, day, channel, location)
WHERE told(d.units) <> told(h.units);

-- Goods whose place nobody knows count for no channel, and are compared nowhere.
INSERT INTO differences
SELECT 'to come', concat_ws(' ', sku, state, date '1970-01-01' + day, location, if(overdue, 'overdue', NULL)),
    told(i.units), told(h.units)
FROM (
    SELECT sku, day, location, state, overdue, sum(units)::BIGINT AS units FROM inbound GROUP BY ALL
) i FULL JOIN (
    SELECT sku, day, location, state, overdue, sum(units)::BIGINT AS units FROM held_inbound
    WHERE location <> '' GROUP BY ALL
) h USING (sku, day, location, state, overdue)
WHERE told(i.units) <> told(h.units);

INSERT INTO differences
WITH both_sides AS (
    SELECT sku, channel,
        coalesce(format('granted {}, taken {}, priority {}', r.granted, r.taken, r.priority), 'none') AS expected,
        coalesce(format('granted {}, taken {}, priority {}', h.granted, h.taken, h.priority), 'none') AS found
    FROM rings r FULL JOIN held_rings h USING (sku, channel)
)
SELECT 'ring-fence', channel || '|' || sku, expected, found FROM both_sides WHERE expected <> found;

-- What a channel's answer is made of: in the table, and as it was last published, where days are never below 0.
CREATE OR REPLACE TEMP MACRO terms_told(ring, pool, buffer, steps) AS
    format('ring {}, pool {}, buffer {}, days {}', ring, pool, buffer, coalesce(steps, ''));

CREATE OR REPLACE TEMP TABLE outlooks AS
SELECT c.sku, c.channel, c.ring, c.pool, c.buffer, l.steps,
    list_aggregate(list_transform(c.horizon, lambda h: h.day || ':' || h.units), 'string_agg', ' ') AS shown,
    c.next_available.day || ':' || c.next_available.units AS next_step
FROM channels c LEFT JOIN (
    SELECT sku, channel, string_agg(day || ':' || level, ' ' ORDER BY day) AS steps
    FROM (FROM levels QUALIFY level IS DISTINCT FROM lag(level) OVER (PARTITION BY sku, channel ORDER BY day))
    GROUP BY ALL
) l USING (sku, channel);

INSERT INTO differences
SELECT 'terms of a channel', channel || '|' || sku, terms_told(c.ring, c.pool, c.buffer, c.steps),
    terms_told(h.ring, h.pool, h.buffer, h.horizon)
FROM outlooks c JOIN held_channels h USING (sku, channel)
WHERE terms_told(c.ring, c.pool, c.buffer, c.steps) <> terms_told(h.ring, h.pool, h.buffer, h.horizon);

INSERT INTO differences
SELECT 'next available', p.key, coalesce(c.next_step, 'never'), coalesce(p.next_available, 'never')
FROM outlooks c JOIN answered p ON p.key = c.channel || '|' || c.sku
WHERE c.next_step IS DISTINCT FROM p.next_available;

INSERT INTO differences
SELECT 'days to come', p.key, coalesce(c.shown, ''), p.horizon
FROM outlooks c JOIN answered p ON p.key = c.channel || '|' || c.sku
WHERE coalesce(c.shown, '') <> p.horizon;

-- Lots: what was said of each, and what of a position has expired.
INSERT INTO differences
SELECT 'lot', concat_ws(' ', sku, 'at', location, nullif(lot, ''), date '1970-01-01' + nullif(last_day, -1)),
    told(s.units), told(h.units)
FROM (SELECT sku, location, lot, coalesce(expiry_day, -1) AS last_day, units FROM said_of_lots) s
FULL JOIN (SELECT sku, location, lot, coalesce(expiry_day, -1) AS last_day, units FROM held_lots) h
    USING (sku, location, lot, last_day)
WHERE told(s.units) <> told(h.units);

INSERT INTO differences
SELECT 'expired', sku || ' at ' || location, told(n.expired), told(h.expired)
FROM nodes n FULL JOIN held h USING (sku, location) WHERE told(n.expired) <> told(h.expired);
