// Which archives a sample reads: those that were read longest ago.
// In: all archives, and when each was last read whole.  Out: the ones to read now.
// Invariant: samples of 1/n reach every archive within n runs, while new ones that were read when they were written join at the
// end of the line. Pure.

package import Cataloging
package import Storing

package enum VerificationSample {
    /// - Parameters:
    ///   - share: Of the bytes of all archives, 0...1. At least so much is chosen, in whole archives, and at least one archive.
    ///   - readings: Without those that were never read: they come first.
    package static func choose(_ share: Double, of stored: [StoredArchive], readings: Readings) -> [StoredArchive] {
        let total = stored.reduce(0) { $0 + $1.size }
        // Rounded up: parts that are each a little short never add up to the whole.
        let wanted = UInt64((Double(total) * min(1, max(0, share))).rounded(.up))
        let waiting = stored.map { (archive: $0, reading: readings[$0.name] ?? .min) }
            .sorted { ($0.reading, $0.archive.name.number) < ($1.reading, $1.archive.name.number) }
        var chosen: [StoredArchive] = []
        var bytes: UInt64 = 0
        for (archive, _) in waiting {
            if bytes >= wanted, !chosen.isEmpty { break }
            chosen.append(archive)
            bytes += archive.size
        }
        return chosen
    }
}
