// What is to be restored, to where, and what happens to what stands there.

package import Kernel

package struct RestoreRequest: Sendable {
    /// What happens where something stands already.
    package enum Overwrite: String, Sendable, CaseIterable {
        /// It stays, and is named.
        case never
        /// A file of the same size and modification time stays; anything else is replaced.
        case changed
        /// It is replaced.
        case always
    }

    /// One path of the snapshot and its place below the target.
    package struct Selection: Hashable, Sendable {
        package var path: Path
        /// Relative to the target; empty for the target itself.
        package var place: Path

        package init(path: Path, place: Path) {
            self.path = path
            self.place = place
        }
    }

    package var snapshot: UInt64
    /// None below another.
    package var selections: [Selection]
    /// A directory, made if it is missing.
    package var target: Path
    package var overwrite: Overwrite
    /// Says what would be done, and touches nothing.
    package var isDryRun: Bool

    package init(
        snapshot: UInt64, selections: [Selection], target: Path, overwrite: Overwrite = .never, isDryRun: Bool = false
    ) {
        self.snapshot = snapshot
        self.selections = selections
        self.target = target
        self.overwrite = overwrite
        self.isDryRun = isDryRun
    }
}
