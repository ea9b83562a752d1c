import Kernel
import Testing

@testable import Agent

struct ServiceUnitTests {
    @Test func hardeningIsWithoutNamespaces() {
        for manager in ServiceUnit.Manager.allCases {
            let text = ServiceUnit.text(for: manager, program: Path("/usr/bin/watchd")!)
            for option in ["Protect", "Private", "ReadOnlyPaths", "InaccessiblePaths", "DynamicUser", "MountFlags"] {
                #expect(!text.contains("\n\(option)"), "\(option) would change what the daemon sees of the sources")
            }
        }
    }

    @Test func pathsOfAnyKindStandInTheUnit() {
        let text = ServiceUnit.text(
            for: .user, program: Path("/opt/a $b/100%/watchd")!, configurationFile: Path("/home/\"me\"/$x\n\\ü")!, variables: [("A", "$b c")])
        #expect(text.contains("\nExecStart=\"/opt/a $b/100%%/watchd\" --config \"/home/\\\"me\\\"/$$x\\x0a\\\\\\xc3\\xbc\"\n"))
        #expect(text.contains("\nEnvironment=\"A=$b c\"\n"))
    }
}
