// The rules that can still match in one directory of a walk.
// In: the rules of the directory above, and the ignore files of this one.  Out: a verdict for each name in it.
// Invariant: rules stand in rising precedence; those that cannot match below this directory are gone, so that the
// thousandth directory of a tree asks only the few that concern names.

internal import Kernel

struct ExcludeScope: Sendable {
    private struct Candidate: Sendable {
        let sieve: ExcludePattern.Sieve
        let pattern: ExcludePattern
        /// Bytes of the base directory with its slash, at the beginning of a full path.
        let baseCount: Int
        let place: RuleOrigin.Place
        let text: [UInt8]
    }

    private var candidates: [Candidate] = []
    private var ownPaths: [Path]

    init(directory: Path, ownPaths: [Path]) {
        self.ownPaths = ownPaths.filter { $0.isBelow(directory) }
    }

    /// True when no name here can be excluded.
    var isEmpty: Bool { candidates.isEmpty && ownPaths.isEmpty }

    mutating func add(_ pattern: ExcludePattern, base: Path, place: RuleOrigin.Place, text: [UInt8]? = nil) {
        let baseCount = base.isRoot ? 0 : base.bytes.count + 1
        let text = text ?? pattern.text
        candidates.append(Candidate(sieve: pattern.sieve, pattern: pattern, baseCount: baseCount, place: place, text: text))
    }

    /// Adds the lines of an ignore file of this directory: they beat all that were there before.
    ///
    /// - Parameter file: Its path; its patterns are relative to the directory that holds it.
    mutating func add(ignoreFile file: Path, contents: [UInt8]) {
        var rest = contents[...]
        // A byte order mark, as some editors write it.
        if rest.starts(with: [0xEF, 0xBB, 0xBF]) { rest = rest.dropFirst(3) }
        let lines = rest.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() {
            let line = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
            guard !line.contains(0), let pattern = ExcludePattern(line: line) else { continue }
            add(pattern, base: file.parent ?? .root, place: .ignoreFile(file, line: index + 1))
        }
    }

    /// The rules for the names directly in `directory`, which lies in the directory of this scope.
    func entering(_ directory: Path) -> ExcludeScope {
        if isEmpty { return self }
        var result = self
        let path = directory.bytes + [slash]
        // Nearly always nothing or little goes: then the array stays shared.
        if candidates.contains(where: { !$0.pattern.canMatch(below: path.dropFirst($0.baseCount)) }) {
            result.candidates.removeAll { !$0.pattern.canMatch(below: path.dropFirst($0.baseCount)) }
        }
        if !ownPaths.isEmpty { result.ownPaths.removeAll { !$0.isBelow(directory) } }
        return result
    }

    func verdict(for path: Path, isDirectory: Bool) -> Verdict {
        path.bytes.withUnsafeBufferPointer { bytes in
            let nameCount = path.name.count
            if isOwn(bytes) { return Verdict(isExcluded: true, rule: RuleOrigin(text: path.bytes, place: .own)) }
            guard let index = decidingRule(bytes, nameStart: bytes.count - nameCount, isDirectory: isDirectory) else {
                return Verdict(isExcluded: false)
            }
            let rule = candidates[index]
            return Verdict(isExcluded: !rule.pattern.isNegated, rule: RuleOrigin(text: rule.text, place: rule.place))
        }
    }

    /// As `verdict`, without saying why. `path` is a full path, whose last component begins at `nameStart`.
    func excludes(_ path: UnsafeBufferPointer<UInt8>, nameStart: Int, isDirectory: Bool) -> Bool {
        if isOwn(path) { return true }
        guard let index = decidingRule(path, nameStart: nameStart, isDirectory: isDirectory) else { return false }
        return !candidates[index].pattern.isNegated
    }

    private func isOwn(_ path: UnsafeBufferPointer<UInt8>) -> Bool {
        !ownPaths.isEmpty && ownPaths.contains { $0.bytes.count == path.count && $0.bytes.elementsEqual(path) }
    }

    /// The last rule that speaks of the path.
    private func decidingRule(_ path: UnsafeBufferPointer<UInt8>, nameStart: Int, isDirectory: Bool) -> Int? {
        // nameStart is within the path, and so is every base: they are directories above it.
        let name = UnsafeBufferPointer(rebasing: path[nameStart...])
        return candidates.withUnsafeBufferPointer { candidates in
            var index = candidates.count
            while index > 0 {
                index -= 1
                if !candidates[index].sieve.passes(name) { continue }
                let below = UnsafeBufferPointer(rebasing: path[candidates[index].baseCount...])
                if candidates[index].pattern.matches(path: below, name: name, isDirectory: isDirectory) { return index }
            }
            return nil
        }
    }
}
