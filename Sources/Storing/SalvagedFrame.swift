// What a salvage gives: frames, and how much of the archive they are.
// Out: whoever stores what is left once more.
// Invariant: a frame authenticates, and was sealed for this number in this archive.

package import Archiving

/// One frame of a damaged archive.
package struct SalvagedFrame: Hashable, Sendable {
    package var number: UInt32
    package var kind: FrameKind
    /// Where its length field stands, whole or not.
    package var offset: UInt64
    /// Decompressed.
    package var payload: [UInt8]
    /// Of the contents frame; they fit the archive's name and the frame's number, and say nothing of what was found.
    package var contents: ArchiveContents?
}

/// What a salvage has found so far, besides the frames.
package struct SalvageReport: Hashable, Sendable {
    /// Its id counts: once a frame has come, it is that of the frames.
    package var isHeaderWhole = false
    package var isTrailerWhole = false
    /// Bytes up to the latest frame, in the end up to that of the file, that are part of no frame that was given out. A whole header
    /// and a whole trailer are not counted.
    package var bytesPassedOver: UInt64 = 0
    /// Frames that authenticate and yet are not given out: of another archive, there twice, or contradicting themselves.
    package var refusedFrames = 0
    /// The file holds so much that looks like frames that the search was ended before its end.
    package var gaveUp = false
}
