// Everything that a person can set, with its presets, checked as a whole.
// In: config.toml.  Out: typed settings for each module, or an error that names file, line and key.
// A wrong file changes nothing: a running daemon keeps the configuration that it has.

package import Compressing
package import Kernel
package import Rotating
package import Scanning
package import Scheduling
internal import TOMLKit
package import Watching

package struct Configuration: Hashable, Sendable {
    package struct Compression: Hashable, Sendable {
        /// For bulk.
        package var fast: CompressionLevel = .fast
        /// For incrementals and consolidation; nil: the fast lane for all.
        package var deep: CompressionLevel? = .deep
        /// Decode every frame again before it is written.
        package var verifiesWrites = true
    }

    package struct Watching: Hashable, Sendable {
        package var backend = WatchBackend.auto
        /// The share of watches left to other programs, 0...1.
        package var reserve = 0.25
    }

    package struct Limits: Hashable, Sendable {
        /// Bytes in flight during a snapshot.
        package var memory: UInt64 = 256 << 20
        /// Bytes of the sources that are read in a second; nil: as many as there are.
        package var readRate: UInt64?
        /// On battery, and with less charge than this, 0...1, archiving waits.
        package var batteryBelow = 0.3
        package var metered = Metered.wait
        /// What waits is in a snapshot after this long all the same; what is older counts as unprotected.
        package var longestWait: Duration = .seconds(86400)

        package init() {}
    }

    /// What is done while the repository lies behind a network that costs by the byte.
    package enum Metered: String, Hashable, Sendable, CaseIterable {
        case wait, ignore
    }

    /// Made by `init`; ties a repository to its configuration.
    package var id: String?
    package var sources: [Path]
    package var repository: Path
    package var keyFile: Path?
    package var state: Path?
    package var runtime: Path?
    package var exclude = ExcludeSettings()
    package var quiet: Duration = .seconds(2)
    package var deadline: Duration = .seconds(30)
    package var schedule = ScheduleSettings()
    package var keep = KeepPolicy()
    package var archiveSize: UInt64 = 512 << 20
    package var compression = Compression()
    package var watch = Watching()
    package var limits = Limits()
    package var hooks = HookSettings()
    /// A change of the verdict is shown on the desktop.
    package var notifiesDesktop = true

    package init(sources: [Path], repository: Path) {
        self.sources = sources
        self.repository = repository
    }
}

// MARK: Reading

extension Configuration {
    /// Reads and checks a configuration file.
    ///
    /// - Throws: `AgentError.notConfigured` when there is none, `ConfigurationError`, `AgentError` about sources that overlap
    ///   or lie inside the repository.
    package static func load(from file: Path) throws -> Configuration {
        let bytes: [UInt8]
        do throws(Errno) {
            bytes = try file.readFile(limit: 1 << 20)
        } catch .noSuchFileOrDirectory {
            throw AgentError.notConfigured(file)
        } catch {
            throw ConfigurationError(file: file, line: nil, reason: "cannot be read: \(error)")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw ConfigurationError(file: file, line: nil, reason: "is not UTF-8")
        }
        return try Configuration(text: text, file: file)
    }

    /// As `load`, from text. `file` is named in errors.
    package init(text: String, file: Path) throws {
        var look = ConfigurationGuard(text, file: file)
        try look.check()
        let table: TOMLTable
        do {
            table = try TOMLTable(string: text)
        } catch let error as TOMLParseError {
            throw ConfigurationError(file: file, line: error.source.begin.line, reason: error.description)
        }
        func reader(_ section: String) throws(ConfigurationError) -> ConfigurationReader {
            if section.isEmpty { return ConfigurationReader(file: file, text: text, section: "", table: table) }
            guard let value = table[section] else { return ConfigurationReader(file: file, text: text, section: section, table: nil) }
            guard let inner = value.table else {
                throw ConfigurationReader(file: file, text: text, section: "", table: table).wrong(section, "is a section: write [\(section)]")
            }
            return ConfigurationReader(file: file, text: text, section: section, table: inner)
        }
        var top = try reader("")
        let sources = try top.paths("sources")
        guard !sources.isEmpty else { throw top.wrong("sources", "is missing: a list of directories, as in [\"/home/me\"]") }
        guard let repository = try top.path("repository") else { throw top.wrong("repository", "is missing: a directory") }
        self.init(sources: sources.sorted(), repository: repository)
        id = try top.string("id")
        keyFile = try top.path("key_file")
        state = try top.path("state")
        runtime = try top.path("runtime")
        try top.finish(sections: ["exclude", "schedule", "keep", "archive", "compression", "watch", "limits", "hooks", "notify"])
        try readExclude(reader("exclude"))
        try readSchedule(reader("schedule"))
        try readKeep(reader("keep"))
        try readArchive(reader("archive"))
        try readCompression(reader("compression"))
        try readWatch(reader("watch"))
        try readLimits(reader("limits"))
        try readHooks(reader("hooks"))
        try readNotify(reader("notify"))
        try checkPlaces()
    }

