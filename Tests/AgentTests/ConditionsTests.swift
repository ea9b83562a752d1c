import Agent
import Kernel
import Scheduling
import Testing

struct ConditionsTests {
    private func battery(_ status: String, _ capacity: Int?) -> PowerState.Supply {
        .init(type: "Battery", status: status, capacity: capacity)
    }

    @Test func onlyABatteryThatIsBeingEmptiedAloneIsBatteryPower() {
        #expect(PowerState([]) == .mains)
        #expect(PowerState([.init(type: "Mains", isOnline: true), battery("Charging", 50)]) == PowerState(isOnBattery: false, charge: 0.5))
        #expect(PowerState([.init(type: "Mains"), battery("Discharging", 20)]) == PowerState(isOnBattery: true, charge: 0.2))
        // Without word of the mains, the battery's own word counts.
        #expect(PowerState([battery("Discharging", 20)]).isOnBattery)
        #expect(!PowerState([battery("Full", 100)]).isOnBattery)
        // A charger that is too weak, or two batteries that are emptied in turn.
        #expect(!PowerState([.init(type: "USB", isOnline: true), battery("Discharging", 20)]).isOnBattery)
        #expect(PowerState([battery("Not charging", 80), battery("Discharging", 20)]) == PowerState(isOnBattery: true, charge: 0.5))
        // The mouse's.
        #expect(!PowerState([.init(type: "Battery", scope: "Device", status: "Discharging", capacity: 5)]).isOnBattery)
        #expect(PowerState([battery("Discharging", nil)]) == PowerState(isOnBattery: true, charge: nil))
    }

    @Test func whereNothingCanBeReadItIsMainsPower() {
        #expect(PowerState.read(from: Path("/nonexistent")!) == .mains)
        #expect(PowerState.read(from: Path("/proc")!) == .mains)
    }

    @Test func deferralFollowsTheLimits() {
        var limits = Configuration.Limits()
        func deferral(_ charge: Double?, onBattery: Bool = true, metered: Bool = false) -> Deferral? {
            Conditions(power: PowerState(isOnBattery: onBattery, charge: charge), isMetered: metered).deferral(limits)
        }
        #expect(deferral(0.29) == .battery)
        #expect(deferral(0.3) == nil)
        #expect(deferral(0.05, onBattery: false) == nil)
        #expect(deferral(nil) == nil)
        #expect(deferral(0.9, metered: true) == .meteredNetwork)
        #expect(deferral(0.1, metered: true) == .battery)
        limits.metered = .ignore
        limits.batteryBelow = 0
        #expect(deferral(0, metered: true) == nil)
    }

    @Test func reasonNamesTheCauseAndHowLong() {
        let conditions = Conditions(power: PowerState(isOnBattery: true, charge: 0.23), isMetered: true)
        let battery = conditions.reason(.battery, Configuration.Limits(), until: "tomorrow")
        #expect(battery.code == "deferred")
        #expect(battery.weight == .advice)
        #expect(battery.message == "archiving waits for mains power: the battery is at 23%, below 30%. Changes are noted, and saved on tomorrow at the latest")
        #expect(battery.remedy.contains("battery_below"))
        #expect(conditions.reason(.meteredNetwork, Configuration.Limits(), until: nil).remedy.contains("[limits] metered"))
    }

    @Test func answersOfNetworkManagerAreUnderstood() {
        #expect(MeteredNetwork.isMetered(busctl: "u 1\n"))
        #expect(MeteredNetwork.isMetered(busctl: "u 3\n"))
        for answer in ["u 0\n", "u 2\n", "u 4\n", "u 11\n", "", "s 1"] { #expect(!MeteredNetwork.isMetered(busctl: answer)) }
        #expect(MeteredNetwork.isMetered(nmcli: "GENERAL.METERED:no (guessed)\n\nGENERAL.METERED:yes (guessed)\n"))
        #expect(!MeteredNetwork.isMetered(nmcli: "GENERAL.METERED:unknown\nGENERAL.METERED:no\n"))
    }
}
