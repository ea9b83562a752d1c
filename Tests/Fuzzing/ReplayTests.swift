// What the fuzzer has kept goes through the same functions again: inputs that reach whatever it has reached, and those that failed.
// Scripts/fuzz finds more of both.

import Foundation
import Testing

@Suite(.serialized) struct ReplayTests {
    private static let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent()

    private static func inputs(_ kind: String, of target: FuzzTarget) throws -> [URL] {
        let directory = directory.appendingPathComponent(kind).appendingPathComponent(target.name)
        guard FileManager.default.fileExists(atPath: directory.path) else { return [] }
        return try FileManager.default.contentsOfDirectory(at: directory, includingPropertiesForKeys: nil)
    }

    @Test(arguments: FuzzTarget.all) func whatWasKeptKeepsItsPromises(_ target: FuzzTarget) throws {
        let corpus = try ReplayTests.inputs("Corpora", of: target)
        #expect(!corpus.isEmpty, "no corpus: Scripts/fuzz makes one")
        try target.replay(Data())
        for file in try corpus + ReplayTests.inputs("Crashes", of: target) {
            // A trap ends the tests: the last name says at which input.
            #expect(throws: Never.self, "\(file.path)") { try target.replay(Data(contentsOf: file)) }
        }
    }

    /// A directory of another name is of a target that was renamed, and is not replayed.
    @Test func whatWasKeptBelongsToATarget() throws {
        for kind in ["Corpora", "Crashes"] {
            let names = try FileManager.default.contentsOfDirectory(atPath: ReplayTests.directory.appendingPathComponent(kind).path)
            #expect(Set(names.filter { !$0.hasPrefix(".") }).isSubset(of: FuzzTarget.all.map(\.name)))
        }
    }
}

extension FuzzTarget: CustomTestStringConvertible {
    var testDescription: String { name }

    fileprivate func replay(_ data: Data) throws { try Array(data).withUnsafeBytes { try run($0) } }
}
