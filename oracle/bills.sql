-- What kits are made of. In: bills, ledger.  Out: bills_said, kits.
--
-- A bill lies in every partition; the kit's own says which stands. Of its versions the last revision does, the first in
-- the log of equal ones; of several bills the one dated last, once its time has come (with no tick yet, the last one).

CREATE OR REPLACE TABLE bills_said AS
SELECT b.*, l.rev, l.event_time AS effective, format('{}|{}|{}|{}',
    replace(replace(l.source, '%', '%25'), '|', '%7C'), replace(replace(l.doc_type, '%', '%25'), '|', '%7C'),
    replace(replace(l.doc_id, '%', '%25'), '|', '%7C'), l.doc_line) AS key
FROM bills b JOIN ledger l USING (part, off)
WHERE l.type = 'MasterChanged' AND NOT l.malformed AND l.sku = '' AND l.location = '' AND l.channel = ''
    AND l.quantity = 0 AND json_exists(l.rest, '$.components')
    AND coalesce(json_extract_string(l.rest, '$.attributes'), '{}') = '{}'
    AND NOT misnamed(b.kit) AND len(b.components) <= 200 AND NOT list_contains(b.components, b.kit)
    AND len(list_filter(b.components, lambda name: misnamed(name))) = 0
    AND len(list_filter(b.needed, lambda units: units NOT BETWEEN 1 AND 1000000000)) = 0;

CREATE OR REPLACE TABLE kits AS
WITH stand AS (
    FROM bills_said WHERE part = home
    QUALIFY row_number() OVER (PARTITION BY kit, key ORDER BY rev DESC, off) = 1
),
ticks AS (
    SELECT part, max(event_time) AS tick FROM ledger WHERE type = 'TimeTicked' AND NOT malformed GROUP BY ALL
)
SELECT s.part, s.kit,
    max_by({components: s.components, needed: s.needed}, (s.effective, s.key))
        FILTER (coalesce(s.effective <= t.tick, true)) AS bill
FROM stand s LEFT JOIN ticks t USING (part)
GROUP BY ALL;
