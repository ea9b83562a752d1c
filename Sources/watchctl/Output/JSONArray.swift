// An array of JSON that is written as its elements come, or lines in its place: nothing is gathered, however many there are.

internal import Controlling

struct JSONArray {
    private let isOn: Bool
    private(set) var isEmpty = true

    init(isOn: Bool) {
        self.isOn = isOn
    }

    mutating func add(_ element: some Encodable) throws {
        let bytes = try ControlJSON.encode(element)
        TextStream.output.write(isEmpty ? "[\n" : ",\n")
        TextStream.output.write(bytes)
        isEmpty = false
    }

    mutating func addLine(_ line: String) {
        TextStream.output.line(line)
        isEmpty = false
    }

    /// After at least one element.
    func end() {
        if isOn { TextStream.output.write("\n]\n") }
    }
}
