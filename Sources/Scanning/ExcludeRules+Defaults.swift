// What nobody wants back: caches, trash, images of virtual machines.
// Conservative: only what a program makes again by itself, what a person threw away, or what changes as a whole all the time.
// Directories that are merely large (node_modules, build) stay in: losing them would be a surprise.
// Source: XDG Base Directory and Trash specifications; documentation of flatpak, snap, libvirt, Boxes, Chromium, Firefox.

internal import Kernel

extension ExcludeRules {
    /// The default rules: gitignore(5) patterns, in which `~/` stands for a home directory.
    package static let defaultPatterns: [String] = [
        // Caches.
        "~/.cache/",
        "~/.var/app/*/cache/",
        "~/snap/*/*/.cache/",
        "~/.ccache/",
        "~/.mozilla/firefox/*/cache2/",
        "~/.config/*/Cache/",
        "~/.config/*/Code Cache/",
        "~/.config/*/GPUCache/",
        "~/.config/*/*/Cache/",
        "~/.config/*/*/Code Cache/",
        "~/.config/*/*/GPUCache/",
        "~/.config/*/*/Service Worker/CacheStorage/",
        "~/.thumbnails/",
        // Trash.
        "~/.local/share/Trash/",
        ".Trash-[0-9]*/",
        // Disk images of virtual machines.
        "~/.local/share/libvirt/images/",
        "~/.local/share/gnome-boxes/images/",
        "/var/lib/libvirt/images/",
        // Not files, or not of this moment.
        "~/.gvfs/",
        "/proc/", "/sys/", "/dev/", "/run/",
        "/swapfile", "/swap.img", "lost+found/",
    ]

    /// The defaults for these sources, all relative to the root directory.
    static func defaults(sources: [Path], home: Path?) -> [ExcludePattern] {
        var homes = home.map { [[slash] + ExcludePattern.escaped($0.bytes)] } ?? []
        // Whoever backs up all homes means the caches of all of them.
        let allHomes = Path(unchecked: Array("home".utf8))
        let rootHome = Path(unchecked: Array("root".utf8))
        if sources.contains(where: { allHomes.isAtOrBelow($0) }) { homes.append(Array("/home/*".utf8)) }
        if sources.contains(where: { rootHome.isAtOrBelow($0) }), home != rootHome { homes.append(Array("/root".utf8)) }
        return defaultPatterns.flatMap { text -> [ExcludePattern] in
            guard text.hasPrefix("~/") else { return ExcludePattern(line: text.utf8).map { [$0] } ?? [] }
            return homes.compactMap { ExcludePattern(line: $0 + Array(text.utf8.dropFirst())) }
        }
    }
}
