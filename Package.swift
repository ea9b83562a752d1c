// swift-tools-version: 6.1
import PackageDescription

// The order of the modules is the flow of the data: first what every step stands on, then from a
// changed file to a restored one. A module imports only modules above it.

let cLinux: Target.Dependency = "CLinux"
let log = Target.Dependency.product(name: "Logging", package: "swift-log")

let modules: [Target] = [
    .target(name: "CLinux"),
    .systemLibrary(name: "CLZMA", providers: [.apt(["liblzma-dev"])]),
    .systemLibrary(name: "CZstd", providers: [.apt(["libzstd-dev"])]),
    .systemLibrary(name: "COpenSSL", providers: [.apt(["libssl-dev"])]),
    .target(
        name: "Kernel",
        dependencies: [cLinux, .product(name: "SystemPackage", package: "swift-system")]),
    .target(name: "Compressing", dependencies: ["CLZMA", "CZstd"]),
    .target(name: "Encrypting", dependencies: ["Kernel", "COpenSSL"]),
    .target(name: "Archiving", dependencies: ["Kernel", "Compressing", "Encrypting"]),
    .target(name: "Storing", dependencies: ["Kernel", "Compressing", "Encrypting", "Archiving"]),
    .target(
        name: "Cataloging",
        dependencies: [
            "Kernel", "Encrypting", "Archiving", "Storing", .product(name: "GRDB", package: "GRDB.swift"),
            .product(name: "GRDBSQLite", package: "GRDB.swift"),
        ]),
    .target(
        name: "Tracking",
        dependencies: ["Kernel", .product(name: "HeapModule", package: "swift-collections")]),
    .target(name: "Watching", dependencies: ["Kernel", "Tracking"]),
    .target(name: "Scheduling", dependencies: ["Kernel"]),
    .target(name: "Scanning", dependencies: ["Kernel", "Encrypting", "Archiving", "Cataloging", "Tracking"]),
    .target(
        name: "Rotating",
        dependencies: ["Kernel", "Compressing", "Encrypting", "Archiving", "Storing", "Cataloging"]),
    .target(name: "Verifying", dependencies: ["Kernel", "Encrypting", "Archiving", "Storing", "Cataloging"]),
    .target(
        name: "Restoring",
        dependencies: ["Kernel", "Compressing", "Encrypting", "Archiving", "Storing", "Cataloging", "Scanning"]),
    .target(
        name: "Controlling",
        dependencies: [
            "Kernel", log, .product(name: "Hummingbird", package: "hummingbird"), .product(name: "HummingbirdCore", package: "hummingbird"),
            .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        ]),
    .target(
        name: "Agent",
        dependencies: [
            "Kernel", "Compressing", "Encrypting", "Archiving", "Storing", "Cataloging", "Tracking",
            "Watching", "Scheduling", "Scanning", "Rotating", "Verifying", "Restoring", "Controlling",
            log, .product(name: "TOMLKit", package: "TOMLKit"),
            .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            .product(name: "UnixSignals", package: "swift-service-lifecycle"),
        ]),
    .executableTarget(
        name: "watchd",
        dependencies: ["Kernel", "Agent", log, .product(name: "ArgumentParser", package: "swift-argument-parser")]),
    .executableTarget(
        name: "watchctl",
        dependencies: [
            "Kernel", "Archiving", "Cataloging", "Scanning", "Restoring", "Controlling", "Agent",
            .product(name: "ArgumentParser", package: "swift-argument-parser"),
        ]),
]

let parsers: [Target.Dependency] = [
    "Kernel", "Compressing", "Encrypting", "Archiving", "Storing", "Cataloging", "Scanning", "Controlling", "Agent", log,
]

