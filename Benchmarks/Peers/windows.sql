-- The batch part of `redset`, for DuckDB on the file EVENTS: reads it, classifies each event, aggregates 10 minutes of each
-- instance, and stores events and windows. It knows no order of events, no late ones, no rules, and survives no crash.
-- What it prints is compared with what `pulse run` stored.
SET threads = 2;
CREATE TABLE events AS
  SELECT *, CASE
    WHEN was_cached THEN 'normal'
    WHEN query_type IN ('copy', 'unload') THEN CASE WHEN execution_ms > 500 THEN 'network_bound'
       WHEN queue_ms >= execution_ms AND queue_ms > 1000 AND execution_ms > 0 AND scans + joins + aggregations < 4 THEN 'queue_wlm_bound' ELSE 'normal' END
    WHEN (joins > 1 OR aggregations > 1) AND scanned_mb > 0 AND ratio > 20 AND execution_ms > 1000 THEN 'cpu_bound'
    WHEN scanned_mb >= 2000 AND ratio < 0.061 AND (spilled_mb > 0 OR scans > 1) AND execution_ms > 1000 THEN 'io_bound'
    WHEN queue_ms >= execution_ms AND queue_ms > 1000 AND execution_ms > 0 AND scans + joins + aggregations < 4 THEN 'queue_wlm_bound'
    ELSE 'normal' END AS query_class
  FROM (
    SELECT * REPLACE (coalesce(was_cached, false) AS was_cached, coalesce(was_aborted, false) AS was_aborted),
      coalesce(execution_duration_ms, 0) AS execution_ms, coalesce(queue_duration_ms, 0) AS queue_ms,
      coalesce(mbytes_scanned, 0) AS scanned_mb, coalesce(mbytes_spilled, 0) AS spilled_mb,
      coalesce(num_joins, 0) AS joins, coalesce(num_scans, 0) AS scans, coalesce(num_aggregations, 0) AS aggregations,
      execution_ms / (scanned_mb + 1) AS ratio
    FROM read_ndjson('EVENTS', ignore_errors = true, columns = {
      instance_id: 'BIGINT', cluster_size: 'BIGINT', user_id: 'BIGINT', database_id: 'BIGINT', query_id: 'BIGINT',
      arrival_timestamp: 'TIMESTAMP', compile_duration_ms: 'DOUBLE', queue_duration_ms: 'DOUBLE',
      execution_duration_ms: 'DOUBLE', feature_fingerprint: 'VARCHAR', was_aborted: 'BOOLEAN', was_cached: 'BOOLEAN',
      cache_source_query_id: 'BIGINT', query_type: 'VARCHAR', num_permanent_tables_accessed: 'BIGINT',
      num_external_tables_accessed: 'BIGINT', num_system_tables_accessed: 'BIGINT', read_table_ids: 'VARCHAR',
      write_table_ids: 'VARCHAR', mbytes_scanned: 'DOUBLE', mbytes_spilled: 'DOUBLE', num_joins: 'BIGINT',
      num_scans: 'BIGINT', num_aggregations: 'BIGINT'})
    WHERE instance_id IS NOT NULL AND query_id IS NOT NULL AND arrival_timestamp IS NOT NULL AND query_type IS NOT NULL);
CREATE TABLE windows AS
  SELECT instance_id, time_bucket(INTERVAL 10 MINUTE, arrival_timestamp) AS start, count(*) AS queries,
    sum(mbytes_spilled) AS spilled_mb, sum(queue_duration_ms) AS queue_ms, sum(execution_duration_ms) AS execution_ms,
    avg(queue_duration_ms) AS avg_queue_ms, avg(execution_duration_ms) AS avg_execution_ms,
    arg_max(cluster_size, arrival_timestamp) AS cluster_size,
    approx_quantile(execution_duration_ms, [0.5, 0.95, 0.99]) AS quantiles,
    count(*) FILTER (query_class = 'network_bound') AS network_bound, count(*) FILTER (query_class = 'cpu_bound') AS cpu_bound,
    count(*) FILTER (query_class = 'io_bound') AS io_bound, count(*) FILTER (query_class = 'queue_wlm_bound') AS queue_wlm_bound
  FROM events GROUP BY ALL;
SELECT count(*) FROM windows;
SELECT sum(queries) FROM windows;
SELECT count(*) FROM events WHERE spilled_mb > 100000;
CHECKPOINT;
