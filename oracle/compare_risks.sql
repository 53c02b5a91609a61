-- Where risks that follow from what stands differ from the judge's.
-- In: judged_risks, held_risks, held_copies, told_risks, skus, channels, kits, policies, ledger.
-- Out: more rows of differences.
--
-- A risk that is no more is calm for two minutes before the first tick after them closes it.

CREATE OR REPLACE TEMP MACRO shown(severity, quantity) AS format('{} of {}', severity, quantity);

-- What was told last and what is held say the same of every risk, those by rates too.
INSERT INTO differences
SELECT 'risk as told', concat_ws(' ', kind, sku, scope),
    coalesce(h.id || ' ' || h.severity, 'closed'), coalesce(t.id || ' ' || t.severity, 'closed')
FROM held_risks h FULL JOIN (FROM told_risks WHERE transition <> 'closed') t USING (kind, sku, scope)
LEFT JOIN skus k USING (sku)
WHERE (h.id, h.severity) IS DISTINCT FROM (t.id, t.severity)
    -- What was told last of an old one may be out of the topic by now.
    AND NOT coalesce(t.id IS NULL AND h.opened_at < k.tick - 400 * 86400000000, false);

INSERT INTO differences
SELECT 'risk', concat_ws(' ', j.kind, j.sku, j.scope), shown(j.severity, j.quantity),
    CASE
        WHEN h.id IS NULL THEN 'none'
        WHEN h.calm_since IS NOT NULL THEN 'calm'
        ELSE shown(h.severity, coalesce(t.quantity, h.quantity))
    END
FROM judged_risks j LEFT JOIN held_risks h USING (kind, sku, scope) LEFT JOIN told_risks t ON t.id = h.id
WHERE h.id IS NULL OR h.calm_since IS NOT NULL
    OR (h.severity, h.quantity, coalesce(t.quantity, h.quantity)) <> (j.severity, j.quantity, j.quantity);

INSERT INTO differences
SELECT 'risk', concat_ws(' ', h.kind, h.sku, h.scope),
    CASE
        WHEN h.calm_since IS NULL THEN 'none, or calm'
        WHEN h.calm_since > greatest(k.clock, k.tick) THEN 'calm by now'
        ELSE 'closed after two minutes of calm'
    END,
    concat_ws(' ', shown(h.severity, h.quantity), 'calm since ' || make_timestamp(h.calm_since))
FROM held_risks h LEFT JOIN skus k USING (sku)
WHERE h.kind IN ('negative_stock', 'oversold', 'ring_short', 'projected')
    AND (h.kind, h.sku, h.scope) NOT IN (SELECT (kind, sku, scope) FROM judged_risks)
    AND (h.calm_since IS NULL OR coalesce(h.calm_since > greatest(k.clock, k.tick), false)
        OR coalesce((h.calm_since + 120000000 + 999999) // 1000000 * 1000000 <= k.tick, false));

-- A channel shows more than may be promised: what it shows, and since when, is taken from the pipeline. By when it
-- must have caught up is known where its lag was never more, whether it must at all where no policy tolerates a
-- difference.
CREATE OR REPLACE TEMP TABLE behind AS
WITH allowed AS (
    SELECT c.sku, c.channel, max(p.lag_s) AS lag_s,
        bool_or(p.tolerance_units IS NOT NULL OR p.tolerance_percent IS NOT NULL) AS tolerated
    FROM held_copies c JOIN skus k USING (sku)
    JOIN ledger l ON l.part = k.part AND l.type = 'PolicyChanged' AND l.sku IN ('', c.sku)
        AND l.channel IN ('', c.channel) AND l.location = ''
    JOIN policies p ON p.part = l.part AND p.off = l.off
    GROUP BY ALL
)
SELECT c.sku, c.channel, greatest(0, c.quantity - h.atp) AS over, c.behind_since,
    coalesce(a.tolerated, false) AS tolerated,
    (c.behind_since + coalesce(a.lag_s, 0) * 1000000 + 999999) // 1000000 * 1000000 <= k.tick AS overdue
FROM held_copies c JOIN channels h USING (sku, channel) JOIN skus k USING (sku)
LEFT JOIN allowed a USING (sku, channel)
WHERE c.sku NOT IN (SELECT kit FROM kits);

INSERT INTO differences
SELECT 'risk', concat_ws(' ', 'exposure', b.sku, b.channel),
    concat_ws(' ', shown('HIGH', b.over), if(b.overdue, NULL, 'once its lag has passed')),
    CASE
        WHEN h.id IS NOT NULL THEN shown(h.severity, h.quantity)
        WHEN b.behind_since IS NULL THEN 'none, and not behind'
        ELSE 'none, behind since ' || make_timestamp(b.behind_since)
    END
FROM behind b LEFT JOIN held_risks h ON h.kind = 'exposure' AND h.sku = b.sku AND h.scope = b.channel
WHERE (h.id IS NOT NULL AND (h.severity, h.quantity) <> ('HIGH', b.over))
    OR (h.id IS NULL AND b.over > 0 AND NOT b.tolerated AND (b.behind_since IS NULL OR coalesce(b.overdue, false)))
UNION ALL
SELECT 'risk', concat_ws(' ', 'exposure', sku, scope), 'none', shown(severity, quantity)
FROM held_risks h ANTI JOIN held_copies c ON c.sku = h.sku AND c.channel = h.scope
WHERE kind = 'exposure';
