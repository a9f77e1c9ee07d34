// Names that history has for itself.

/// The columns of history that are no fields.
public enum HistoryColumns {
  /// The source of the row's partition.
  public static let source = "_source"
  /// The number of the partition within its source.
  public static let partition = "_partition"
  /// They stand beside the fields and the class; no field has such a name.
  public static let ownNames = ["_late", "_segment", "_offset", "_row", source, partition]
  /// Those that files of format 1 do not have: until then a field could have such a name, and a stored configuration may
  /// have one.
  public static let addedInFormat2: Set<String> = [source, partition]
}
