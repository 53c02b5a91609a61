-- Where answers for kits differ from the judge's. In: kit_answers, published, heard, deaf, held_parts, held_versions.
-- Out: kits_in_step, more rows of differences.
--
-- A kit lies in another partition than its parts and hears of them. Where it has not heard all yet (`deaf`), or has
-- heard of what came after the cut, it is judged by nobody this time.

CREATE OR REPLACE TEMP TABLE kit_hearing AS
SELECT kit, sku, p.version AS told, coalesce(h.version, 0) AS heard
FROM (
    SELECT kit, sku FROM kit_parts
    UNION
    SELECT kit, kit FROM kits
    UNION
    SELECT kit, sku FROM heard
) JOIN held_parts p USING (sku) LEFT JOIN heard h USING (kit, sku)
WHERE p.version > 0;

CREATE OR REPLACE TABLE kits_in_step AS
SELECT kit FROM kits
WHERE kit NOT IN (SELECT kit FROM kit_hearing WHERE heard > told) AND kit NOT IN (FROM deaf);

INSERT INTO differences
SELECT 'kit that was not told', kit || ' of ' || sku, 'version ' || told, 'version ' || heard
FROM kit_hearing JOIN kits_in_step USING (kit) WHERE heard < told;

CREATE OR REPLACE TEMP TABLE kits_published AS
SELECT split_part(key, '|', 1) AS channel, split_part(key, '|', 2) AS kit, p.*
FROM published p JOIN kits_in_step k ON k.kit = split_part(key, '|', 2)
WHERE NOT contains(substr(key, instr(key, '|') + 1), '|');

INSERT INTO differences
SELECT 'kit', channel || '|' || kit, coalesce(format('atp {}, {}', a.atp, a.status), 'none'),
    CASE
        WHEN p.key IS NULL THEN 'none'
        WHEN NOT p.of_kit THEN format('atp {}, {}, as of no kit', p.atp, p.status)
        ELSE format('atp {}, {}', p.atp, p.status)
    END
FROM (FROM kit_answers SEMI JOIN kits_in_step USING (kit)) a FULL JOIN kits_published p USING (kit, channel)
WHERE CASE
    WHEN p.key IS NULL THEN a.must
    ELSE NOT p.of_kit OR (p.atp, p.status) IS DISTINCT FROM (a.atp, a.status)
END;

-- A version is the sum of those that the kit had heard, and of the last own answer's; all of them only rise.
INSERT INTO differences
SELECT 'version of a kit', p.key, 'at most ' || (s.units + coalesce(v.version, 0)), p.version::VARCHAR
FROM kits_published p JOIN (SELECT kit, sum(heard) AS units FROM kit_hearing GROUP BY ALL) s USING (kit)
LEFT JOIN held_versions v ON v.sku = p.kit AND v.channel = p.channel
WHERE p.of_kit AND p.version > s.units + coalesce(v.version, 0);

INSERT INTO differences
SELECT 'days of a kit', key, 'none', horizon FROM kits_published
WHERE of_kit AND (horizon <> '' OR next_available IS NOT NULL);
