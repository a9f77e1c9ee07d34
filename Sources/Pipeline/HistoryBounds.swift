// How many rows of history wait, and for what: see `HistoryBuffer`.

import Detection

/// When a shard is cut.
struct HistoryBounds {
  /// Most rows that wait, of all days: with the last of them the fullest dense day is cut. At 250 bytes a row these are
  /// 25 MB. One and a half shards, so that a day can fill its shards while the rest of others waits. Events of `d` days
  /// in any order give shards of about 2 · `waitingRows` / d rows while these are dense days.
  var waitingRows = Limits.shardRows * 3 / 2
  /// Bytes of text that wait, of all days: with the row that reaches them the dense day with most text is cut, or the
  /// scattered ones where they hold a third. Bounds memory where events are large: at this size there are at most three
  /// such shards in memory (`CommitSchedule`).
  var waitingBytes = 32 << 20
  /// A day is dense from so many rows on. Fewer make scattered days of days that are ordinary; with more, of days in any
  /// order, files are small: at the end 768 dense days may wait.
  var denseRows = 128
  /// A day is dense from so many bytes of text on, too: large events fill a file with few rows.
  var denseBytes = 128 << 10
  /// Rows of scattered days that wait, of all of them: with the last one they are cut. A third of `waitingRows`, so that
  /// a day fills its shards whatever else comes.
  var scatteredRows = Limits.shardRows / 2
  /// Scattered days that are cut at once get a shard each if they are at most so many: what a stream leaves at the end or
  /// around midnight is found in the folder of its day.
  var ownShards = 16
}
