-- What channels may promise of kits. In: bills_said, kits, channels, nodes, terms, matching_channels.
-- Out: kit_parts, kit_answers.
--
-- What is assembled, and what can be put together: at each location that serves the channel for the kit and for all
-- of its parts as many as its scarcest part allows, and no more in all than each part has left for the channel.

CREATE OR REPLACE TABLE kit_parts AS
SELECT kit, unnest(bill.components) AS sku, unnest(bill.needed) AS needed FROM kits WHERE bill IS NOT NULL;

CREATE OR REPLACE TABLE kit_answers AS
WITH members AS (
    SELECT kit, sku, needed FROM kit_parts
    UNION ALL
    SELECT kit, kit, NULL FROM kits
),
-- Who was ever named as a part says which channels there are; only by those of now must they be answered for.
sold_through AS (
    SELECT kit, channel, bool_or(now) AS must
    FROM (
        SELECT kit, 'all' AS channel, true AS now FROM kits
        UNION ALL
        SELECT m.kit, c.channel, true FROM members m JOIN channels c USING (sku)
        UNION ALL
        SELECT k.kit, c.channel, false
        FROM kits k JOIN (SELECT DISTINCT kit, unnest(components) AS sku FROM bills_said) b USING (kit)
        JOIN channels c USING (sku)
    )
    GROUP BY ALL
),
-- A channel that a SKU never heard of is shown what `all` is shown.
through AS (
    SELECT s.kit, s.channel, m.sku, m.needed, coalesce(c.channel, 'all') AS as_channel
    FROM sold_through s JOIN members m USING (kit)
    LEFT JOIN channels c ON c.sku = m.sku AND c.channel = s.channel
),
places_of_kits AS (
    SELECT DISTINCT kit, location FROM kit_parts JOIN nodes USING (sku) WHERE atp > 0
),
open_at AS (
    SELECT t.sku, t.channel, p.location, max_by(m.eligible, m.strength) AS eligible
    FROM (SELECT DISTINCT kit, sku, as_channel AS channel FROM through) t JOIN places_of_kits p USING (kit)
    JOIN matching_channels m ON m.sku = t.sku AND m.channel = t.channel AND m.location IN ('', p.location)
    WHERE m.eligible IS NOT NULL AND m.r_channel <> ''
    GROUP BY ALL
),
together AS (
    SELECT t.kit, t.channel, p.location, min(coalesce(n.atp, 0) // t.needed) FILTER (t.needed IS NOT NULL) AS units
    FROM through t JOIN places_of_kits p USING (kit)
    LEFT JOIN terms e ON e.sku = t.sku AND e.channel = t.as_channel
    LEFT JOIN open_at o ON o.sku = t.sku AND o.channel = t.as_channel AND o.location = p.location
    LEFT JOIN nodes n ON n.sku = t.sku AND n.location = p.location
    GROUP BY t.kit, t.channel, p.location
    HAVING bool_and(coalesce(o.eligible, true) AND (e.locations IS NULL OR list_contains(e.locations, p.location)))
),
at_nodes AS (
    SELECT kit, channel, sum(units)::BIGINT AS units FROM together GROUP BY ALL
),
by_parts AS (
    SELECT t.kit, t.channel, min(coalesce(c.atp, 0) // t.needed) AS units
    FROM through t LEFT JOIN channels c ON c.sku = t.sku AND c.channel = t.as_channel
    WHERE t.needed IS NOT NULL GROUP BY ALL
),
figures AS (
    SELECT s.kit, s.channel, s.must, coalesce(c.atp, 0) AS assembled, coalesce(a.units, 0) AS at_nodes,
        coalesce(b.units, 0) AS by_parts, e.cap, coalesce(e.low_at, 0) AS low_at
    FROM sold_through s
    JOIN through t ON t.kit = s.kit AND t.channel = s.channel AND t.sku = s.kit
    LEFT JOIN channels c ON c.sku = s.kit AND c.channel = t.as_channel
    LEFT JOIN terms e ON e.sku = s.kit AND e.channel = t.as_channel
    LEFT JOIN at_nodes a ON a.kit = s.kit AND a.channel = s.channel
    LEFT JOIN by_parts b ON b.kit = s.kit AND b.channel = s.channel
)
SELECT *, least(coalesce(cap, 9223372036854775807), assembled + least(at_nodes, by_parts))::BIGINT AS atp,
    CASE WHEN atp = 0 THEN 'OUT' WHEN atp <= low_at THEN 'LOW' ELSE 'IN_STOCK' END AS status
FROM figures;
