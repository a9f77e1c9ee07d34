// swift-tools-version: 6.2
import PackageDescription

// Every Swift target is held to the same rules: Swift 6 language mode, explicit `any`, imports that are
// internal and visible per file, and warnings as errors.
let strict: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .treatAllWarnings(as: .error),
]

// `make setup` puts the Arrow C++ libraries behind one stable folder; the run path points there, and costs
// nothing on a system whose own packages provide them.
let nativeLibraries = Context.packageDirectory + "/.native/lib"
let runPath: [LinkerSetting] = [
  .unsafeFlags(["-Xlinker", "-rpath", "-Xlinker", nativeLibraries])
]

let package = Package(
  name: "StreamPulse",
  platforms: [.macOS(.v26)],
  products: [
    .executable(name: "pulse", targets: ["pulse"]),
    .library(name: "Detection", targets: ["Detection"]),
    // For Benchmarks/, a package of its own.
    .library(name: "Configuration", targets: ["Configuration"]),
    .library(name: "Pipeline", targets: ["Pipeline"]),
    .library(name: "Connectors", targets: ["Connectors"]),
    .library(name: "Learning", targets: ["Learning"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
    .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
    .package(url: "https://github.com/vapor/jwt-kit", from: "5.7.1"),
    .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
  ],
  targets: [
    // Native libraries and their shims.
    .systemLibrary(
      name: "CSimdjsonLibrary", pkgConfig: "simdjson",
      providers: [.apt(["libsimdjson-dev"]), .brew(["simdjson"])]),
    .systemLibrary(
      name: "CZstdLibrary", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"]), .brew(["zstd"])]),
    .systemLibrary(
      name: "CKafkaLibrary", pkgConfig: "rdkafka", providers: [.apt(["librdkafka-dev"]), .brew(["librdkafka"])]),
    .systemLibrary(
      name: "CPostgreSQLLibrary", pkgConfig: "libpq", providers: [.apt(["libpq-dev"]), .brew(["libpq"])]),
    .systemLibrary(
      name: "CParquetLibrary", pkgConfig: "parquet", providers: [.brew(["apache-arrow"])]),
    .target(
      name: "CSimdjson", dependencies: ["CSimdjsonLibrary"],
      cxxSettings: [.define("SIMDJSON_THREADS_ENABLED", to: "1")]),
    .target(name: "CArrow", dependencies: ["CParquetLibrary"]),
    .target(
      name: "CCompression", dependencies: ["CZstdLibrary"],
      linkerSettings: [.linkedLibrary("z"), .linkedLibrary("bz2")]),
    .target(name: "COnnxRuntime"),

    // The product, from the core outwards.
    .target(name: "Detection", dependencies: ["CSimdjson"], swiftSettings: strict),
    .target(
      name: "Configuration", dependencies: ["Detection", .product(name: "Yams", package: "Yams")],
      swiftSettings: strict),
    .target(
      name: "Pipeline",
      dependencies: [
        "Configuration", "Detection",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "Metrics", package: "swift-metrics"),
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "Crypto", package: "swift-crypto"),
      ],
      swiftSettings: strict),
    .target(
      name: "Connectors",
      dependencies: [
        "Configuration", "Detection", "Pipeline", "CArrow", "CCompression", "CKafkaLibrary",
        "CPostgreSQLLibrary",
        .product(name: "GRDB", package: "GRDB.swift"),
        .product(name: "GRDBSQLite", package: "GRDB.swift"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "Crypto", package: "swift-crypto"),
      ],
      swiftSettings: strict),
    .target(
      name: "Learning",
      dependencies: [
        "Detection", "Pipeline", "COnnxRuntime", .product(name: "SwiftProtobuf", package: "swift-protobuf"),
        .product(name: "Crypto", package: "swift-crypto"),
      ],
      exclude: ["ONNX/Generated/onnx_subset.proto"], swiftSettings: strict),
    .target(
      name: "Operations", dependencies: ["Configuration", "Detection", "Pipeline", "Connectors", "Learning"],
      swiftSettings: strict),
    .target(
      name: "Server",
      dependencies: [
        "Configuration", "Detection", "Pipeline", "Connectors", "Learning", "Operations", "CCompression",
        .product(
          name: "Hummingbird", package: "hummingbird", moduleAliases: ["Configuration": "SwiftConfiguration"]),
        .product(
          name: "HummingbirdCore", package: "hummingbird", moduleAliases: ["Configuration": "SwiftConfiguration"]),
        .product(name: "HTTPTypes", package: "swift-http-types"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "JWTKit", package: "jwt-kit"),
        .product(
          name: "AsyncHTTPClient", package: "async-http-client",
          moduleAliases: ["Configuration": "SwiftConfiguration"]),
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "Histogram", package: "hdrhistogram-swift"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "Metrics", package: "swift-metrics"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ],
      resources: [.copy("Web")], swiftSettings: strict),
    .executableTarget(
      name: "pulse",
      dependencies: [
        "Configuration", "Detection", "Pipeline", "Connectors", "Learning", "Operations", "Server",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "Metrics", package: "swift-metrics"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "UnixSignals", package: "swift-service-lifecycle"),
      ],
      swiftSettings: strict, linkerSettings: runPath),

    // Tests.
    .target(
      name: "TestKit", dependencies: ["Configuration", "Detection", "Pipeline"], path: "Tests/TestKit",
      swiftSettings: strict),
    .target(name: "KafkaKit", dependencies: ["CKafkaLibrary"], path: "Tests/KafkaKit", swiftSettings: strict),
    .testTarget(name: "DetectionTests", dependencies: ["Detection", "TestKit"], swiftSettings: strict),
    .testTarget(
      name: "ConfigurationTests", dependencies: ["Configuration", "Detection", "Pipeline", "TestKit"],
      swiftSettings: strict),
    .testTarget(
      name: "PipelineTests",
      dependencies: [
        "Configuration", "Detection", "Pipeline", "TestKit", .product(name: "Logging", package: "swift-log"),
        .product(name: "Metrics", package: "swift-metrics"), .product(name: "MetricsTestKit", package: "swift-metrics"),
      ],
      swiftSettings: strict),
    .testTarget(
      name: "ConnectorsTests",
      dependencies: [
        "Configuration", "Connectors", "Detection", "Pipeline", "TestKit", "KafkaKit", "CKafkaLibrary",
        .product(name: "GRDB", package: "GRDB.swift"),
      ],
      swiftSettings: strict, linkerSettings: runPath),
    .testTarget(
      name: "LearningTests",
      dependencies: [
        "Configuration", "Learning", "Connectors", "Detection", "Operations", "Pipeline", "TestKit",
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ],
      exclude: ["Fixtures"], swiftSettings: strict, linkerSettings: runPath),
    .target(
      name: "CrashKit", dependencies: ["Detection", "TestKit", .product(name: "GRDB", package: "GRDB.swift")],
      path: "Tests/CrashKit", exclude: ["UseCase"], swiftSettings: strict),
    .executableTarget(name: "crash-test", dependencies: ["CrashKit"], path: "Tests/CrashTest", swiftSettings: strict),
    .executableTarget(
      name: "kafka-trial", dependencies: ["CrashKit", "KafkaKit", "TestKit"], path: "Tests/KafkaTrial",
      exclude: ["UseCase"], swiftSettings: strict, linkerSettings: runPath),
    .executableTarget(
      name: "store-writer",
      dependencies: ["Connectors", "Detection", "Pipeline", .product(name: "Logging", package: "swift-log")],
      path: "Tests/StoreWriter", swiftSettings: strict, linkerSettings: runPath),
    .testTarget(
      name: "PulseTests",
      dependencies: [
        "pulse", "store-writer", "kafka-trial", "CrashKit", "KafkaKit", "TestKit", "Learning", "Configuration",
        "Detection",
        .product(name: "GRDB", package: "GRDB.swift"),
      ],
      exclude: ["Fixtures"], swiftSettings: strict, linkerSettings: runPath),
    .testTarget(
      name: "ServerTests",
      dependencies: [
        "Server", "Configuration", "Connectors", "Detection", "Learning", "Operations", "Pipeline", "TestKit",
        .product(name: "GRDB", package: "GRDB.swift"),
        .product(name: "HTTPTypes", package: "swift-http-types"), .product(name: "Logging", package: "swift-log"),
        .product(name: "JWTKit", package: "jwt-kit"), .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "Metrics", package: "swift-metrics"), .product(name: "MetricsTestKit", package: "swift-metrics"),
        .product(name: "Crypto", package: "swift-crypto"), .product(name: "CryptoExtras", package: "swift-crypto"),
        .product(
          name: "AsyncHTTPClient", package: "async-http-client",
          moduleAliases: ["Configuration": "SwiftConfiguration"]),
        .product(
          name: "Hummingbird", package: "hummingbird", moduleAliases: ["Configuration": "SwiftConfiguration"]),
        .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOHTTP1", package: "swift-nio"),
      ], swiftSettings: strict, linkerSettings: runPath),
    .testTarget(
      name: "ScenarioTests", dependencies: ["Configuration", "Detection", "Pipeline", "TestKit"], swiftSettings: strict,
      linkerSettings: runPath),
    .testTarget(name: "TidyTests", swiftSettings: strict),
  ],
  swiftLanguageModes: [.v6],
  cxxLanguageStandard: .cxx20
)
