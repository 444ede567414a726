"""Addresses as limits count them."""

from __future__ import annotations

from licsrv.platform import addresses

SPELLINGS = [
    # text, address, caller, network
    ("192.0.2.7", "192.0.2.7", "192.0.2.7", "192.0.2.0/24"),
    ("::ffff:192.0.2.7", "192.0.2.7", "192.0.2.7", "192.0.2.0/24"),
    ("::ffff:c000:207", "192.0.2.7", "192.0.2.7", "192.0.2.0/24"),
    ("2001:db8::1", "2001:db8::1", "2001:db8::/64", "2001:db8::/64"),
    ("2001:0DB8:0::0001", "2001:db8::1", "2001:db8::/64", "2001:db8::/64"),
    ("2001:db8::ffff:1", "2001:db8::ffff:1", "2001:db8::/64", "2001:db8::/64"),
    ("2001:db8:0:1::1", "2001:db8:0:1::1", "2001:db8:0:1::/64", "2001:db8:0:1::/64"),
    ("fe80::1%eth0", "fe80::1", "fe80::/64", "fe80::/64"),
    ("", "unknown", "unknown", "unknown"),
    ("unix:/run/x", "unknown", "unknown", "unknown"),
    ("192.0.2.7:443", "unknown", "unknown", "unknown"),
]


def test_spellings_of_an_address_are_one_address_one_caller_and_one_network() -> None:
    for text, address, caller, network in SPELLINGS:
        found = (addresses.address_of(text), addresses.caller_of(text), addresses.network_of(text))
        assert found == (address, caller, network), text
