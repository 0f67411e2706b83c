"""The two AEADs we call give what their documents print (RFC 8439, 2.8.2; draft-irtf-cfrg-xchacha, A.3.1)."""

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from zonecluster.protocol.netcode.tokens import xchacha_open, xchacha_seal

KEY = bytes(range(0x80, 0xA0))
ASSOCIATED = bytes.fromhex("50515253c0c1c2c3c4c5c6c7")
PLAIN = (
    b"Ladies and Gentlemen of the class of '99: "
    b"If I could offer you only one tip for the future, sunscreen would be it."
)


def test_chacha20_poly1305_gives_the_vector_of_rfc_8439():
    nonce = bytes.fromhex("070000004041424344454647")
    sealed = bytes.fromhex(
        "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
        "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
        "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
        "3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691"
    )
    cipher = ChaCha20Poly1305(KEY)
    assert cipher.encrypt(nonce, PLAIN, ASSOCIATED) == sealed
    assert cipher.decrypt(nonce, sealed, ASSOCIATED) == PLAIN


def test_xchacha20_poly1305_gives_the_vector_of_the_draft():
    nonce = bytes(range(0x40, 0x58))
    sealed = bytes.fromhex(
        "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb"
        "731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452"
        "2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
        "21f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49"
    )
    assert xchacha_seal(PLAIN, ASSOCIATED, nonce, KEY) == sealed
    assert xchacha_open(sealed, ASSOCIATED, nonce, KEY) == PLAIN
