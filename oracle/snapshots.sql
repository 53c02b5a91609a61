-- Snapshots that a policy makes counts are read as counts. In: ledger, particulars, policies.  Out: ledger.
--
-- The policy is the one that held when the snapshot came: of each the greatest revision before it in the log. What is
-- net of reservations is none of the judge's counts: it depends on what was claimed then.

UPDATE ledger SET type = 'CountRecorded', quantity = greatest(0, quantity), as_of = coalesce(as_of, event_time),
    scope = if(particulars.basis = 'physical', ledger.scope, 'sellable')
FROM particulars
WHERE particulars.part = ledger.part AND particulars.off = ledger.off AND ledger.type = 'SnapshotReceived'
    AND ledger.channel = '' AND particulars.basis IN ('physical', 'sellable')
    AND (ledger.part, ledger.off) IN (
        WITH versions AS (
            SELECT s.part, s.off, l.sku, l.source, l.doc_type, l.doc_id, l.doc_line,
                max_by({said: p.snapshot_is_count, strength: printf('%d|%d|%020d|%s|%s|%s|%d|%s',
                    (l.sku <> '')::INT + (l.location <> '')::INT, 4 * (l.sku <> '')::INT + (l.location <> '')::INT,
                    l.event_time, l.source, l.doc_type, l.doc_id, l.doc_line, l.sku),
                    holds: l.channel = '' AND l.location IN ('', s.location) AND l.event_time <= coalesce(
                        (SELECT max(t.event_time) FROM ledger t
                            WHERE t.part = s.part AND t.off < s.off AND t.type = 'TimeTicked'),
                        (SELECT max(t.event_time) FROM ledger t
                            WHERE t.part = s.part AND t.off < s.off AND t.sku = s.sku), 0)},
                    (l.rev, -l.off)) AS v
            FROM ledger s JOIN ledger l ON l.part = s.part AND l.off < s.off AND l.sku IN ('', s.sku)
            JOIN policies p ON p.part = l.part AND p.off = l.off
            WHERE s.type = 'SnapshotReceived' AND l.type = 'PolicyChanged'
            GROUP BY ALL
        )
        SELECT (part, off) FROM versions WHERE v.holds AND v.said IS NOT NULL
        GROUP BY part, off HAVING max_by(v.said, v.strength)
    );
