#!/usr/bin/env python3
"""HTTP with browsers, old clients and proxies, and raw requests to any machine."""

import http.client
import json
import socket
import struct
import time

from harness.case import Case, main
from harness.hand import HandCluster
from harness.process import program, run

WAIT_S = 20


def kv_put(key, value, flags=0):
    """A command of kv (include/bop/kv.h)."""
    return struct.pack("<BBHBBHI", 1, 0, 1, 1, flags, len(key), len(value)) + key + value


def kv_get(key):
    return struct.pack("<BBHHH", 1, 1, 0, 1, len(key)) + key


class Http(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cluster = HandCluster(nodes=1, settings={"http.hosts": '["db.example"]'})
        cls.cluster.start()
        cls.addClassCleanup(cls.cluster.stop)
        cls.node = cls.cluster.nodes[0]
        cls.cluster.wait_for_leader()

    def setUp(self):
        self.addCleanup(self._report, self.cluster)

    def connect(self):
        host, _, port = self.node.http.rpartition(":")
        connection = socket.create_connection((host, int(port)), timeout=WAIT_S)
        self.addCleanup(connection.close)
        return connection

    def read_response(self, stream):
        """Reads the next response: (status, fields, body). The connection may stay open."""
        status = int(stream.readline().split()[1])
        fields = {}
        while (line := stream.readline()) != b"\r\n":
            name, _, value = line.decode().partition(":")
            fields[name.lower()] = value.strip()
        return status, fields, stream.read(int(fields.get("content-length", 0)))

    def exchange(self, request):
        """The response to a request, and whether the server closes the connection after it."""
        connection = self.connect()
        connection.sendall(request)
        stream = connection.makefile("rb")
        response = self.read_response(stream)
        if response[1].get("connection") == "close":
            self.assertEqual(stream.read(), b"")
        return response

    def status_of(self, request):
        return self.exchange(request)[0]

    def ask(self, method, path, body=None, **fields):
        return self.node.ask(method, path, body, headers={k.replace("_", "-"): v for k, v in fields.items()})

    def test_an_http_1_0_client_is_told_that_its_connection_stays_open(self):
        connection = self.connect()
        stream = connection.makefile("rb")
        for _ in range(3):
            connection.sendall(b"GET /livez HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
            status, fields, body = self.read_response(stream)
            self.assertEqual((status, fields["connection"].lower(), body), (200, "keep-alive", b"ok\n"))
        connection.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
        self.assertEqual(self.read_response(stream)[1]["connection"], "close")
        self.assertEqual(stream.read(), b"")

    def test_malformed_requests_get_400_and_change_nothing(self):
        for host in (b"user@h", b"h/path", b"a, b", b"a b", b"h:x", b"[::1"):
            with self.subTest(host=host):
                self.assertEqual(self.status_of(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"), 400)
        for target in (b"/v1/kv/a#b", b"/#", b"#", b"v1/kv/a", b"*"):
            with self.subTest(target=target):
                request = b"PUT " + target + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx"
                self.assertEqual(self.status_of(request), 400)
        self.assertEqual(self.ask("GET", "/v1/kv/a")[0], 404)

    def test_empty_lines_options_connect_and_absolute_targets_are_understood(self):
        fields = b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
        self.assertEqual(self.status_of(b"\r\n\r\nGET /livez" + fields), 200)
        status, allowed, _ = self.exchange(b"OPTIONS *" + fields)
        self.assertEqual((status, allowed["allow"]), (204, "GET, HEAD, PUT, DELETE, POST, OPTIONS"))
        self.assertEqual(self.exchange(b"OPTIONS /v1/status" + fields)[1]["allow"], "GET, HEAD, OPTIONS")
        self.assertEqual(self.status_of(b"CONNECT localhost:80" + fields), 501)
        self.assertEqual(self.status_of(b"GET http://localhost:1/livez" + fields), 200)
        self.assertEqual(self.status_of(b"GET http://evil.example/livez" + fields), 421)
        status, _, body = self.exchange(b"GET /" + fields)
        self.assertEqual((status, body.count(b"\n")), (200, 1))
        self.assertIn(b"/v1/openapi.json", body)

    def test_requests_for_other_host_names_get_421(self):
        port = self.node.http.rpartition(":")[2].encode()
        for host in (b"127.0.0.1:" + port, b"localhost", b"localhost:1", b"db.example", b"DB.example:" + port):
            with self.subTest(host=host):
                self.assertEqual(self.status_of(b"GET /v1/status HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"), 200)
        for host in (b"evil.example", b"evil.example:" + port, b"127.0.0.2", b"[::1]"):
            with self.subTest(host=host):
                status, _, body = self.exchange(b"GET /v1/status HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
                self.assertEqual(status, 421)
                self.assertIn("http.hosts", json.loads(body)["error"]["text"])

    def test_changes_by_pages_of_another_site_get_403(self):
        for origin in ("http://evil.example", "null", "http://127.0.0.1:1"):
            with self.subTest(origin=origin):
                self.assertEqual(self.ask("PUT", "/v1/kv/csrf", b"x", Origin=origin)[0], 403)
                self.assertEqual(self.ask("POST", "/v1/groups/kv/propose", kv_put(b"csrf", b"x"), Origin=origin)[0], 403)
        self.assertEqual(self.ask("GET", "/v1/kv/csrf")[0], 404)
        self.assertEqual(self.ask("PUT", "/v1/kv/csrf", b"x", Origin=f"http://{self.node.http}")[0], 200)

    def test_conditions_may_be_lists(self):
        self.assertEqual(self.ask("PUT", "/v1/kv/listed", b"1", If_None_Match='"5", W/"6"')[0], 200)
        revision = http_field(self.node, "/v1/kv/listed", "ETag")
        self.assertEqual(self.ask("GET", "/v1/kv/listed", If_None_Match=f'"0", W/{revision}')[0], 304)
        self.assertEqual(self.ask("PUT", "/v1/kv/listed", b"2", If_None_Match=f"W/{revision}")[0], 412)
        self.assertEqual(self.ask("PUT", "/v1/kv/listed", b"2", If_Match=f"W/{revision}")[0], 412)
        self.assertEqual(self.ask("PUT", "/v1/kv/listed", b"2", If_Match=f'"0", {revision}')[0], 200)
        self.assertEqual(self.ask("DELETE", "/v1/kv/listed", If_Match=f'"0", {revision}')[0], 412)
        self.assertEqual(self.ask("GET", "/v1/kv/listed"), (200, b"2"))

    def test_keys_only_omits_values(self):
        self.ask("PUT", "/v1/kv/bare", b"value")
        records = json.loads(self.ask("GET", "/v1/kv?prefix=bare&keys_only=true")[1])["records"]
        self.assertEqual([sorted(record) for record in records], [["key", "revision"]])

    def test_a_client_that_sends_its_whole_body_first_can_read_the_413(self):
        body = b"x" * (16 << 20)
        connection = self.connect()
        connection.sendall(b"PUT /v1/kv/huge HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        time.sleep(0.2)  # the longer it does not read, the likelier a reset would have come first
        status, _, answer = self.read_response(connection.makefile("rb"))
        self.assertEqual(status, 413)
        self.assertEqual(json.loads(answer)["error"]["code"], "BOP_E_TOO_LARGE")
        self.assertEqual(self.ask("GET", "/v1/kv/huge")[0], 404)

    def test_raw_bytes_reach_a_group_by_name_and_its_reply_returns(self):
        connection = http.client.HTTPConnection(self.node.http, timeout=WAIT_S)
        self.addCleanup(connection.close)
        connection.request("POST", "/v1/groups/kv/propose", kv_put(b"raw", b"\0\xff"))
        answer = connection.getresponse()
        reply = answer.read()
        self.assertEqual((answer.status, answer.headers["X-Bop-Outcome"]), (200, "executed"))
        index = int(answer.headers["X-Bop-Index"])
        self.assertEqual(struct.unpack_from("<Q", reply)[0], index)
        connection.request("POST", "/v1/groups/kv/query", kv_get(b"raw"))
        reply = connection.getresponse().read()
        self.assertTrue(reply.endswith(b"\x02\0\0\0\0\xff"), reply)
        self.assertEqual(self.ask("GET", "/v1/kv/raw"), (200, b"\0\xff"))

        code, body = self.ask("POST", "/v1/groups/kv/propose", kv_put(b"raw", b"x", flags=1))
        self.assertEqual((code, json.loads(body)["error"]["code"]), (412, "BOP_E_CONDITION_FAILED"))
        self.assertIn("reply", json.loads(body))
        for path, data, expected in (("kv/propose", b"nonsense", 400), ("kv/query", b"", 400),
                                     ("none/propose", b"x", 404), ("kv/propose", b"x" * ((2 << 20) + 1), 413)):
            with self.subTest(path=path, size=len(data)):
                self.assertEqual(self.ask("POST", "/v1/groups/" + path, data)[0], expected)

    def test_the_configuration_refuses_invalid_host_names(self):
        for hosts in ('["a b"]', '["x:80"]', '["http://x"]', '"x"', "[1]"):
            with self.subTest(hosts=hosts):
                done = run([program("bopd"), "config", "show", "--config", self.node.configuration,
                            "--set", "http.hosts=" + hosts], check=False)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn("http.hosts", done.stderr)


def http_field(node, path, name):
    connection = http.client.HTTPConnection(node.http, timeout=WAIT_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        return answer.headers[name]
    finally:
        connection.close()


if __name__ == "__main__":
    main()
