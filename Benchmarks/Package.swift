// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that the product neither resolves nor builds what only benchmarks need.
let strict: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .treatAllWarnings(as: .error),
]

// The Arrow C++ libraries that `make setup` puts behind one folder; see ../Package.swift.
let runPath: [LinkerSetting] = [
  .unsafeFlags(["-Xlinker", "-rpath", "-Xlinker", Context.packageDirectory + "/../.native/lib"])
]

let package = Package(
  name: "Benchmarks",
  platforms: [.macOS(.v26)],
  dependencies: [
    .package(name: "StreamPulse", path: ".."),
    // Without its default traits: their interposers replace malloc and the runtime's counting of references, which
    // costs time in what is measured.
    .package(url: "https://github.com/ordo-one/benchmark", exact: "1.38.1", traits: []),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
  ],
  targets: [
    // What is measured: inputs, the work, and the references that its output must equal.
    .target(
      name: "Workloads",
      dependencies: [
        .product(name: "Detection", package: "StreamPulse"),
        .product(name: "Configuration", package: "StreamPulse"),
        .product(name: "Pipeline", package: "StreamPulse"),
        .product(name: "Connectors", package: "StreamPulse"),
        .product(name: "Logging", package: "swift-log"),
      ],
      path: "Workloads", swiftSettings: strict),
    // One stage at a time, with percentiles.
    .executableTarget(
      name: "Micro",
      dependencies: ["Workloads", .product(name: "Benchmark", package: "benchmark")],
      path: "Micro", swiftSettings: strict, linkerSettings: runPath,
      plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")]),
    // The whole command against its budgets.
    .executableTarget(
      name: "Budgets", dependencies: ["Workloads", .product(name: "Detection", package: "StreamPulse")],
      path: "Budgets", swiftSettings: strict, linkerSettings: runPath),
  ],
  swiftLanguageModes: [.v6]
)
