import Detection
import Testing

@Suite("Amounts of memory", .timeLimit(.minutes(15)))
struct ByteSizeTextTests {
  @Test(arguments: [
    ("512MB", 512_000_000), ("2GiB", 2 << 30), ("1 TB", 1_000_000_000_000), ("64KiB", 65_536), ("0KB", 0),
  ])
  func reads(_ text: String, _ bytes: Int) { #expect(ByteSizeText.parse(text) == bytes) }

  @Test(arguments: ["", "512", "MB", "1.5GB", "-1MB", "512mb", "1MB2", "10000000000TB", "１MB"])
  func refuses(_ text: String) { #expect(ByteSizeText.parse(text) == nil) }

  @Test(arguments: [
    (0, "0 B"), (999, "999 B"), (1_000, "1 KB"), (2_500_000, "2.5 MB"), (331_999_999, "331 MB"), (1 << 40, "1 TB"),
    (9_990_000_000, "9.9 GB"),
  ])
  func writes(_ bytes: Int, _ text: String) { #expect(ByteSizeText.format(bytes) == text) }
}
