-- What each node exposes to channels by the life that they ask for. In: nodes, promised, lots, lives, placed, skus, served.
-- Out: layers: on each the units for channels that ask for no more than its life, shown and free; layers_serve: whom.
--
-- For a life it is the least, over all lives up to it, of what lasts as long less the claims on goods of that life.

CREATE OR REPLACE TABLE layers AS
WITH asked AS (
    SELECT sku, life FROM lives SEMI JOIN promised USING (sku)
    UNION
    SELECT sku, 0 FROM promised
),
lasting AS (
    SELECT l.sku, l.location, a.life, sum(l.units) AS units
    FROM asked a JOIN skus k USING (sku) JOIN lots l ON l.sku = a.sku AND l.expiry_day >= k.today + a.life
    GROUP BY ALL
),
wanted AS (
    SELECT p.sku, p.location, a.life, sum(p.units) AS units
    FROM asked a JOIN lives v ON v.sku = a.sku AND v.life >= a.life
    JOIN placed p ON p.sku = v.sku AND p.channel = v.channel
    WHERE p.need_day IS NULL GROUP BY ALL
),
-- Beside what is shown, what serves promises: safety stock is in their service too.
room AS (
    SELECT n.sku, n.location, a.life, coalesce(l.units, 0) - coalesce(w.units, 0) AS longer,
        if(a.life = 0, n.atp, longer) AS units,
        if(a.life = 0, if(n.eligible, n.available - n.claims, 0), longer) AS free
    FROM nodes n JOIN asked a USING (sku)
    LEFT JOIN lasting l USING (sku, location, life)
    LEFT JOIN wanted w USING (sku, location, life)
),
shown AS (
    SELECT sku, location, life, greatest(0, min(units) OVER upto)::BIGINT AS units,
        greatest(0, min(free) OVER upto)::BIGINT AS free
    FROM room WINDOW upto AS (PARTITION BY sku, location ORDER BY life)
)
SELECT sku, location, life, units - coalesce(lead(units) OVER upto, 0) AS units,
    free - coalesce(lead(free) OVER upto, 0) AS free
FROM shown WINDOW upto AS (PARTITION BY sku, location ORDER BY life);

CREATE OR REPLACE TABLE layers_serve AS
SELECT y.sku, y.location, y.life, list(s.channel) AS channels
FROM layers y JOIN served s USING (sku, location)
JOIN lives v ON v.sku = s.sku AND v.channel = s.channel AND v.life <= y.life
GROUP BY ALL;
