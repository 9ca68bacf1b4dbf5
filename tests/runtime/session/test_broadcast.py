"""Frames to everybody who joined."""

from __future__ import annotations

from facewire.runtime.session.broadcast import Broadcast


def test_each_taker_gets_every_frame_in_the_order_of_joining():
    got, broadcast = [], Broadcast()
    broadcast.publish("before anybody joined")
    broadcast.join(lambda frame: got.append(("first", frame)), lambda frame: got.append(("second", frame)))
    broadcast.publish(1)
    broadcast.join(lambda frame: got.append(("third", frame)))
    broadcast.publish(2)
    assert got == [("first", 1), ("second", 1), ("first", 2), ("second", 2), ("third", 2)]
