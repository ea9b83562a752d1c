// The catalog is the known state.

internal import Archiving
package import Cataloging
package import Kernel

extension Catalog: KnownState {
    package func liveSources() throws -> [Path] {
        try newest()?.record.sources ?? []
    }
}
