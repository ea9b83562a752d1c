// Rows in aligned columns, two spaces between them.
// Cost: all rows are held; for lists of millions see LongListing.

struct TextTable {
    enum Alignment: Sendable {
        case left, right
    }

    private let alignments: [Alignment]
    private var rows: [[String]]

    init(_ columns: [(title: String, alignment: Alignment)]) {
        alignments = columns.map(\.alignment)
        rows = [columns.map(\.title)]
    }

    /// - Parameter row: One cell for each column.
    mutating func add(_ row: [String]) {
        rows.append(row)
    }

    /// The titles and then the rows, without spaces at their ends.
    var lines: [String] {
        let widths = alignments.indices.map { column in rows.map { TextTable.width($0[column]) }.max() ?? 0 }
        return rows.map { row in
            var line = ""
            line.reserveCapacity(widths.reduce(0) { $0 + $1 + 2 })
            // Spaces that wait for something behind them.
            var spaces = 0
            for (column, cell) in row.enumerated() {
                if column > 0 { spaces += 2 }
                let missing = widths[column] - TextTable.width(cell)
                if alignments[column] == .right { spaces += missing }
                if !cell.isEmpty {
                    for _ in 0..<spaces { line += " " }
                    line += cell
                    spaces = 0
                }
                if alignments[column] == .left { spaces += missing }
            }
            return line
        }
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
