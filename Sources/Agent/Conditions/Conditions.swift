// Whether now is a moment at which archiving should wait although nothing is wrong.
// In: power, network, and the limits of the configuration.  Out: a Deferral for the scheduler, and what a person is told of it.
// The decision is pure; asking takes a few small files, and a program where the repository lies on a network.

internal import Kernel
package import Scheduling

package struct Conditions: Hashable, Sendable {
    package var power: PowerState
    /// Sending to the repository costs by the byte. A repository on a disk of this computer costs nothing.
    package var isMetered: Bool

    package init(power: PowerState, isMetered: Bool) {
        self.power = power
        self.isMetered = isMetered
    }

    static func ask(_ configuration: Configuration, isCancelled: () -> Bool) -> Conditions {
        let isRemote = (try? FileSystemStatus(at: configuration.repository))?.hidesForeignChanges ?? false
        let mayCost = configuration.limits.metered == .wait && isRemote
        return Conditions(power: .read(), isMetered: mayCost && MeteredNetwork.ask(isCancelled: isCancelled))
    }

    package func deferral(_ limits: Configuration.Limits) -> Deferral? {
        // A battery that does not say how full it is does not hold anything back.
        if power.isOnBattery, let charge = power.charge, charge < limits.batteryBelow { return .battery }
        if isMetered, limits.metered == .wait { return .meteredNetwork }
        return nil
    }

    /// - Parameter end: When archiving goes on whatever the conditions, in words; nil: it does not.
    package func reason(_ deferral: Deferral, _ limits: Configuration.Limits, until end: String?) -> StatusReason {
        let cause =
            switch deferral {
            case .battery:
                "mains power: the battery is at \(Conditions.percent(power.charge ?? 0)), below \(Conditions.percent(limits.batteryBelow))"
            case .meteredNetwork: "a network that does not cost by the byte, for the repository lies behind one that does"
            }
        let key = deferral == .battery ? "battery_below" : "metered"
        return StatusReason(
            "deferred", .advice,
            "archiving waits for \(cause). Changes are noted\(end.map { ", and saved on \($0) at the latest" } ?? "")",
            remedy: "watchctl snapshot takes one now; [limits] \(key) says when to wait, longest_wait how long")
    }

    private static func percent(_ share: Double) -> String { "\(Int((share * 100).rounded()))%" }
}
