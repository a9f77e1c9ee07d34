// The scalar expression as the rest of the engine sees it: a text, checked once against a scope, run over batches.
// Immutable and free of state, so one value may be shared by all workers.

/// A type-checked SQL scalar expression.
public struct Expression: Sendable {
  /// The text as written.
  public let text: String
  /// Type of the result.
  public let type: ValueType
  /// Scope indices of the columns it reads, which are indices into the columns of a batch.
  public let columns: Set<Int>

  let root: Node
  let scope: Scope

  /// Parses and checks a text.
  /// - Parameter expected: the type wanted; a BIGINT is widened for DOUBLE.
  /// - Throws: `ExpressionError` with the place of the first thing that is wrong.
  public init(_ text: String, scope: Scope, expected: ValueType? = nil) throws(ExpressionError) {
    let syntax = try Parser.parse(text)
    let root = try TypeChecker(scope: scope).check(syntax, expected: expected)
    self.init(text: text, root: root, scope: scope)
  }

  init(text: String, root: Node, scope: Scope) {
    self.text = text
    self.root = root
    self.scope = scope
    type = root.type
    var columns: Set<Int> = []
    root.collectColumns(into: &columns)
    self.columns = columns
  }

  /// The value of each row.
  /// - Parameters:
  ///   - columns: the columns of the batch, in the order of the scope; those the expression reads must exist.
  ///   - count: rows of the batch.
  ///   - selection: the rows wanted; nil for all. The others are NULL in the result.
  ///   - failures: raised by the number of operations that overflowed, of casts that failed and the like, in the selected
  ///     rows; each gives NULL. A row may hold several. What SQL does not evaluate (a CASE branch not taken) does not fail.
  /// - Precondition: every column read has `count` rows and the type that the scope says.
  public func evaluate(
    _ columns: [Column], count: Int, selection: Bitmap? = nil, failures: inout Int
  ) -> Column {
    check(columns, count, selection)
    var evaluation = Evaluation(columns: columns, count: count)
    let column = evaluation.evaluate(root, selection).column(type, count: count, selection: selection)
    failures += evaluation.failures
    return column
  }

  /// The rows, of those selected, where a BOOLEAN expression is TRUE; NULL is not. Parameters as for `evaluate`.
  /// - Precondition: the expression is BOOLEAN.
  public func matches(
    _ columns: [Column], count: Int, selection: Bitmap? = nil, failures: inout Int
  ) -> Bitmap {
    precondition(type == .bool, "only a BOOLEAN expression matches rows; this one is \(type.sqlName)")
    check(columns, count, selection)
    var evaluation = Evaluation(columns: columns, count: count)
    let rows = evaluation.matches(root, selection)
    failures += evaluation.failures
    return rows
  }

  /// The expression as SQL of a dialect, fully parenthesised.
  /// - Throws: `SQLPrintingError` for what a dialect cannot say.
  public func sql(for dialect: SQLDialect) throws -> String {
    try SQLPrinter(dialect: dialect, scope: scope).text(of: root)
  }

  private func check(_ columns: [Column], _ count: Int, _ selection: Bitmap?) {
    precondition(selection.map { $0.count == count } ?? true, "the selection is not of the batch's length")
    for index in self.columns {
      precondition(
        index < columns.count && columns[index].count == count && columns[index].type == scope.columns[index].type,
        "column \(scope.columns[index].name) is missing or not what the expression was checked against")
    }
  }
}
