// How the dirty set stays small: a directory takes the place of the members in it.
// First rule: more than `childLimit` dirty entries directly in one directory become the directory, marked `children`; as many wider
// members become the directory, marked `subtree`. Second rule: above `memberLimit` in all, the deepest directory of the busiest
// branch that is worth it takes the place of what is below it, again and again, up to the source if need be.
// Both only widen: what a member covered stays covered.

import Kernel

extension DirtySet {
    /// First rule, for the directory of a node that has become a member. Goes on upwards where it makes one.
    mutating func promote(above index: DirtyTree.Index) {
        let parent = tree[index].parent
        guard parent != DirtyTree.none else { return }
        if tree[parent].wideChildren > settings.childLimit {
            mark(parent, .subtree, tree[index].clock)
        } else if tree[parent].entryChildren > settings.childLimit {
            mark(parent, .children, tree[index].clock)
        }
    }

    /// Second rule. False when there is nothing to gain: every source is one member.
    mutating func gatherBusiest() -> Bool {
        let sources = 0..<DirtyTree.Index(tree.sourceCount)
        guard var index = sources.max(by: { tree[$0].members < tree[$1].members }), tree[index].members > 1 else { return false }
        // A step that frees at least this many is not needed again for as many changes, which pays for the search.
        let worthwhile = max(2, Int32(clamping: settings.memberLimit / 128))
        while let child = busiestChild(of: index), tree[child].members >= worthwhile { index = child }
        let node = tree[index]
        let isFlat = node.members == node.entryChildren + (node.isMember ? 1 : 0)
        // Whichever clock it begins with, it takes over those of all its members.
        var member = index
        while !tree[member].isMember, let child = busiestChild(of: member) { member = child }
        let clock = tree[member].clock
        mark(index, isFlat ? .children : .subtree, clock)
        return true
    }

    private func busiestChild(of index: DirtyTree.Index) -> DirtyTree.Index? {
        var best: DirtyTree.Index?
        var members: Int32 = 0
        var child = tree[index].firstChild
        while child != DirtyTree.none {
            if tree[child].members > members {
                members = tree[child].members
                best = child
            }
            child = tree[child].next
        }
        return best
    }

    /// A member takes over the members that it covers.
    mutating func absorb(_ index: DirtyTree.Index) {
        var clock = tree[index].clock
        switch tree[index].scope {
        case .entry: return
        case .children:
            var child = tree[index].firstChild
            while child != DirtyTree.none {
                let next = tree[child].next
                if tree[child].isMember, tree[child].scope == .entry {
                    clock.join(tree[child].clock)
                    drop(child)
                }
                child = next
            }
        case .subtree:
            let below = tree[index].members - 1
            tree.removeBelow(index) { clock.join($0) }
            tree.count(-below, from: index)
            count -= Int(below)
        }
        tree[index].clock = clock
    }

    /// Ends a membership; the node goes with it when nothing is below.
    mutating func drop(_ index: DirtyTree.Index) {
        let parent = tree[index].parent
        if parent != DirtyTree.none {
            if tree[index].scope == .entry { tree[parent].entryChildren -= 1 } else { tree[parent].wideChildren -= 1 }
        }
        tree[index].isMember = false
        tree.count(-1, from: index)
        count -= 1
        tree.prune(index)
    }
}
