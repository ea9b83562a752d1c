// Names of archives: one spelling each, and everything else is foreign.

import Archiving
import Encrypting
import Kernel
import Storing
import Testing

struct ArchiveNameTests {
    private let digest = SHA256.digest(of: Array("abc".utf8))
    private let digits = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

    @Test func textIsTheOneOfTheSpecification() {
        let name = ArchiveName(number: 1042, time: 1_795_411_080_123, kind: .incremental, digest: digest)
        #expect(name.text == "000001042-20261123T051800.123Z-incremental-\(digits).enc")
        #expect(ArchiveName(name.text) == name)
    }

    @Test(arguments: [
        0, 1, 951_782_400_000, 951_868_799_999, 1_709_164_800_000, 4_107_542_400_000, -1, -62_135_596_800_000,
        253_402_300_799_999,
    ] as [Int64])
    func everyMomentComesBack(time: Int64) {
        let name = ArchiveName(number: 7, time: time, kind: .full, digest: digest)
        #expect(ArchiveName(name.text) == name, "\(name.text)")
    }

    @Test func randomMomentsComeBack() {
        let seed = UInt64.random(in: .min ... .max)
        var state = seed | 1
        for _ in 0..<2000 {
            state = state &* 6_364_136_223_846_793_005 &+ 1
            let time = Int64(state >> 16) % 253_402_300_799_999
            let name = ArchiveName(number: state >> 1 | 1, time: time, kind: .data, digest: digest)
            #expect(ArchiveName(name.text) == name, "seed \(seed): \(name.text)")
        }
    }

    @Test(arguments: [
        "", ".", "lock", "000000001-20261123T051800.123Z-full-.enc",
        "00000001-20261123T051800.123Z-full-D.enc",  // eight digits
        "000000000-20261123T051800.123Z-full-D.enc",  // counts from 1
        "0000000001-20261123T051800.123Z-full-D.enc",  // another spelling of 1
        "99999999999999999999-20261123T051800.123Z-full-D.enc",  // above 2^64
        "+00000001-20261123T051800.123Z-full-D.enc",
        "000000001-20261323T051800.123Z-full-D.enc",  // month 13
        "000000001-20260229T051800.123Z-full-D.enc",  // no leap year
        "000000001-20261123T241800.123Z-full-D.enc",
        "000000001-20261123T051860.123Z-full-D.enc",
        "000000001-20261123T051800Z-full-D.enc",
        "000000001-20261123t051800.123z-full-D.enc",
        "000000001-20261123T051800.123Z-complete-D.enc",
        "000000001-20261123T051800.123Z-full-D.tmp",
        "000000001-20261123T051800.123Z-full-D.enc.part",
        " 000000001-20261123T051800.123Z-full-D.enc",
        "000000001-20261123T051800.123Z-full-d.enc",
    ])
    func foreignNamesAreRefused(text: String) {
        let upper = text.replacing("-d.", with: "-\(digits.uppercased()).")
        #expect(ArchiveName(upper.replacing("-D.", with: "-\(digits).")) == nil)
    }

    @Test func longNumbersAreTaken() {
        let text = "18446744073709551615-20261123T051800.123Z-record-\(digits).enc"
        #expect(ArchiveName(text)?.number == .max)
        #expect(ArchiveName(text)?.text == text)
    }

    @Test func orderIsByNumber() {
        let nine = ArchiveName(number: 999_999_999, time: 5, kind: .full, digest: digest)
        let ten = ArchiveName(number: 1_000_000_000, time: 1, kind: .full, digest: digest)
        #expect(nine < ten)
        #expect(nine.text > ten.text, "by text it would be the other way round")
    }
}