    private mutating func readExclude(_ section: ConfigurationReader) throws(ConfigurationError) {
        var section = section
        exclude.patterns = try section.strings("patterns") ?? []
        exclude.defaults = try section.flag("defaults", exclude.defaults)
        exclude.ignoreFiles = try section.strings("ignore_files") ?? []
        exclude.oneFileSystem = try section.flag("one_file_system", exclude.oneFileSystem)
        exclude.largerThan = try section.bytes("larger_than", nil)
        try section.finish()
    }

    private mutating func readSchedule(_ section: ConfigurationReader) throws(ConfigurationError) {
        var section = section
        quiet = try section.duration("quiet", quiet, in: .zero ... .seconds(3600))
        deadline = try section.duration("deadline", deadline, in: .zero ... .seconds(86400))
        if deadline < quiet { throw section.wrong("deadline", "is at least as long as quiet") }
        schedule.minimumGap = try section.duration("minimum_gap", schedule.minimumGap, in: .zero ... .seconds(86400))
        schedule.reconcileEvery = try section.duration("reconcile_every", .seconds(3600), in: .seconds(10) ... .seconds(30 * 86400))
        schedule.fullEvery = try section.duration("full_every", .seconds(7 * 86400), in: .seconds(60) ... .seconds(366 * 86400))
        schedule.verifyEvery = try section.duration("verify_every", .seconds(86400), in: .seconds(60) ... .seconds(366 * 86400))
        try section.finish()
    }

    private mutating func readKeep(_ section: ConfigurationReader) throws(ConfigurationError) {
        var section = section
        keep.last = try section.count("last", keep.last)
        keep.within = try section.duration("within", keep.within)
        keep.minutely = try section.count("minutely", keep.minutely)
        keep.quarterHourly = try section.count("quarter_hourly", keep.quarterHourly)
        keep.hourly = try section.count("hourly", keep.hourly)
        keep.daily = try section.count("daily", keep.daily)
        keep.weekly = try section.count("weekly", keep.weekly)
        keep.monthly = try section.count("monthly", keep.monthly)
        keep.yearly = try section.count("yearly", keep.yearly)
        keep.fulls = try section.count("fulls", keep.fulls)
        keep.size = try section.bytes("size", keep.size, atLeast: 1 << 20)
        try section.finish()
    }

    private mutating func readArchive(_ section: ConfigurationReader) throws(ConfigurationError) {
        var section = section
        guard let size = try section.bytes("size", archiveSize, atLeast: 1 << 20), size <= 1 << 40 else {
            throw section.wrong("size", "lies between 1 MiB and 1 TiB")
        }
        archiveSize = size
        try section.finish()
    }

    private mutating func readCompression(_ section: ConfigurationReader) throws(ConfigurationError) {
        var section = section
        let form = "is \"xz:0\" to \"xz:9\", \"zstd:1\" to \"zstd:19\", or \"none\""
        if let text = try section.string("fast") {
            guard let level = CompressionLevel(text) else { throw section.wrong("fast", form) }
            compression.fast = level
        }
        if let text = try section.string("deep") {
            guard let level = CompressionLevel(text) else { throw section.wrong("deep", form) }
            compression.deep = level == .stored ? nil : level
        }
        compression.verifiesWrites = try section.flag("verify_writes", compression.verifiesWrites)
        try section.finish()
    }

    private mutating func readWatch(_ section: ConfigurationReader) throws(ConfigurationError) {
        var section = section
        let backend = try section.choice("backend", watch.backend.rawValue, of: WatchBackend.allCases.map(\.rawValue))
        watch.backend = WatchBackend(rawValue: backend) ?? .auto
        watch.reserve = try section.share("reserve_watches", watch.reserve)
        try section.finish()
    }

    private mutating func readLimits(_ section: ConfigurationReader) throws(ConfigurationError) {
        var section = section
        limits.memory = try section.bytes("memory", limits.memory, atLeast: 32 << 20) ?? limits.memory
        limits.longestWait = try section.duration("longest_wait", limits.longestWait)
        schedule.longestWait = limits.longestWait
        limits.readRate = try section.bytes("read_rate", nil, atLeast: 1024)
        limits.batteryBelow = try section.share("battery_below", limits.batteryBelow)
        let metered = try section.choice("metered", limits.metered.rawValue, of: Metered.allCases.map(\.rawValue))
        limits.metered = Metered(rawValue: metered) ?? .wait
        try section.finish()
    }

