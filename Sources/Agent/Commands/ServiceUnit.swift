// The systemd units of the daemon: their text, which packages and `watchctl start` take from here, and where they are.
// In: whose manager, the program, the configuration.  Out: the unit's text.
// Invariant: what hardens the daemon takes nothing of the sources away from it. Whatever needs a mount or user namespace is left out:
// in one, other users' files have other owners, sources are hidden or read-only, and a user's manager cannot make it without the other.
// Source: systemd.service(5), systemd.exec(5), "Sandboxing"; systemd.syntax(7), "Quoting".

package import Kernel

package enum ServiceUnit {
    package enum Manager: String, Sendable, CaseIterable {
        /// A person's own: begins at login, backs up what that person can read.
        case user
        /// The computer's: begins at boot, as root.
        case system
    }

    package static let name = "auto-backup.service"
    /// The unit was written here and may be written anew.
    static let mark = "# Written by watchctl start, which writes it anew when something in it has changed.\n"

    /// - Parameters:
    ///   - variables: Of this process's environment, those that the manager may not know.
    package static func text(
        for manager: Manager, program: Path, configurationFile: Path? = nil, variables: [(name: String, value: String)] = []
    ) -> String {
        let command = [quoted(program.bytes, isProgram: true)] + (configurationFile.map { ["--config", quoted($0.bytes)] } ?? [])
        let environment = variables.map { "Environment=\(quoted(Array("\($0.name)=\($0.value)".utf8), isPath: false))\n" }.joined()
        // Without RestrictSUIDSGID: it forbids openat2(2), by which sources and restore targets are opened (systemd.exec(5)).
        return """
            [Unit]
            Description=Auto-Backup, continuous encrypted backup
            Documentation=man:watchd(8) man:watchctl(1)
            # Tried again for five minutes; what is gone for longer, a person has to mend.
            StartLimitIntervalSec=600
            StartLimitBurst=20
            \(manager == .system ? "ConditionPathExists=/etc/auto-backup/config.toml\n\n" : "\n")[Service]
            Type=notify
            NotifyAccess=main
            ExecStart=\(command.joined(separator: " "))
            ExecReload=/bin/kill -HUP $MAINPID
            \(environment)Restart=on-failure
            RestartSec=15
            # Wrong key, wrong usage: another try gives the same.
            RestartPreventExitStatus=12 64
            # A lost catalog is made anew before the daemon is ready.
            TimeoutStartSec=infinity
            WatchdogSec=60
            OOMPolicy=continue
            LimitNOFILE=65536
            UMask=0077
            \(manager == .system ? system + "\n" : "")NoNewPrivileges=yes
            LockPersonality=yes
            MemoryDenyWriteExecute=yes
            RestrictAddressFamilies=AF_UNIX
            RestrictNamespaces=yes
            RestrictRealtime=yes
            SystemCallArchitectures=native
            SystemCallErrorNumber=EPERM
            SystemCallFilter=@system-service fanotify_init fanotify_mark\(manager == .system ? " open_by_handle_at" : "")

            [Install]
            WantedBy=\(manager == .system ? "multi-user.target" : "default.target")

            """
    }

    /// Reads everything (DAC_READ_SEARCH, and FOWNER for reading without a trace in the access time), watches file systems as a whole and
    /// reads trusted attributes (SYS_ADMIN), sees the watches of others (SYS_PTRACE), writes a repository that is another user's.
    private static let system = """
        # /etc/auto-backup, /var/lib/auto-backup, /run/auto-backup.
        Environment=AUTO_BACKUP_SYSTEM=1
        ConfigurationDirectory=auto-backup
        ConfigurationDirectoryMode=0700
        StateDirectory=auto-backup
        StateDirectoryMode=0700
        RuntimeDirectory=auto-backup
        RuntimeDirectoryMode=0700
        CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_SYS_ADMIN CAP_SYS_PTRACE
        IPAddressDeny=any
        """

    /// As a package installs it.
    package static func packaged(for manager: Manager) -> String {
        text(for: manager, program: Path(unchecked: Array("usr/bin/watchd".utf8)))
    }

    /// One word of a command line or an assignment. A program's path is taken as it is but for specifiers; elsewhere `$` begins a variable.
    fileprivate static func quoted(_ bytes: [UInt8], isProgram: Bool = false, isPath: Bool = true) -> String {
        var result = isPath ? "/" : ""
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "%"): result += "%%"
            case UInt8(ascii: "$") where isPath && !isProgram: result += "$$"
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): result += "\\" + String(UnicodeScalar(byte))
            case 0x20...0x7E: result += String(UnicodeScalar(byte))
            default: result += "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }
        return "\"\(result)\""
    }
}

