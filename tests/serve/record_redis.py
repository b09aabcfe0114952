#!/usr/bin/env python3
"""Records what a redis-server answers to redis_dialogues.txt, in place.

usage: record_redis.py PORT redis_dialogues.txt

The server on 127.0.0.1:PORT loses its data. Start one that keeps nothing:
  redis-server --port PORT --bind 127.0.0.1 --save "" --appendonly no
"""
import socket
import sys


def unescape(text):
    """Only the line ends of whole messages; quotes of inline commands are Redis's to understand."""
    return text.replace("\\r\\n", "\r\n").encode()


def escape(data):
    out = ""
    for byte in data:
        char = chr(byte)
        if char == "\\":
            out += "\\\\"
        elif char == "\r":
            out += "\\r"
        elif char == "\n":
            out += "\\n"
        elif 32 <= byte < 127:
            out += char
        else:
            out += f"\\x{byte:02x}"
    return out


def is_raw(line):
    return line.endswith("\\r\\n")


def read_reply(connection):
    """What comes until the server is silent; every line sent has a reply or ends the connection."""
    data = b""
    connection.settimeout(5)
    while True:
        try:
            received = connection.recv(65536)
        except socket.timeout:
            return data, False
        if not received:
            return data, True
        data += received
        connection.settimeout(0.2)


def main():
    port, path = int(sys.argv[1]), sys.argv[2]
    out, connection = [], None
    for line in open(path, encoding="ascii").read().splitlines():
        if line.startswith("< "):
            continue
        out.append(line)
        if line.startswith("= "):
            connection = socket.create_connection(("127.0.0.1", port))
            connection.sendall(b"FLUSHALL\r\n")
            read_reply(connection)
        elif line.startswith("~ "):
            connection.sendall(line[2:].encode() + b"\r\n")
            read_reply(connection)
        elif line.startswith("> "):
            sent = unescape(line[2:]) if is_raw(line) else line[2:].encode() + b"\r\n"
            connection.sendall(sent)
            data, closed = read_reply(connection)
            out.append("< " + escape(data) + ("<closed>" if closed else ""))
    open(path, "w", encoding="ascii").write("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
