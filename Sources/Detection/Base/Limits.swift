// Every bound of the engine in one place, each with the reason for its value.

/// Bounds that hold whatever the input or the configuration.
public enum Limits {
  /// Largest event that is decoded, in bytes; also the most raw bytes a dead letter keeps. 1 MiB is Kafka's default
  /// `message.max.bytes`, so whatever a default broker can carry can be read.
  public static let maxEventBytes = 1 << 20

  /// Raw bytes kept of an event beyond `maxEventBytes`: enough to recognise it, little enough to store many.
  public static let oversizedExcerptBytes = 64 << 10

  /// Readable bytes that must follow the last record of a byte buffer: the JSON parser reads ahead by this much.
  public static let bytePadding = 64

  /// Deepest nesting of a JSON event. Beyond any real event, and far from exhausting a 512 KiB thread stack.
  public static let maxNesting = 64

  /// Events in a batch: the most that `--batch-size` accepts. 64 Ki rows of 24 columns are about 16 MB.
  public static let maxBatchRows = 65_536

  /// Events in a batch unless configured. Columns of this many rows stay in the second-level cache one at a time.
  public static let defaultBatchRows = 4_096

  /// Bytes of records a batch holds before it is closed whatever its row count: sixteen of the largest events.
  public static let maxBatchBytes = 16 << 20

  // MARK: Memory of a run (see `MemoryBudget`)

  /// Bytes that a run may take unless configured.
  public static let defaultMemory = 512_000_000

  /// Bytes that a run takes without an event: the program and its libraries, the store's cache, threads.
  public static let processMemory = 64_000_000

  /// The least that can be configured: what a run takes without an event, and as much again.
  public static let leastMemory = 2 * processMemory

  /// Bytes of the batches that are read and not yet done with, as `RawBatch.heldBytes` counts them, where there is memory
  /// for them: room for four of the largest, or half a one for each worker. Batches of ordinary events are far smaller, so
  /// that their number bounds them; of large ones each has its records, its columns and what history copies in memory.
  public static func bytesInFlight(workers: Int) -> Int { max(4, workers / 2) * maxBatchBytes }

  // MARK: Columnar files

  /// Bytes that reading a columnar file may take at once for each of its own. Deflate, and what columns of repeated values
  /// gain before it, seldom give more; a file of which a byte becomes thousands is made to.
  public static let fileExpansion = 1_000

  /// Bytes that reading a columnar file may take at once however small it is, and a Parquet file at most however large: a
  /// batch of rows and a page of each column are some megabytes. An Arrow file of large batches may take twice its size.
  public static let (leastFileMemory, mostFileMemory) = (256 << 20, 1 << 30)

  /// Bytes of a Parquet file's footer: 1,000 columns in 100 row groups have about 15 MB. In memory it takes some ten times
  /// as much.
  public static let maxFooterBytes = 32 << 20

  /// Columns of a columnar file.
  public static let maxFileColumns = 16_384

  /// Bytes of text that a batch of a columnar file may give, dictionaries and shared values written out: four times what a
  /// batch holds. What would give more is cut into batches of fewer rows.
  public static let maxBatchText = 4 * maxBatchBytes

  /// Rows of a full history shard. 64 Ki rows are one Arrow record batch that compresses and scans well.
  public static let shardRows = 65_536

  // MARK: Event time (see `EventClock`)

  /// Events that open a clock: of eight, three may be wrong and the median of their distances is still right.
  public static let clockOpening = 8

  /// How many times the usual distance between events is still believed at once. Of distances without memory one in a
  /// thousand million is longer.
  public static let clockReach: Int64 = 8

  /// The least distance that is believed at once, microseconds: a minute. Broken clocks are mostly off by more, and what
  /// lies within is what `out_of_order` and `allowed_lateness` are for.
  public static let leastClockReach: Int64 = 60_000_000

  /// Events in doubt that must agree before rules and windows see them: a handful, so that forty events after a weekend
  /// suffice for a rule. Eight neighbours from one broken producer in ten come once in ten million events.
  public static let clockHearing = 8

