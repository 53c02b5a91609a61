-- Whether each request for a reservation has its one answer, and the answer fits the request.
-- In: facts, ledger, particulars, answers.  Out: requests, more rows of differences.

CREATE OR REPLACE TABLE requests AS
SELECT l.sku, p.request_id, l.channel, l.location, l.quantity, coalesce(l.order_id, 'request:' || p.request_id) AS order_id,
    coalesce(l.order_line, 1) AS order_line, p.state, p.expires_at, coalesce(p.partial, false) AS partial, f.key
FROM ledger l JOIN facts f USING (part, off) JOIN particulars p USING (part, off)
WHERE l.type = 'ReservationRequested' AND f.verdict = 'counts';

INSERT INTO differences
SELECT 'request without an answer', sku || ' ' || request_id, 'an answer', 'none'
FROM requests r ANTI JOIN answers a USING (sku, request_id)
UNION ALL
-- To confirm a line that has expired is a request too, under the key of the confirmation
-- and its revision.
SELECT DISTINCT 'answer without a request', sku || ' ' || request_id, 'a request', 'none'
FROM answers a ANTI JOIN (
    SELECT sku, request_id FROM requests
    UNION ALL
    SELECT f.sku, f.key || if(l.rev > 0, '@' || l.rev, '') FROM facts f JOIN ledger l USING (part, off)
    WHERE f.type = 'ReservationConfirmed' AND f.verdict = 'counts'
) r USING (sku, request_id);

INSERT INTO differences
SELECT 'answers of one request', sku || ' ' || request_id, '1',
    count(DISTINCT (decision, quantity, state, expires_at)) || ' that differ'
FROM answers GROUP BY sku, request_id HAVING count(DISTINCT (decision, quantity, state, expires_at)) > 1;

INSERT INTO differences
SELECT DISTINCT 'answer that does not fit', r.sku || ' ' || r.request_id,
    concat_ws(', ', r.quantity || ' for ' || coalesce(nullif(r.channel, ''), 'any'), nullif(r.location, ''), r.order_id || '|' || r.order_line,
        r.state, if(r.partial, 'or a part of it', NULL), 'expires ' || make_timestamp(r.expires_at)),
    concat_ws(', ', a.decision, a.quantity || ' of ' || a.requested || ' for ' || a.channel, nullif(a.location, ''),
        a.order_id || '|' || a.order_line, a.state, 'of ' || a.atp, 'expires ' || make_timestamp(a.expires_at))
FROM requests r JOIN answers a USING (sku, request_id)
WHERE (a.requested, a.location, a.order_id, a.order_line) <> (r.quantity, r.location, r.order_id, r.order_line)
    -- One that names no channel is of its line's.
    OR (r.channel <> '' AND a.channel <> r.channel)
    OR coalesce(a.state <> r.state, false) OR coalesce(a.expires_at <> r.expires_at, false)
    -- Nobody takes more than was there, or than was asked for; whole, or in part where that was asked for.
    OR a.quantity > greatest(0, a.atp)
    OR CASE a.decision
        WHEN 'accepted' THEN a.quantity <> a.requested
        WHEN 'partly' THEN a.quantity NOT BETWEEN 1 AND a.requested - 1 OR NOT r.partial
        WHEN 'rejected' THEN a.quantity <> 0
        ELSE true
    END;
