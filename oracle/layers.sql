-- What each node exposes to channels by the life that they ask for. In: nodes, promised, lots, lives, placed, skus.
-- Out: layers: on each the units for channels that ask for no more than its life.
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
room AS (
    SELECT n.sku, n.location, a.life, if(a.life = 0, n.atp, coalesce(l.units, 0) - coalesce(w.units, 0)) AS units
    FROM nodes n JOIN asked a USING (sku)
    LEFT JOIN lasting l USING (sku, location, life)
    LEFT JOIN wanted w USING (sku, location, life)
),
shown AS (
    SELECT sku, location, life,
        greatest(0, min(units) OVER (PARTITION BY sku, location ORDER BY life))::BIGINT AS units
    FROM room
)
SELECT sku, location, life,
    units - coalesce(lead(units) OVER (PARTITION BY sku, location ORDER BY life), 0) AS units
FROM shown;
