// What is to be restored, to where, and what happens to what stands there.

package import Kernel
package import Scanning

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

    /// Which of the paths below the selections are restored.
    package struct Filter: Sendable {
        /// What matches one of these, with all that is below it; none: everything.
        package var include: [PathPattern]
        /// But not what matches one of these, nor what is below it.
        package var exclude: [PathPattern]

        package init(include: [PathPattern] = [], exclude: [PathPattern] = []) {
            self.include = include
            self.exclude = exclude
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
    package var filter: Filter

    package init(
        snapshot: UInt64, selections: [Selection], target: Path, overwrite: Overwrite = .never, isDryRun: Bool = false,
        filter: Filter = Filter()
    ) {
        self.snapshot = snapshot
        self.selections = selections
        self.target = target
        self.overwrite = overwrite
        self.isDryRun = isDryRun
        self.filter = filter
    }
}