    private mutating func readHooks(_ section: ConfigurationReader) throws(ConfigurationError) {
        var section = section
        hooks.before = try section.strings("before") ?? []
        hooks.after = try section.strings("after") ?? []
        hooks.failure = try section.strings("failure") ?? []
        hooks.recovery = try section.strings("recovery") ?? []
        hooks.timeout = try section.duration("timeout", hooks.timeout, in: .seconds(1) ... .seconds(86400))
        hooks.beforeGap = try section.duration("before_gap", hooks.beforeGap, in: .zero ... .seconds(366 * 86400))
        try section.finish()
    }

    private mutating func readNotify(_ section: ConfigurationReader) throws(ConfigurationError) {
        var section = section
        notifiesDesktop = try section.flag("desktop", notifiesDesktop)
        try section.finish()
    }

    private func checkPlaces() throws {
        for (index, source) in sources.enumerated() {
            if source.isAtOrBelow(repository) { throw AgentError.sourceInsideRepository(source: source, repository: repository) }
            for other in sources[(index + 1)...] where source.isAtOrBelow(other) || other.isAtOrBelow(source) {
                throw AgentError.overlappingSources(source, other)
            }
        }
    }
}

// MARK: Writing

extension Configuration {
    /// The text of a configuration file with what `init` was told; everything else has its preset.
    package var initialText: String {
        """
        # Auto-Backup. Every key is optional but sources and repository; `watchctl config show` prints all with their values.
        # After a change: watchctl reload

        sources = [\(sources.map { quoted($0.text) }.joined(separator: ", "))]
        repository = \(quoted(repository.text))
        id = \(quoted(id ?? ""))

        """
    }

    /// All keys with the values in force.
    package var text: String {
        func list(_ texts: [String]) -> String { "[\(texts.map(quoted).joined(separator: ", "))]" }
        func bytes(_ value: UInt64?) -> String { quoted(value.map(ByteText.exact) ?? "none") }
        func time(_ value: Duration) -> String { quoted(DurationText.describe(value)) }
        return """
            sources = \(list(sources.map(\.text)))
            repository = \(quoted(repository.text))

            [exclude]
            patterns = \(list(exclude.patterns))
            defaults = \(exclude.defaults)
            ignore_files = \(list(exclude.ignoreFiles))
            one_file_system = \(exclude.oneFileSystem)
            larger_than = \(bytes(exclude.largerThan))

            [schedule]
            quiet = \(time(quiet))
            deadline = \(time(deadline))
            minimum_gap = \(time(schedule.minimumGap))
            reconcile_every = \(time(schedule.reconcileEvery ?? .zero))
            full_every = \(time(schedule.fullEvery ?? .zero))
            verify_every = \(time(schedule.verifyEvery ?? .zero))

            [keep]
            last = \(keep.last)
            within = \(time(keep.within))
            minutely = \(keep.minutely)
            quarter_hourly = \(keep.quarterHourly)
            hourly = \(keep.hourly)
            daily = \(keep.daily)
            weekly = \(keep.weekly)
            monthly = \(keep.monthly)
            yearly = \(keep.yearly)
            fulls = \(keep.fulls)
            size = \(bytes(keep.size))

            [archive]
            size = \(bytes(archiveSize))

            [compression]
            fast = \(quoted(compression.fast.description))
            deep = \(quoted(compression.deep?.description ?? "none"))
            verify_writes = \(compression.verifiesWrites)

            [watch]
            backend = \(quoted(watch.backend.rawValue))
            reserve_watches = \(quoted("\(Int((watch.reserve * 100).rounded()))%"))

            [limits]
            memory = \(bytes(limits.memory))
            read_rate = \(quoted(limits.readRate.map { "\($0)B/s" } ?? "none"))
            battery_below = \(quoted("\(Int((limits.batteryBelow * 100).rounded()))%"))
            metered = \(quoted(limits.metered.rawValue))
            longest_wait = \(time(limits.longestWait))

            [hooks]
            before = \(list(hooks.before))
            after = \(list(hooks.after))
            failure = \(list(hooks.failure))
            recovery = \(list(hooks.recovery))
            timeout = \(time(hooks.timeout))
            before_gap = \(time(hooks.beforeGap))

            [notify]
            desktop = \(notifiesDesktop)

            """
    }

    /// A basic string of TOML.
    private func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\u{0}"..."\u{1F}", "\u{7F}":
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
