// The sentence of each metric: swift-metrics knows names alone. docs/metrics.md says more about each of them.

/// What metrics say, by name.
enum MetricHelp {
  /// What is not known says its name.
  static func text(of name: String) -> String {
    texts[name] ?? name.replacing("_", with: " ")
  }

  static let texts: [String: String] = [
    // Of a run.
    "pulse_records_total": "Records read, dead letters included.",
    "pulse_read_bytes_total": "Bytes of the records that were read from text sources.",
    "pulse_events_total": "Events decoded and valid.",
    "pulse_dead_letters_total": "Records that could not be used.",
    "pulse_anomalies_total": "Findings.",
    "pulse_model_activations_total": "Models that were put on record to score from a position on.",
    "pulse_late_events_total": "Events that were late for every window of the definition they belong to.",
    "pulse_ahead_events_total": "Events whose time turned out to be ahead of what the others told.",
    "pulse_undecided_events_total":
      "Events that waited and were given up before it was decided whether their time is right.",
    "pulse_rule_skips_total": "Events that a rule over recent events left out.",
    "pulse_expression_failures_total": "Values that became NULL because a cast failed or an expression overflowed.",
    "pulse_queue_batches": "Batches that were read and have not gone through rules and windows yet.",
    "pulse_state_bytes": "Memory that state takes, as it is counted against the bound.",
    "pulse_event_timestamp_seconds": "Highest event time that is believed, since 1970.",
    "pulse_event_lag_seconds": "How far that lay behind the clock when the last batch was done.",
    "pulse_waiting_events": "Events that wait because it is not decided yet whether their time is right.",
    "pulse_watermark_timestamp_seconds": "The watermark, since 1970.",
    "pulse_checkpoint_timestamp_seconds": "When the last checkpoint was durable, since 1970.",
    "pulse_checkpoint_duration_seconds": "Time from the decision to take a checkpoint until it is durable.",
    "pulse_batch_duration_seconds": "Time of a batch from being read until it has gone through rules and windows.",
    "pulse_event_latency_seconds": "Time of an event from being read until what was found is stored.",
    "pulse_source_lag_records": "Records that are in the log and were not read.",
    "pulse_source_fetched_bytes": "Bytes of records that were fetched and not read.",
    "pulse_source_connected": "Whether what the source reads from can be reached, 1 or 0.",
    "pulse_source_rebalances_total": "Times that a group has given out its partitions anew.",
    "pulse_source_records_passed_over_total": "Records that were passed over and are no dead letters.",
    "pulse_source_latency_seconds": "Time from a record's being in the log until what was found in it is stored.",
    "pulse_trainings_total": "Trainings that the run has started, by what came of each detector.",
    // Of the store.
    "pulse_store_up": "Whether the store of the use case could be read.",
    "pulse_component_state": "Whether a component is in a state, 1 or 0.",
    "pulse_stored_records_total": "Records in the last checkpoints, of all runs.",
    "pulse_stored_unusable_records_total": "Dead letters in the last checkpoints, of all runs and for whatever reason.",
    "pulse_stored_dead_letters_total": "Dead letters in the last checkpoints, of all runs, by reason.",
    "pulse_stored_anomalies_total": "Findings in the last checkpoints, of all runs.",
    "pulse_stored_watermark_timestamp_seconds": "The lowest stored watermark, since 1970.",
    "pulse_lag_seconds": "How far event time lies behind the clock; absent where nothing runs or times are simulated.",
    "pulse_training_interval_seconds": "Event time between two trainings.",
    "pulse_model_age_seconds": "Time since the champion of a detector was made.",
    "pulse_model_candidates": "Versions of models that passed their gate and wait for somebody to promote them.",
    "pulse_model_drift": "Population stability index of the newest day, the largest of the inputs, and of the score.",
    "pulse_model_gate_passed": "Whether the champion passed its gate, 1 or 0.",
    "pulse_model_gate_found": "What a check of the gate measured of the champion.",
    "pulse_model_gate_bound": "What it was held against.",
    "pulse_feedback_findings": "Findings that people said something about, by their last word.",
    "pulse_feedback_precision_ratio": "Of the findings that people decided about, the share that was confirmed.",
    // Of the server and the process.
    "pulse_build_info": "1, with the version as a label.",
    "pulse_http_requests_total": "Requests that were answered.",
    "pulse_http_request_duration_seconds": "Time until an answer can be sent.",
    "pulse_http_stream_clients": "Clients that follow the live stream.",
    MetricPage.droppedName: "Series that this answer leaves out because it has as many as it may.",
    "process_cpu_seconds_total": "Processor time spent in user and system mode.",
    "process_virtual_memory_bytes": "Virtual memory.",
    "process_resident_memory_bytes": "Resident memory.",
    "process_start_time_seconds": "When the process began, since 1970.",
    "process_open_fds": "Open file descriptors.",
    "process_max_fds": "File descriptors that may be open.",
  ]
}
