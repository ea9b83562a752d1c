// swift-tools-version: 6.1
import PackageDescription

// The innermost loops, each by itself. A package of its own, so that the product does not depend on it; `Modules` is the product's Sources.

let modules: [Target] = [
    .target(name: "CLinux", path: "Modules/CLinux"),
    .systemLibrary(name: "CLZMA", path: "Modules/CLZMA"),
    .systemLibrary(name: "CZstd", path: "Modules/CZstd"),
    .systemLibrary(name: "COpenSSL", path: "Modules/COpenSSL"),
    .target(name: "Kernel", dependencies: ["CLinux", .product(name: "SystemPackage", package: "swift-system")], path: "Modules/Kernel"),
    .target(name: "Compressing", dependencies: ["CLZMA", "CZstd"], path: "Modules/Compressing"),
    .target(name: "Encrypting", dependencies: ["Kernel", "COpenSSL"], path: "Modules/Encrypting"),
    .target(name: "Archiving", dependencies: ["Kernel", "Compressing", "Encrypting"], path: "Modules/Archiving"),
    .executableTarget(
        name: "MicroBenchmarks", dependencies: ["Kernel", "Compressing", "Encrypting", "Archiving"], path: "MicroBenchmarks"),
]

let package = Package(
    name: "micro-benchmarks",
    dependencies: [.package(url: "https://github.com/apple/swift-system", from: "1.8.0")],
    targets: modules
)

for target in package.targets where target.type != .system {
    target.swiftSettings = [
        .swiftLanguageMode(.v6), .enableUpcomingFeature("ExistentialAny"), .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
    ]
}
