// An entry of a snapshot as `ls` shows it.

internal import Archiving
internal import Kernel

enum EntryText {
    /// The name as seen from `directory`; a file that lists itself has its own name.
    static func name(_ entry: Entry, below directory: Path) -> String {
        let isBelow = entry.path.isBelow(directory)
        return printable(isBelow ? entry.path.suffix(below: directory) : entry.path.name)
    }

    static func typeName(_ kind: FileKind) -> String {
        switch kind {
        case .file: "file"
        case .directory: "directory"
        case .symlink: "symlink"
        case .fifo: "fifo"
        case .socket: "socket"
        case .characterDevice: "character-device"
        case .blockDevice: "block-device"
        }
    }

    /// `drwxr-sr-t`, as ls(1) writes it.
    static func mode(_ kind: FileKind, _ mode: UInt16) -> String {
        var text: [Character] =
            switch kind {
            case .file: ["-"]
            case .directory: ["d"]
            case .symlink: ["l"]
            case .fifo: ["p"]
            case .socket: ["s"]
            case .characterDevice: ["c"]
            case .blockDevice: ["b"]
            }
        for (index, letter) in "rwxrwxrwx".enumerated() {
            text.append(mode & (0o400 >> UInt16(index)) != 0 ? letter : "-")
        }
        func mark(_ bit: UInt16, at place: Int, _ letter: Character) {
            if mode & bit != 0 { text[place] = text[place] == "x" ? letter : Character(letter.uppercased()) }
        }
        mark(0o4000, at: 3, "s")
        mark(0o2000, at: 6, "s")
        mark(0o1000, at: 9, "t")
        return String(text)
    }

    /// The name that the backed up machine knew; where it knew none, the number.
    static func owner(_ name: [UInt8], _ number: UInt32) -> String { name.isEmpty ? "\(number)" : printable(name) }

    /// Bytes; of a device its number.
    static func size(_ entry: Entry) -> String {
        switch entry.kind {
        case .characterDevice, .blockDevice: "\(entry.special.major), \(entry.special.minor)"
        default: "\(entry.size)"
        }
    }
}