  /// Events in doubt that must agree before the watermark moves to them: what it closes cannot be opened again. More than
  /// any plausible burst of one producer among others.
  public static let watermarkAgreement = 100

  /// The same where each clock is judged by itself: nobody else's events are among them.
  public static let clockAgreement = 16

  /// Agreeing events in doubt for each that contradicts them. Strays of less than a tenth do not keep a clock from a jump,
  /// and a partition of which a tenth of the events still tell the old time is not moved on.
  public static let watermarkContradiction = 10

  /// Contradictions that end a run of events in doubt whose support is too little for them.
  public static let clockContradictions = 8

  /// How many times the common step of all clocks one may be that tells how far event time has come.
  public static let commonStepReach: Int64 = 64

  /// Runs of events in doubt of one clock: the smallest ends when another begins.
  public static let clockRuns = 8

  /// Events within which a run of events in doubt is believed or dismissed, and calm events after which a clock that saw
  /// a broken producer believes sooner again.
  public static let clockPatience = 1_000

  /// Events one after the other, behind the others and agreeing, that are a clock that was set back: more than what an
  /// offline device hands in at once, mostly, because entities start afresh then.
  public static let clockStepBack = 100

  /// Times from which a run of events in doubt learns the distance between them.
  public static let learnedSupport = 16

  /// How many times `max_ahead` beyond the watermark is absurd.
  public static let absurdlyAhead: Int64 = 32

  /// Clocks of a partition (`clock_of`), about 400 bytes each. For another one that goes which spoke longest ago, once it is
  /// silent; those for which there is no room share one.
  public static let maxClocks = 1 << 14

  /// Bytes of the value that a clock is kept under; of longer ones the hash is.
  public static let clockKeyBytes = 64

  /// Events of a partition with several clocks within which a run of events in doubt is decided, though its own clock has
  /// said nothing more: as many as let each of the most clocks speak as often as a run needs to be heard.
  public static let waitingPatience = maxClocks * clockHearing

  /// Bytes of the events that wait because their time is in doubt. Beyond, those that wait longest are given up.
  public static let maxWaitingEventBytes = 16 << 20

  /// Steps of the automaton of a field's `pattern`, repetitions written out: what a character costs at worst. An address
  /// or a time takes under a hundred.
  public static let maxPatternSteps = 2_000

  /// Entries of the table that a pattern builds as it meets values, and members of its states: half a megabyte together.
  public static let maxPatternTable = 1 << 16

  /// Bytes of an expression's text. Longer ones are generated by accident.
  public static let maxExpressionBytes = 64 << 10

  /// Depth of an expression's tree: evaluation recurses, one frame a level.
  public static let maxExpressionDepth = 200

  /// Longest string that an expression computes, in bytes; beyond, the result is NULL and counted. A batch of the most
  /// rows then stays below the 4 GiB that a string column can address, also where all rows share one large value.
  public static let maxComputedStringBytes = 65_535

  /// Bytes beyond which the strings of a column are shared between rows rather than written out: far beyond a batch of
  /// records, far below the 4 GiB that a string column can address.
  public static let maxPlainStringBytes = 1 << 28

  /// Windows one event may belong to (size / every of a sliding window): the cost of an event is proportional to it.
  public static let maxWindowOverlap = 64

  /// Counters of `top_k` in one window. Up to so many different values counts are exact; beyond, a count is too high by at
  /// most 1/256 of the values. With numbers a full state takes 10 KB in memory and at most 5 KB in the store.
  public static let topCounters = 256

  /// Bytes of a string that `top_k` tells apart: a full state of strings takes at most 90 KB.
  public static let topValueBytes = 256

  /// Most values that `top_k` gives: a quarter of the counters, so that there are as many that are seldom.
  public static let maxTopValues = 64

  /// Different arguments of the aggregates of one rule: one bit each in a 32-bit mask of nulls.
  public static let maxRuleArguments = 32

  /// Events in a row that a rule may ask for: the time of each is kept for every entity.
  public static let maxStreak = 64

  /// Values of an entity that a rule may remember: an event is compared with all of them, and each takes 16 bytes.
  public static let maxRememberedValues = 256

