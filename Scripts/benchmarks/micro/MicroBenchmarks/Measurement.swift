// How often a piece of work can be done.
// In: the work, and what one turn of it comes to.  Out: the median of several rounds, each long enough for the clock.

internal import Kernel

struct Measurement {
    var name: String
    /// What one turn handles, in `unit`.
    var amount: Double
    var unit: String
    var work: () throws -> Void

    /// Rounds of at least this long.
    private static let round = Duration.milliseconds(200)

    /// A line of JSON: the name, the unit, and how many of it a second.
    func run(rounds: Int) throws -> String {
        try work()
        var rates: [Double] = []
        for _ in 0..<rounds {
            let start = BootInstant.now()
            var turns = 0.0
            while BootInstant.now() - start < Measurement.round {
                try work()
                turns += 1
            }
            let seconds = (BootInstant.now() - start) / Duration.seconds(1)
            rates.append(turns * amount / seconds)
        }
        rates.sort()
        return "{\"name\": \"\(name)\", \"unit\": \"\(unit)\", \"rate\": \(rates[rates.count / 2])}"
    }
}

/// Keeps the optimizer from leaving out what nobody looks at.
@inline(never)
func consume<Value>(_ value: Value) {}
