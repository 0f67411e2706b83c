"""Whom an address may stand for."""

from waystone.addresses import household, is_local


def test_which_addresses_may_be_proxies() -> None:
    assert (
        is_local("127.0.0.1")
        and is_local("10.1.2.3")
        and is_local("fd00::1")
        and is_local("::ffff:127.0.0.1")
    )
    assert not any(map(is_local, ("8.8.8.8", "::ffff:8.8.8.8", "2600::1", "", "unix:")))


def test_one_subscriber_is_one_household() -> None:
    assert household("2600:1:2:3::1") == household("2600:1:2:3:ffff::9") != household("2600:1:2:4::1")
    assert household("8.8.8.8") != household("8.8.8.9")
    assert household("::ffff:8.8.8.8") == "8.8.8.8"
    assert household("") == ""
