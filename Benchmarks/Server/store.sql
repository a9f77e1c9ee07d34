-- Makes a store large: copies of what a run has stored, moved in time, until there are ANOMALIES anomalies over its last week
-- and WINDOWS windows, those of weeks before. Copies have positions and numbers of their own, as if a run had stored them.
-- Parameters: :anomalies, :windows.
PRAGMA synchronous = OFF;
CREATE TEMP TABLE span AS SELECT min(event_time) AS first, max(event_time) AS last, max(offset) AS offset, count(*) AS count
  FROM anomalies;
CREATE TEMP TABLE last_change AS SELECT max(changes) AS change FROM claims;

WITH RECURSIVE copies(n) AS (
  SELECT 1 UNION ALL SELECT n + 1 FROM copies WHERE n < :anomalies / (SELECT count FROM span))
INSERT INTO anomalies
SELECT use_case, source, partition, segment, a.offset + n * (span.offset + 1), detector, subject, row + n * (span.offset + 1),
  span.first + (event_time - span.first + n * 7919000003) % (span.last - span.first), key, score, severity, reason, model,
  explanation, event, last_change.change + row_number() OVER (), epoch
FROM copies, anomalies a, span, last_change
LIMIT :anomalies - (SELECT count FROM span);

CREATE TEMP TABLE extent AS SELECT max(end) - min(start) AS length, count(*) AS count FROM window_parts WHERE closed = 1;
WITH RECURSIVE copies(n) AS (
  SELECT 1 UNION ALL SELECT n + 1 FROM copies WHERE n < :windows / (SELECT count FROM extent))
INSERT INTO window_parts
SELECT use_case, window, source, partition, start - n * extent.length, by_key, end - n * extent.length, closed, events, by_values,
  aggregates, classes, definition, state, last_change.change + :anomalies + row_number() OVER ()
FROM copies, window_parts w, extent, last_change WHERE w.closed = 1
LIMIT :windows - (SELECT count FROM extent);

UPDATE claims SET changes = changes + :anomalies + :windows;
SELECT (SELECT count(*) FROM anomalies), (SELECT count(*) FROM window_parts);
