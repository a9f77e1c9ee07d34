// Names that history has for itself.

/// The columns of history that are no fields.
public enum HistoryColumns {
  /// They stand beside the fields and the class; no field has such a name.
  public static let ownNames = ["_late", "_segment", "_offset", "_row"]
}
