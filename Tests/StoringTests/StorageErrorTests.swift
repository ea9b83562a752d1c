// What a person and a script learn from an error.

import Kernel
import Storing
import Testing

struct StorageErrorTests {
    @Test(arguments: [
        (Errno.noSpace, StorageError.Code.full), (.diskQuotaExceeded, .full), (.readOnlyFileSystem, .readOnly),
        (.permissionDenied, .denied), (.notPermitted, .denied), (.ioError, .io), (.staleNFSFileHandle, .io),
    ])
    func errnoHasACodeAndARemedy(errno: Errno, code: StorageError.Code) throws {
        let path = try #require(Path("/mnt/backup/archives"))
        let error = StorageError(errno, cannot: "write an archive", at: path)
        #expect(error.code == code)
        #expect(error.errno == errno)
        #expect(!error.remedy.isEmpty)
        #expect(error.description.hasPrefix("/mnt/backup/archives: cannot write an archive: \(errno)"))
        #expect(error.description.hasSuffix(error.remedy))
    }

    @Test func exitStatusesAreThoseOfTheInterface() {
        let statuses = StorageError.Code.allCases.map { ($0, $0.exitStatus) }
        #expect(statuses.filter { $0.1 == 10 }.map(\.0) == [.notThere, .notARepository])
        #expect(statuses.filter { $0.1 == 11 }.map(\.0) == [.locked, .secondWriter])
        #expect(statuses.filter { $0.1 == 12 }.map(\.0) == [.wrongKey])
    }
}
