"""Who has connected and not yet shown why: a limited crowd, of which the oldest go first. Pure: time is an argument.

Nobody can be refused for being new, as then whoever fills the places shuts out everybody else of the same address (all
of a machine's programs share loopback's). So the newest always gets a place, and the oldest of the same address, which
has had the most time to say what it wants, loses its own. A connection that has finished its handshake, or has shown
the token, is no longer counted.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Hashable
from typing import Generic, TypeVar

from facewire.bridge.shared.clock import NS_PER_S

Item = TypeVar("Item", bound=Hashable)


class Arrivals(Generic[Item]):
    """Connections by address, oldest first. Drop policy: the oldest of an address that has too many; if all have too
    many, the oldest of the address that has the most."""

    def __init__(self, most: int, most_per_address: int) -> None:
        self._most, self._most_per_address = most, most_per_address
        self._by_address: dict[str, dict[Item, int]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, address: str, item: Item, deadline_ns: int) -> Item | None:
        """Take note of a connection, which has until ``deadline_ns``, and return the one that must go for it."""
        mine = self._by_address.setdefault(address, {})
        mine[item] = deadline_ns
        self._count += 1
        if len(mine) > self._most_per_address:
            return next(iter(mine))
        if self._count > self._most:
            largest = max(self._by_address.values(), key=len)
            return next(iter(largest))
        return None

    def extend(self, address: str, item: Item, deadline_ns: int) -> None:
        """Give a connection until ``deadline_ns``, as it has said what it wants; one that is not there is fine."""
        mine = self._by_address.get(address, {})
        if item in mine:
            mine[item] = deadline_ns

    def remove(self, address: str, item: Item) -> None:
        """Forget a connection; one that is not there is fine."""
        mine = self._by_address.get(address, {})
        if mine.pop(item, None) is not None:
            self._count -= 1
            if not mine:
                del self._by_address[address]

    def overdue(self, now_ns: int) -> list[Item]:
        """Return the connections whose time is over."""
        return [item for mine in self._by_address.values() for item, end_ns in mine.items() if now_ns >= end_ns]


class Guesses:
    """How long the answer to a wrong token waits, by address: the first few not at all, then ever longer.

    Only wrong tokens wait. The right one is let in at once, whoever else guesses from the same address.
    """

    FREE = 5
    MOST_S = 3.0
    """Less than clients wait for the answer to their handshake."""
    FORGIVE_NS = 2 * NS_PER_S
    """One wrong token is forgiven in this time."""
    WORST = 45
    """More are not counted, so that whoever stops is soon forgiven."""
    ADDRESSES = 1024
    """Drop policy: the address that was wrong the longest ago is forgotten."""

    def __init__(self) -> None:
        self._wrong: dict[str, tuple[float, int]] = {}

    def wrong(self, address: str, now_ns: int) -> float:
        """Take note of a wrong token, and return for how long to hold its answer, in s."""
        count, last_ns = self._wrong.pop(address, (0.0, now_ns))
        count = max(0.0, count - (now_ns - last_ns) / self.FORGIVE_NS) + 1
        self._wrong[address] = (min(count, self.WORST), now_ns)
        if len(self._wrong) > self.ADDRESSES:
            del self._wrong[next(iter(self._wrong))]
        return 0.0 if count <= self.FREE else min(self.MOST_S, 0.25 * 2 ** ((count - self.FREE) / 4))


def address_key(host: str) -> str:
    """Return what counts as one address: an IPv4 one, however it is written, or the /64 that an IPv6 host has whole."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if address.version == 4:
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return "::1" if address.is_loopback else str(ipaddress.ip_network((int(address), 64), strict=False).network_address)