  /// Bytes of a string value that a finding's reason or explanation repeats; the event itself is stored in full.
  public static let maxExplainedBytes = 256

  /// The highest score of a rule: how far beyond its bound a value is. Keeps scores finite whatever the values.
  public static let maxRuleScore = 1e9

  // MARK: Metrics of a use case's own

  /// Series of all of them together, whatever the events hold: half of what an answer to Prometheus has at most.
  public static let maxMetricSeries = 1_000

  /// Values of a label that are told apart unless configured: more than fit into a legend.
  public static let defaultMetricValues = 50

  /// Bytes of a label's value.
  public static let maxMetricLabelBytes = 128

  /// Labels of a metric, and buckets of a histogram: each event is compared with all of them.
  public static let (maxMetricLabels, maxMetricBuckets) = (4, 32)

  // MARK: Learned detectors

  /// Features of one detector. A batch of the most rows and the most features is then a matrix of 64 MB.
  public static let maxDetectorFeatures = 256

  /// Distinct values that an encoder keeps, the most frequent ones; the others count as not seen. With a hash and a
  /// number each in a table that is at most half full, 65,536 of them are 1.5 MB, which stay in the second-level cache
  /// of a server. In 400,000 training rows a value beyond them occurs six times at most.
  public static let maxEncodedValues = 65_536

  /// Entities whose quantiles an expected value keeps, those with the most rows: 24 bytes each.
  public static let maxRankedEntities = 65_536

  /// `trees` times `sample_size` of an isolation forest: at most twice as many nodes, 28 bytes each, 120 MB.
  public static let maxForestRows = 1 << 21

  /// `trees` times `leaves` of an expected value, of which there are two: at most four million nodes.
  public static let maxBoostedLeaves = 1 << 20

  /// Rows that a training reads: 256 features of ten million rows are 10 GB, 30 of them 1.2 GB.
  public static let maxTrainingRows = 10_000_000

  /// Event time between two trainings, microseconds: ten minutes of the fastest stream are more than `max_rows`.
  public static let minTrainingInterval: Int64 = 600_000_000

  /// The part of the window of history that a model must have learned from, as its inverse: of 14 days 34 hours, so that
  /// it has seen nights and days.
  public static let trainingCoverage: Int64 = 10

  /// Held-out events without which a model is not judged: of 200, a share of a half has a standard error of 0.035.
  public static let minGateRows = 200

  /// Alarms that a budget must let expect in calibration. A count of ten has a standard error of a third: fewer say
  /// nothing about the rate to come.
  public static let minCalibrationAlarms = 10.0

  /// Share of the events that a budget may allow alarms on: more is no anomaly.
  public static let maxAlarmRate = 0.1

  /// What loading a model of the user's own may take. One of 200 trees with a node for each test was seen to take 7 s.
  public static let maxModelLoadTime = Duration.seconds(120)

  /// What a model of the user's own may take for `defaultBatchRows` rows, and as much again for each further piece of as
  /// many. At 70 rows a second it would keep up with no stream; a loop that does not end is told from it by this alone.
  /// Beyond, the run ends: a score that is missing because the machine was slow would be another result.
  public static let maxModelRunTime = Duration.seconds(60)

  /// Rows without which a day says nothing about drift: with ten bins, 200 are expected in each, and chance alone moves
  /// the population stability index by about 0.005.
  public static let minDriftRows = 2_000

  /// Days before the watermark for which counts of drift are kept.
  public static let driftDays: Int64 = 90

  /// Retractions that are kept of a partition where results are kept for ever. A reader that has been away for longer
  /// reads the partition anew.
  public static let maxRetractions = 100_000

  /// Bytes of records that may wait in an inbox: the disk is not to be filled by whoever hands in faster than is read.
  public static let maxInboxBytes: Int64 = 1 << 30

  /// How long the key of records that were handed in is remembered behind their processing, microseconds: a client that
  /// has had no answer tries again within minutes.
  public static let inboxKeyLifetime: Int64 = 24 * 3_600_000_000
}
