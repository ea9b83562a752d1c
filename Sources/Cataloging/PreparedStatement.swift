// One SQL statement, bound and stepped without boxing: the hot path between rows and SQLite.
// In: integers and bytes.  Out: rows, whose bytes are valid until the next step or reset.
// Invariant: every use begins reset. The connection's cache owns the statement: it is valid within the access to the database
// that made it, and two uses of one SQL text must not overlap there.
// Source: sqlite.org, "Binding Values To Prepared Statements".

internal import GRDB
internal import GRDBSQLite

struct PreparedStatement {
    // A pointer alone: a reference would be counted up and down at every column.
    private let handle: OpaquePointer

    init(_ statement: Statement) {
        handle = statement.sqliteStatement
        sqlite3_reset(handle)
    }

    // A bind that fails (no memory, above a gigabyte) leaves NULL, which every such column refuses: the step throws.

    @inline(__always)
    func bind(_ index: CInt, _ value: Int64) {
        sqlite3_bind_int64(handle, index, value)
    }

    /// Numbers above Int64.max keep their bits.
    @inline(__always)
    func bind(_ index: CInt, bits value: UInt64) {
        sqlite3_bind_int64(handle, index, Int64(bitPattern: value))
    }

    func bind(_ index: CInt, optional value: Int64?) {
        if let value { bind(index, value) } else { sqlite3_bind_null(handle, index) }
    }

    /// SQLite copies the bytes.
    func bind(_ index: CInt, _ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress, bytes.count > 0 else {
            sqlite3_bind_zeroblob(handle, index, 0)
            return
        }
        sqlite3_bind_blob64(handle, index, base, UInt64(bytes.count), PreparedStatement.copied)
    }

    func bind(_ index: CInt, _ bytes: [UInt8]) {
        bytes.withUnsafeBytes { bind(index, $0) }
    }

    func bind(_ index: CInt, _ bytes: ArraySlice<UInt8>) {
        bytes.withUnsafeBytes { bind(index, $0) }
    }

    /// True when there is a row.
    @inline(__always)
    func step() throws -> Bool {
        let code = sqlite3_step(handle)
        if code == SQLITE_ROW { return true }
        if code == SQLITE_DONE { return false }
        throw failure(code)
    }

    /// Steps a statement that gives no rows, and resets it.
    func run() throws {
        defer { reset() }
        _ = try step()
    }

    @inline(__always)
    func reset() {
        sqlite3_reset(handle)
    }

    @inline(__always)
    func integer(_ column: CInt) -> Int64 {
        sqlite3_column_int64(handle, column)
    }

    @inline(__always)
    func bits(_ column: CInt) -> UInt64 {
        UInt64(bitPattern: sqlite3_column_int64(handle, column))
    }

    func isNull(_ column: CInt) -> Bool {
        sqlite3_column_type(handle, column) == SQLITE_NULL
    }

    func optional(_ column: CInt) -> Int64? {
        isNull(column) ? nil : integer(column)
    }

    /// Valid until the next step or reset.
    @inline(__always)
    func bytes(_ column: CInt) -> UnsafeRawBufferPointer {
        let base = sqlite3_column_blob(handle, column)
        // The blob is asked for first: the count is then that of the blob.
        return UnsafeRawBufferPointer(start: base, count: base == nil ? 0 : Int(sqlite3_column_bytes(handle, column)))
    }

    func array(_ column: CInt) -> [UInt8] {
        Array(bytes(column))
    }

    /// One integer of the first row; nil without a row or when it is NULL. Resets.
    func firstInteger() throws -> Int64? {
        defer { reset() }
        return try step() ? optional(0) : nil
    }

    @inline(never)
    private func failure(_ code: CInt) -> any Error {
        let connection = sqlite3_db_handle(handle)
        return CatalogError(resultCode: code, sqlite3_errmsg(connection).map { String(cString: $0) } ?? "")
    }

    /// SQLITE_TRANSIENT, a C macro that is not imported.
    private static let copied = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
}

extension Database {
    /// The statement of `sql`, from the connection's cache.
    func prepared(_ sql: String) throws -> PreparedStatement {
        PreparedStatement(try cachedStatement(sql: sql))
    }
}