let tests: [Target] = [
    .testTarget(name: "KernelTests", dependencies: ["Kernel"]),
    .testTarget(name: "CompressingTests", dependencies: ["Kernel", "Compressing"]),
    .testTarget(name: "EncryptingTests", dependencies: ["Kernel", "Encrypting"], exclude: ["Vectors"]),
    .testTarget(name: "ArchivingTests", dependencies: ["Kernel", "Compressing", "Encrypting", "Archiving"]),
    .testTarget(name: "StoringTests", dependencies: ["Kernel", "Compressing", "Encrypting", "Archiving", "Storing"]),
    .testTarget(name: "CatalogingTests", dependencies: ["Kernel", "Encrypting", "Archiving", "Storing", "Cataloging"]),
    .testTarget(name: "TrackingTests", dependencies: ["Kernel", "Tracking"]),
    .testTarget(name: "WatchingTests", dependencies: ["Kernel", "Tracking", "Watching"]),
    .testTarget(name: "SchedulingTests", dependencies: ["Kernel", "Scheduling"]),
    .testTarget(name: "ScanningTests", dependencies: ["Kernel", "Encrypting", "Archiving", "Storing", "Cataloging", "Tracking", "Scanning"]),
    .testTarget(name: "RotatingTests", dependencies: ["Kernel", "Rotating"]),
    .testTarget(name: "VerifyingTests", dependencies: ["Archiving", "Encrypting", "Storing", "Cataloging", "Verifying"]),
    .testTarget(
        name: "RestoringTests",
        dependencies: ["Kernel", "Compressing", "Encrypting", "Archiving", "Storing", "Cataloging", "Scanning", "Restoring"]),
    .testTarget(name: "ControllingTests", dependencies: ["Kernel", "Controlling", log]),
    .testTarget(
        name: "WatchctlTests",
        dependencies: [
            "Kernel", "Archiving", "Cataloging", "Scanning", "Restoring", "Controlling", "Agent", "watchctl", "watchd", log,
            .product(name: "ArgumentParser", package: "swift-argument-parser"),
        ]),
    .testTarget(
        name: "AgentTests",
        dependencies: ["Kernel", "Compressing", "Encrypting", "Archiving", "Storing", "Scheduling", "Scanning", "Rotating", "Controlling", "Agent"]),
    .testTarget(
        name: "RepositoryTests",
        dependencies: [
            "Kernel", "Compressing", "Encrypting", "Archiving", "Storing", "Cataloging", "Tracking", "Scanning", "Rotating", "Restoring",
            "Controlling", "Agent",
        ]),
    .testTarget(
        name: "FuzzingTests", dependencies: parsers, path: "Tests/Fuzzing", exclude: ["Corpora", "Crashes", "main.swift"]),
]

// Scripts/fuzz asks for it: the targets of the tests above, in a program that only links with the fuzzer of the toolchain.
let isFuzzing = Context.environment["AUTO_BACKUP_FUZZING"] != nil
let fuzzer: [Target] = [
    .executableTarget(
        name: "fuzzer", dependencies: parsers, path: "Tests/Fuzzing", exclude: ["Corpora", "Crashes", "ReplayTests.swift"])
]

let package = Package(
    name: "auto-backup",
    products: [
        .executable(name: "watchd", targets: ["watchd"]),
        .executable(name: "watchctl", targets: ["watchctl"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0", traits: []),
        .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: modules + (isFuzzing ? fuzzer : tests)
)

let hygiene: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]
for target in package.targets where target.type != .system {
    target.swiftSettings = hygiene
}

// lld comes with the toolchain; it links several times faster than gold, and does not repeat the warnings of libraries.
for target in package.targets where target.type == .executable || target.type == .test {
    target.linkerSettings = [.unsafeFlags(["-use-ld=lld"])]
}
// Nothing looks up symbols in the programs: without these tables a command starts half a millisecond sooner, and 3 MB less are installed.
for target in package.targets where target.type == .executable && !isFuzzing {
    target.linkerSettings?.append(.unsafeFlags(["-Xlinker", "--no-export-dynamic"]))
}

if isFuzzing {
    // In one flag: of several only the last would count.
    let sanitizers = ["-sanitize=fuzzer,address"]
    for target in package.targets {
        target.swiftSettings?.append(.unsafeFlags(sanitizers))
        target.linkerSettings?.append(.unsafeFlags(sanitizers))
    }
}
