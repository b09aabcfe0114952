"""Frames of bop's native protocols (docs/formats/client.md and peer.md)."""

import struct

CLIENT, PEER = b"BOPC", b"BOPF"
HELLO, REQUEST, GOODBYE = 1, 3, 5
QUERY, PING = 2, 4
VERSION = 2


def _crc_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _crc_table()


def crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _TABLE[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


def frame(magic, rest, size=None):
    """Puts magic, size and checksum before `rest`. `size`: a wrong size, for tests."""
    return magic + struct.pack("<II", size or 12 + len(rest), crc32c(rest)) + rest


def hello():
    return frame(CLIENT, struct.pack("<BBH", VERSION, HELLO, 0) + struct.pack("<BBH16x", VERSION, VERSION, 0))


def request(kind, payload, correlation=1):
    body = struct.pack("<QQB3xII32x", correlation, 0, kind, 0, len(payload)) + payload
    return frame(CLIENT, struct.pack("<BBH", VERSION, REQUEST, 0) + body)


def get(key):
    """A linearizable read of one key (include/bop/kv.h)."""
    question = struct.pack("<BBH", 1, 1, 0) + struct.pack("<HH", 1, len(key)) + key
    return request(QUERY, question)


def goodbye(status, detail):
    return frame(CLIENT, struct.pack("<BBH", VERSION, GOODBYE, 0) + struct.pack("<iHH", status, len(detail), 0) + detail)


def peer_hello(cluster_id, sender, receiver, incarnation=1, size=None):
    """A frame without items, which is not valid as the first frame."""
    rest = struct.pack("<BBH", VERSION, 0, 0) + bytes.fromhex(cluster_id)
    rest += struct.pack("<QQQQQIHH", sender, receiver, incarnation, 1, 0, 0, 0, 0)
    return frame(PEER, rest, size)
