// The version of the product, as the command, the server and metrics say it.

/// The version of the product.
public enum ProductVersion {
  public static let current = "0.1.0"
}
