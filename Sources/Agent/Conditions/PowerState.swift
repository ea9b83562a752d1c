// Where the computer's power comes from.
// In: /sys/class/power_supply.  Out: on battery or not, and how much is left.
// Without batteries, or where nothing can be read, it is mains power: a desktop computer is the normal case.
// Source: the kernel's Documentation/ABI/testing/sysfs-class-power.

package import Kernel

package struct PowerState: Hashable, Sendable {
    package var isOnBattery: Bool
    /// 0...1, over all batteries; nil when none says.
    package var charge: Double?

    package init(isOnBattery: Bool, charge: Double?) {
        self.isOnBattery = isOnBattery
        self.charge = charge
    }

    package static let mains = PowerState(isOnBattery: false, charge: nil)

    /// What one supply says of itself.
    package struct Supply: Hashable, Sendable {
        package var type: String
        /// `Device` for the battery of a mouse.
        package var scope = ""
        package var status = ""
        package var isOnline = false
        /// Percent.
        package var capacity: Int?

        package init(type: String, scope: String = "", status: String = "", isOnline: Bool = false, capacity: Int? = nil) {
            self.type = type
            self.scope = scope
            self.status = status
            self.isOnline = isOnline
            self.capacity = capacity
        }
    }

    /// On battery: one of the computer's own batteries is being emptied, and nothing else feeds it.
    package init(_ supplies: [Supply]) {
        let own = supplies.filter { $0.scope != "Device" }
        let batteries = own.filter { $0.type == "Battery" || $0.type == "UPS" }
        let isFed = own.contains { ($0.type == "Mains" || $0.type.hasPrefix("USB")) && $0.isOnline }
        let levels = batteries.compactMap(\.capacity)
        isOnBattery = !isFed && batteries.contains { $0.status == "Discharging" }
        charge = levels.isEmpty ? nil : Double(levels.reduce(0, +)) / Double(levels.count) / 100
    }

    /// The variable is for tests: no test can unplug a computer.
    package static func read() -> PowerState {
        read(from: ProcessIdentity.environment("AUTO_BACKUP_POWER_SUPPLIES").flatMap { Path($0) } ?? Path("/sys/class/power_supply") ?? .root)
    }

    package static func read(from directory: Path) -> PowerState {
        var supplies: [Supply] = []
        guard var listing = try? DirectoryListing(at: directory) else { return .mains }
        while let entry = try? listing.next() {
            let place = directory.appending(Array(entry.name))
            func value(_ name: String) -> String {
                let bytes = (try? place.appending(name.utf8).readFile(limit: 4096)) ?? []
                return String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
            }
            supplies.append(
                Supply(
                    type: value("type"), scope: value("scope"), status: value("status"), isOnline: value("online") == "1",
                    capacity: Int(value("capacity")).map { min(100, max(0, $0)) }))
        }
        return PowerState(supplies)
    }
}
