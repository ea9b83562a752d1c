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
        let widths = alignments.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            let cells = row.indices.map { TextTable.padded(row[$0], widths[$0], alignments[$0]) }
            let line = cells.joined(separator: "  ")
            return String(line[...(line.lastIndex { $0 != " " } ?? line.startIndex)])
        }
    }

    static func padded(_ text: String, _ width: Int, _ alignment: Alignment) -> String {
        let spaces = String(repeating: " ", count: max(0, width - text.count))
        return alignment == .left ? text + spaces : spaces + text
    }
}
