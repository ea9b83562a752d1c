// Rows in aligned columns, two spaces between them.
// Cost: all rows are held; for lists of millions see LongListing.

struct TextTable {
    enum Alignment: Sendable {
        case left, right
    }

    private let alignments: [Alignment]
    /// Row by row.
    private var cells: [String]
    private var widths: [Int]

    init(_ columns: [(title: String, alignment: Alignment)]) {
        alignments = columns.map(\.alignment)
        cells = columns.map(\.title)
        widths = cells.map(TextTable.width)
    }

    /// - Parameter row: One cell for each column.
    mutating func add(_ row: [String]) {
        for (column, cell) in row.enumerated() {
            cells.append(cell)
            widths[column] = max(widths[column], TextTable.width(cell))
        }
    }

    /// The titles and then the rows, without spaces at their ends.
    var lines: [String] {
        bytes.split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
    }

    /// The same, a newline behind each.
    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(cells.count / widths.count * widths.reduce(0) { $0 + $1 + 2 })
        for row in stride(from: 0, to: cells.count, by: widths.count) {
            // Spaces that wait for something behind them.
            var spaces = 0
            for column in widths.indices {
                let cell = cells[row + column]
                if column > 0 { spaces += 2 }
                let missing = widths[column] - TextTable.width(cell)
                if alignments[column] == .right { spaces += missing }
                if !cell.isEmpty {
                    bytes.append(contentsOf: repeatElement(UInt8(ascii: " "), count: spaces))
                    bytes.append(contentsOf: cell.utf8)
                    spaces = 0
                }
                if alignments[column] == .left { spaces += missing }
            }
            bytes.append(UInt8(ascii: "\n"))
        }
        return bytes
    }

    static func padded(_ text: String, _ width: Int, _ alignment: Alignment) -> String {
        let spaces = String(repeating: " ", count: max(0, width - TextTable.width(text)))
        return alignment == .left ? text + spaces : spaces + text
    }

    /// Characters; bytes are counted where each is one.
    private static func width(_ text: String) -> Int {
        text.utf8.allSatisfy { $0 < 0x80 } ? text.utf8.count : text.count
    }
}
