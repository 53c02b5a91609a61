-- Which risks follow from what stands. In: nodes, rings, shares, levels, skus, shortages (shortage.py).
-- Out: judged_risks.

CREATE OR REPLACE TABLE judged_risks AS
SELECT 'negative_stock' AS kind, sku, location AS scope, 'HIGH' AS severity, least(on_hand, sellable) AS quantity
FROM nodes WHERE least(on_hand, sellable) < 0
UNION ALL
SELECT 'oversold', sku, '', 'CRITICAL', units FROM shortages
UNION ALL
SELECT 'ring_short', r.sku, r.channel, 'MEDIUM', r.open - s.ring
FROM rings r JOIN shares s USING (sku, channel) WHERE r.open > s.ring
UNION ALL
SELECT 'projected', l.sku, l.channel, 'MEDIUM', min(l.level)
FROM levels l JOIN skus k USING (sku) ANTI JOIN shortages s ON s.sku = l.sku
WHERE l.day <= k.today + 2
GROUP BY l.sku, l.channel HAVING min(l.level) < 0;
