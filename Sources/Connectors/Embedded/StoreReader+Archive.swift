// The history beside a store: the list is in the store, the rows are in Arrow files of the data directory.

extension StoreReader {
  /// The history files of a use case.
  public func archive(of useCase: String) -> ArrowArchive {
    ArrowArchive(folder: directory.path) { try self.blockingListing(of: useCase) }
  }
}
