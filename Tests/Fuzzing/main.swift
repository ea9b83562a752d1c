// The program that drives libFuzzer: one link for all targets.
// AUTO_BACKUP_FUZZ names the target. Exit status: that of libFuzzer, or 64. Source: llvm.org, "libFuzzer", "Using libFuzzer as a library".

import Glibc

enum Chosen {
    static let target = FuzzTarget.all.first { $0.name == getenv("AUTO_BACKUP_FUZZ").map { String(cString: $0) } }
}

@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
    _ count: UnsafeMutablePointer<CInt>, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ body: @convention(c) (UnsafeRawPointer?, Int) -> CInt
) -> CInt

if Chosen.target == nil {
    print("AUTO_BACKUP_FUZZ names one of: \(FuzzTarget.all.map(\.name).joined(separator: " "))")
    exit(64)
}
var count = CommandLine.argc
var arguments = CommandLine.unsafeArgv
exit(
    runDriver(&count, &arguments) { bytes, count in
        do {
            try Chosen.target?.run(UnsafeRawBufferPointer(start: bytes, count: count))
        } catch {
            fatalError("\(Chosen.target?.name ?? ""): \(error)")
        }
        return 0
    })
