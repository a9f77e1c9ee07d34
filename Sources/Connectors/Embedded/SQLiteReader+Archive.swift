// The history of the embedded store: the list is in the database, the rows are in Arrow files beside it.

extension SQLiteReader {
  /// The history files of a use case.
  public func archive(of useCase: String) -> ArrowArchive {
    ArrowArchive(folder: directory.path) { try self.blockingListing(of: useCase) }
  }
}
