"""A small blocking client for the Redis protocol that returns replies without conversion."""

import socket


class RespError(Exception):
    """An error reply; its first word is the kind of error."""

    @property
    def kind(self):
        return str(self).split(" ", 1)[0]


def encode(*words):
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)


class Resp:
    """A connection to a RESP listener. Socket errors raise OSError, error replies RespError."""

    def __init__(self, address, timeout_s=10):
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.socket.sendall(data)

    def call(self, *words):
        self.send(encode(*words))
        return self.reply()

    def pipeline(self, commands):
        """Sends all commands, then reads the replies. Error replies are returned as values."""
        self.send(b"".join(encode(*command) for command in commands))
        return [self._reply_or_error() for _ in commands]

    def reply(self):
        value = self._read()
        if isinstance(value, RespError):
            raise value
        return value

    def _reply_or_error(self):
        try:
            return self.reply()
        except RespError as error:
            return error

    def _fill(self):
        data = self.socket.recv(1 << 16)
        if not data:
            raise ConnectionError("the server closed the connection")
        self.buffer += data

    def _line(self):
        while True:
            end = self.buffer.find(b"\r\n")
            if end >= 0:
                line = bytes(self.buffer[:end])
                del self.buffer[: end + 2]
                return line
            self._fill()

    def _bytes(self, size):
        while len(self.buffer) < size + 2:
            self._fill()
        data = bytes(self.buffer[:size])
        del self.buffer[: size + 2]
        return data

    def _read(self):
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            return RespError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self._bytes(int(rest))
        if kind == b"*":
            return None if rest == b"-1" else [self._read() for _ in range(int(rest))]
        if kind == b"_":
            return None
        if kind == b"%":
            return {self._read(): self._read() for _ in range(int(rest))}
        raise ConnectionError(f"not a reply: {line!r}")
