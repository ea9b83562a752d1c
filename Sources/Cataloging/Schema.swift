// The tables of the catalog.
// Paths are (directory row, name). `live` holds the newest state of every path, `past` every older state that a kept snapshot
// shows: in snapshots first <= n < until. So scans of the newest state touch nothing old.
// Numbers of snapshots and archives stay below Int64.max; other unsigned numbers keep their bits.
// Source: sqlite.org, "Clustered Indexes and the WITHOUT ROWID Optimization".

internal import GRDB

enum Schema {
    /// In `PRAGMA user_version`; a catalog of any other version is rebuilt.
    static let version: Int64 = 3

    /// Of the root directory, which has the place (0, "").
    static let rootDirectory: Int64 = 1

    static func create(in db: Database) throws {
        try db.execute(sql: tables)
        try db.execute(sql: "PRAGMA user_version = \(version)")
    }

    private static let state = """
        directory INTEGER NOT NULL,
        kind INTEGER NOT NULL, mode INTEGER NOT NULL, user_owner INTEGER NOT NULL, group_owner INTEGER NOT NULL,
        size INTEGER NOT NULL,
        modified INTEGER NOT NULL, modified_ns INTEGER NOT NULL, changed INTEGER NOT NULL, changed_ns INTEGER NOT NULL,
        device INTEGER NOT NULL, inode INTEGER NOT NULL, links INTEGER NOT NULL, marks INTEGER NOT NULL,
        content BLOB NOT NULL, extra BLOB NOT NULL, seal INTEGER NOT NULL
        """

    private static let tables = """
        CREATE TABLE meta (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;

        CREATE TABLE archive (
            number INTEGER PRIMARY KEY, time INTEGER NOT NULL, kind INTEGER NOT NULL, digest BLOB NOT NULL,
            size INTEGER NOT NULL, snapshot INTEGER, lane INTEGER, verified INTEGER);
        CREATE INDEX archive_kind ON archive (kind);
        CREATE INDEX archive_fast ON archive (number) WHERE lane IS NOT 1;
        INSERT INTO meta (key, value) VALUES ('\(Meta.Number.archiveBytes.rawValue)', 0);
        CREATE TRIGGER archive_comes AFTER INSERT ON archive BEGIN
            UPDATE meta SET value = value + new.size WHERE key = '\(Meta.Number.archiveBytes.rawValue)'; END;
        CREATE TRIGGER archive_goes AFTER DELETE ON archive BEGIN
            UPDATE meta SET value = value - old.size WHERE key = '\(Meta.Number.archiveBytes.rawValue)'; END;

        CREATE TABLE snapshot (
            number INTEGER PRIMARY KEY, archive INTEGER NOT NULL, kind INTEGER NOT NULL, time INTEGER NOT NULL,
            host BLOB NOT NULL, sources BLOB NOT NULL, identity BLOB NOT NULL, parent INTEGER, parent_identity BLOB NOT NULL,
            covers_from INTEGER NOT NULL, data_archives BLOB NOT NULL, entries INTEGER NOT NULL, bytes_source INTEGER NOT NULL,
            entries_changed INTEGER NOT NULL, bytes_added INTEGER NOT NULL, standalone INTEGER NOT NULL);
        CREATE INDEX snapshot_time ON snapshot (time);
        CREATE INDEX snapshot_archive ON snapshot (archive);
        CREATE INDEX snapshot_full ON snapshot (number) WHERE kind = 1;

        CREATE TABLE remark (snapshot INTEGER NOT NULL, kind INTEGER NOT NULL, text BLOB NOT NULL);
        CREATE INDEX remark_snapshot ON remark (snapshot);

        CREATE TABLE owner (
            id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, number INTEGER NOT NULL, name BLOB NOT NULL,
            UNIQUE (kind, number, name));

        CREATE TABLE directory (
            id INTEGER PRIMARY KEY AUTOINCREMENT, parent INTEGER NOT NULL, name BLOB NOT NULL,
            implicit INTEGER NOT NULL DEFAULT 0, UNIQUE (parent, name));
        CREATE INDEX directory_implicit ON directory (parent, name) WHERE implicit = 1;
        INSERT INTO directory (id, parent, name) VALUES (\(rootDirectory), 0, x'');

        CREATE TABLE live (
            parent INTEGER NOT NULL, name BLOB NOT NULL, first INTEGER NOT NULL, \(state),
            PRIMARY KEY (parent, name)) WITHOUT ROWID;
        CREATE INDEX live_inode ON live (inode) WHERE kind <> 2;

        CREATE TABLE past (
            parent INTEGER NOT NULL, name BLOB NOT NULL, first INTEGER NOT NULL, \(state), until INTEGER NOT NULL,
            PRIMARY KEY (parent, name, first)) WITHOUT ROWID;

        CREATE TABLE touched (
            snapshot INTEGER NOT NULL, directory INTEGER NOT NULL, PRIMARY KEY (snapshot, directory)) WITHOUT ROWID;

        CREATE TABLE chunk (
            id INTEGER PRIMARY KEY, key INTEGER NOT NULL, rest BLOB NOT NULL, length INTEGER NOT NULL,
            archive INTEGER, frame INTEGER NOT NULL, offset INTEGER NOT NULL);
        CREATE INDEX chunk_key ON chunk (key);
        CREATE INDEX chunk_archive ON chunk (archive);

        CREATE TABLE copy (
            chunk INTEGER NOT NULL, archive INTEGER NOT NULL, frame INTEGER NOT NULL, offset INTEGER NOT NULL,
            PRIMARY KEY (chunk, archive)) WITHOUT ROWID;
        CREATE INDEX copy_archive ON copy (archive);
        """
}
