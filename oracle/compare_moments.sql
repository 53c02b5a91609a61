-- Whether a request was answered with what could be taken at its moment, and by that rightly.
-- In: moments, moment.limits, moment.lines.  Out: more rows of differences.

INSERT INTO differences
WITH then_was AS (
    SELECT m.*, t.units AS limit_then, coalesce(l.cancelled, false) AS cancelled,
        coalesce(l.requested > 0 AND l.channel <> m.answered_for, false) AS of_another,
        -- More was given back of it than it had left: what is accepted would be gone at once.
        coalesce(l.released > 0 AND l.released + l.consumed > l.requested, false) AS overdrawn,
        -- A line that had expired would hold its old units again.
        if(coalesce(l.expired, false), greatest(0, l.requested - l.released - l.consumed), 0) AS revived
    FROM moments m JOIN moment.limits t USING (name)
    LEFT JOIN moment.lines l ON l.sku = m.name AND l.order_id = m.order_id AND l.line = m.line
),
due AS (
    SELECT *, limit_then - revived AS room,
        CASE
            WHEN cancelled OR of_another OR overdrawn THEN 0
            WHEN quantity <= room THEN quantity
            WHEN partial THEN greatest(0, room)
            ELSE 0
        END AS units
    FROM then_was
)
SELECT 'answer at its moment', sku || ' ' || request_id, format('{} of {}', units, limit_then),
    format('{} of {}', accepted, atp)
FROM due WHERE (units, limit_then) <> (accepted, atp);
