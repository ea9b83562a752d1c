import Encrypting
import Kernel
import Testing

struct KeySlotTests {
    private let cheap = DerivationCost(n: 1 << 4, r: 8, p: 1)
    private let passphrase = Array("correct horse battery staple".utf8)
    private let created = Timestamp(seconds: 1_795_410_000)

    @Test func thePassphraseOpensTheSlot() throws {
        let key = try SecretKey.generate()
        let slot = try KeySlot.seal(key, passphrase: passphrase, created: created, cost: cheap)
        #expect(try slot.open(passphrase: passphrase) == key)
        #expect(slot.created == created.iso8601 && slot.cost == cheap && slot.salt.count == 16 && slot.id.count == 16)
        for wrong in ["", "correct horse battery stapl", "Correct horse battery staple", "correct horse battery staple\n"] {
            #expect(Scratch.code { _ = try slot.open(passphrase: Array(wrong.utf8)) } == .wrongPassphrase)
        }
    }

    @Test func slotsOfOneKeyDiffer() throws {
        let key = try Scratch.key()
        let first = try KeySlot.seal(key, passphrase: passphrase, created: created, cost: cheap)
        let second = try KeySlot.seal(key, passphrase: passphrase, created: created, cost: cheap)
        #expect(first.salt != second.salt && first.token != second.token && first.id != second.id)
        #expect(!first.token.contains(key.text.prefix(10)))
    }

    @Test func anEmptyPassphraseIsRefused() throws {
        #expect(Scratch.code { _ = try KeySlot.seal(Scratch.key(), passphrase: [], created: created, cost: cheap) } == .refused)
    }

    @Test func damagedSlotsAreRefused() throws {
        let slot = try KeySlot.seal(Scratch.key(), passphrase: passphrase, created: created, cost: cheap)
        var changed = slot
        changed.salt[3] ^= 1
        #expect(Scratch.code { _ = try changed.open(passphrase: passphrase) } == .wrongPassphrase)
        changed = slot
        changed.token.removeLast()
        #expect(Scratch.code { _ = try changed.open(passphrase: passphrase) } == .malformed)
        changed = slot
        changed.token = ""
        changed.salt = []
        #expect(Scratch.code { _ = try changed.open(passphrase: passphrase) } == .malformed)
    }

    @Test(arguments: [
        (1 << 21, 8, 1), (1 << 17, 128, 1), (1 << 40, 8, 1), (Int.max, 8, 1), (1 << 62, Int.max, 16), (2, Int.max, 1), (2, 1 << 22, 16),
        (0, 8, 1), (1, 8, 1), (-2, 8, 1), (Int.min, 8, 1), (3, 8, 1), (16, 0, 1), (16, -1, 1), (16, 8, 0), (16, 8, 17), (16, 8, Int.max),
    ])
    func costlyAndWrongParametersAreRefused(n: Int, r: Int, p: Int) throws {
        var slot = try KeySlot.seal(Scratch.key(), passphrase: passphrase, created: created, cost: cheap)
        slot.cost = DerivationCost(n: n, r: r, p: p)
        #expect(Scratch.code { _ = try slot.open(passphrase: passphrase) } == .refused)
    }

    @Test func theStandardCostNeeds128MiB() throws {
        #expect(DerivationCost.standard == DerivationCost(n: 131_072, r: 8, p: 1))
        #expect(try #require(DerivationCost.standard.memory) >> 20 == 128)
        #expect(DerivationCost(n: 1 << 20, r: 8, p: 1).memory != nil)
    }

    @Test func pythonOpensOurSlot() throws {
        let scratch = try ScratchDirectory()
        let key = try SecretKey.generate()
        let slot = try KeySlot.seal(key, passphrase: passphrase, created: created, cost: cheap)
        try KeyFile.write(key, to: scratch.file("key"))
        #expect(try scratch.python("""
            import base64, hashlib
            from cryptography.fernet import Fernet
            lock = hashlib.scrypt(b'correct horse battery staple', salt=bytes.fromhex('\(Hex.encode(slot.salt))'), n=16, r=8, p=1, dklen=32)
            assert Fernet(base64.urlsafe_b64encode(lock)).decrypt(b'\(slot.token)') == open('key', 'rb').read().strip()
            """) == 0)
    }
}