extension ServiceUnit {
    /// The manager that is to run an installation's daemon, if there is one.
    struct Service {
        let manager: Manager
        private let installation: Installation
        /// Where `watchctl start` writes it.
        private let file: Path

        /// Nil without a service manager for this installation: also when the unit that is there is about another configuration.
        init?(of installation: Installation) {
            self.installation = installation
            if installation.places.isSystem {
                guard let bus = Path("/run/systemd/system"), bus.exists else { return nil }
                manager = .system
                file = Path(unchecked: Array("etc/systemd/system/\(name)".utf8))
            } else {
                // Another's, whose environment came along with sudo, does not count.
                guard let runtime = ProcessIdentity.environment("XDG_RUNTIME_DIR"), let bus = Path("\(runtime)/systemd/private"),
                    (try? FileStatus(of: bus))?.uid == ProcessIdentity.uid,
                    let folder = ProcessIdentity.environment("XDG_CONFIG_HOME").flatMap({ Path($0) }) ?? ProcessIdentity.home?.appending(".config".utf8)
                else { return nil }
                manager = .user
                file = folder.appending("systemd/user/\(name)".utf8)
            }
            if let text = written {
                guard text.contains(" --config \(quoted(installation.places.configurationFile.bytes))\n") else { return nil }
            } else if isPackaged {
                // It has the standard configuration.
                guard (try? Places().configurationFile) == installation.places.configurationFile,
                    ProcessIdentity.environment("AUTO_BACKUP_CONFIG") == nil else { return nil }
            }
        }

        /// Writes the unit where none is installed, or the one that was written here would be another now.
        ///
        /// - Returns: True when the manager has to read it.
        func install(program: () throws -> Path) throws -> Bool {
            let old = written
            if old == nil, isPackaged { return false }
            if let old, !old.hasPrefix(mark) { return false }
            let new = mark + unit(program: try program())
            if new == old { return false }
            try naming(file) { () throws(Errno) in
                try file.parent?.makeDirectories(mode: 0o700)
                try file.replaceFile(with: Array(new.utf8), mode: 0o644, .atomic)
            }
            return true
        }

        /// Runs `systemctl` with the unit's name at the end.
        ///
        /// - Returns: True when it went well. False also without such a program.
        func control(_ arguments: [String], output: ProcessIdentity.ProgramOutput = .inherited) -> Bool {
            let scope = manager == .user ? ["--user", "--quiet"] : ["--quiet"]
            return (try? ProcessIdentity.run("systemctl", scope + arguments, output: output)) == 0
        }

        private var written: String? { (try? file.readFile(limit: 1 << 16)).map { String(decoding: $0, as: UTF8.self) } }

        private var isPackaged: Bool {
            ["/etc", "/usr/local/lib", "/usr/lib", "/lib"].contains { Path("\($0)/systemd/\(manager.rawValue)/\(name)")?.exists ?? false }
        }

        private func unit(program: Path) -> String {
            let variables = ["XDG_CONFIG_HOME", "XDG_STATE_HOME"].compactMap { name in
                ProcessIdentity.environment(name).map { (name: name, value: $0) }
            }
            return ServiceUnit.text(
                for: manager, program: program, configurationFile: installation.places.configurationFile,
                variables: manager == .user ? variables : [])
        }
    }
}
