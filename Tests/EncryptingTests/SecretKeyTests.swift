import Encrypting
import Testing

struct SecretKeyTests {
    @Test func textComesBack() throws {
        let key = try Scratch.key()
        #expect(key.text == Scratch.keyText)
        for end in ["", "\n", "\r\n"] { #expect(SecretKey(text: Scratch.keyText + end) == key) }
    }

    @Test(arguments: ["", "\n", "cw_0x689", Scratch.keyText + "\n\n", Scratch.keyText + " ", " " + Scratch.keyText,
        String(Scratch.keyText.dropLast()), "cw/0x689RpI+jtRR7oE8h/eQsKImvJapLeSbXpwF4e4=", "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e5=",
        "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4A", "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4Q=="])
    func everyOtherTextIsRefused(text: String) {
        #expect(SecretKey(text: text) == nil)
    }

    @Test func keysDifferAndSayNothing() throws {
        let key = try SecretKey.generate()
        #expect(try key != SecretKey.generate())
        #expect(key.text.utf8.count == SecretKey.textCount)
        #expect(SecretKey(text: key.text) == key)
        #expect(!"\(key)".contains(key.text.prefix(8)))
    }
}

struct KeyTextTests {
    @Test func paperFormComesBackHoweverItIsTyped() throws {
        for _ in 0..<50 {
            let key = try SecretKey.generate()
            let text = KeyText.export(key)
            #expect(try KeyText.parse(text) == key)
            #expect(try KeyText.parse(text.lowercased()) == key)
            #expect(try KeyText.parse("  " + text.filter { $0.isLetter || $0.isNumber } + "\n") == key)
            #expect(try KeyText.parse(text.replacing("-", with: " ").replacing("O", with: "0").replacing("I", with: "1")) == key)
        }
        #expect(try KeyText.parse(Scratch.keyText + "\n") == Scratch.key())
    }

    /// Base32 of the key and of the first four bytes of its SHA-256, computed with Python's `base64.b32encode`.
    @Test func knownKey() throws {
        #expect(KeyText.export(try Scratch.key()) == """
            OMH7-JR5P-HVDJ-EPUO-2RI6
            5AJ4-Q73Z-BMFC-E26J-NKJN
            4SNV-5HAF-4HXM-X2ZW-F4
            """)
    }

    @Test func everyMistypedCharacterIsFound() throws {
        let text = KeyText.export(try Scratch.key())
        for index in text.indices where text[index].isLetter || text[index].isNumber {
            for character in "A7Z29" where character != text[index] {
                var typed = text
                typed.replaceSubrange(index...index, with: String(character))
                #expect(Scratch.code { _ = try KeyText.parse(typed) } == .mistyped)
            }
        }
    }

    @Test func anotherLengthIsToldFromAMistake() throws {
        let text = KeyText.export(try Scratch.key())
        for typed in ["", String(text.dropLast()), text + "A", text + text] {
            #expect(Scratch.code { _ = try KeyText.parse(typed) } == .malformed)
        }
        #expect(Scratch.code { _ = try KeyText.parse(String(Scratch.keyText.dropFirst())) } == .malformed)
        #expect(Scratch.code { _ = try KeyText.parse("!" + Scratch.keyText.dropFirst()) } == .mistyped)
    }
}
