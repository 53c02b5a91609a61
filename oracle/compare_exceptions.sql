-- Where exceptions that follow from what stands differ from the judge's. In: judged_exceptions, told_exceptions,
-- skus, ledger. Out: more rows of differences.
--
-- One must not be open whose cause is gone; one must be, whose cause stood longer than its grace, but where policies
-- amend what is watched, or a person said that one of the SKU is done with.

-- Microseconds for which the topics keep what was told.
CREATE OR REPLACE TEMP MACRO told_for() AS 400 * 86400000000;

CREATE OR REPLACE TEMP TABLE open_exceptions AS
SELECT kind, sku, scope, count(*) AS copies FROM told_exceptions
WHERE transition <> 'closed' AND kind IN (
    'short_receipt', 'over_receipt', 'overdue_transfer', 'pick_failed', 'unmatched_shipment', 'unmatched_return')
GROUP BY ALL;

INSERT INTO differences
SELECT 'exception', concat_ws(' ', kind, sku, scope), 'one', copies || ' that are open'
FROM open_exceptions WHERE copies > 1
UNION ALL
SELECT DISTINCT 'exception', concat_ws(' ', kind, sku, scope), 'closed', 'open'
FROM open_exceptions ANTI JOIN judged_exceptions USING (kind, sku, scope)
UNION ALL
SELECT DISTINCT 'exception', concat_ws(' ', j.kind, j.sku, j.scope), 'open', 'none'
FROM judged_exceptions j ANTI JOIN open_exceptions USING (kind, sku, scope) JOIN skus k ON k.sku = j.sku
WHERE coalesce(j.ripe <= k.tick, j.ripe IS NULL) AND coalesce(j.since > k.tick - told_for(), true)
    AND k.part NOT IN (
        SELECT part FROM ledger
        WHERE type = 'PolicyChanged' AND regexp_matches(rest, '"exception_[a-z_]+": [^n]'))
    AND NOT EXISTS (
        FROM ledger l WHERE l.part = k.part AND l.sku IN ('', j.sku) AND l.type = 'ExceptionAcknowledged'
            AND json_extract_string(l.rest, '$.resolution') IS NOT NULL);
