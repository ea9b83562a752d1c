// What holds for the whole catalog: its repository, and the highest numbers ever seen.

internal import Archiving
internal import GRDB

enum Meta {
    static func setRepository(_ id: RepositoryID, in db: Database) throws {
        let insert = try db.prepared("INSERT INTO meta (key, value) VALUES ('repository', ?)")
        insert.bind(1, id.bytes)
        try insert.run()
    }

    static func repository(in db: Database) throws -> RepositoryID? {
        let row = try db.prepared("SELECT value FROM meta WHERE key = 'repository'")
        defer { row.reset() }
        return try row.step() ? RepositoryID(bytes: row.array(0)) : nil
    }

    static func stamp(in db: Database) throws -> String? {
        let row = try db.prepared("SELECT value FROM meta WHERE key = 'stamp'")
        defer { row.reset() }
        return try row.step() ? String(decoding: row.array(0), as: UTF8.self) : nil
    }

    static func setStamp(_ stamp: String, in db: Database) throws {
        let write = try db.prepared("INSERT OR REPLACE INTO meta (key, value) VALUES ('stamp', ?)")
        write.bind(1, Array(stamp.utf8))
        try write.run()
    }

    enum Number: String {
        case highestArchive = "highest archive"
        case highestSnapshot = "highest snapshot"
        /// Of all archives together; kept by the database itself.
        case archiveBytes = "archive bytes"
        /// The record archive whose remarks stand in `remark`.
        case remarks
    }

    /// 0 before the first is seen.
    static func number(_ key: Number, in db: Database) throws -> Int64 {
        try db.prepared("SELECT value FROM meta WHERE key = '\(key.rawValue)'").firstInteger() ?? 0
    }

    static func raise(_ key: Number, to value: Int64, in db: Database) throws {
        let write = try db.prepared(
            """
            INSERT INTO meta (key, value) VALUES ('\(key.rawValue)', ?1) \
            ON CONFLICT (key) DO UPDATE SET value = max(value, ?1)
            """)
        write.bind(1, value)
        try write.run()
    }
}
