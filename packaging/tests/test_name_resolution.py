"""Name resolution in the statically linked program."""

import shutil
import socket
import socketserver
import struct
import subprocess
import threading
import unittest

from harness import LIMIT, NOBODY, Sandbox, environment, output_of, program, scratch


class NameServer(socketserver.ThreadingUDPServer):
    """A DNS server on the loopback that resolves one name."""

    ADDRESS = "127.0.53.53"  # 127.0.0.0/8 is the loopback; resolv.conf has no ports, so the server must use 53
    NAME = "aws.test"

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            query, listener = self.request
            listener.sendto(self.server.answer(query), self.client_address)

    def __init__(self):
        super().__init__((self.ADDRESS, 53), self.Handler)
        self.asked = []

    def __enter__(self):
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.thread.join()
        self.server_close()

    def answer(self, query):
        """Returns an A record for the name, no records of other types, and NXDOMAIN for other names (RFC 1035, 4)."""
        end = query.index(b"\0", 12) + 1
        labels, rest = [], query[12 : end - 1]
        while rest:
            labels.append(rest[1 : 1 + rest[0]].decode())
            rest = rest[1 + rest[0] :]
        name, (kind,) = ".".join(labels), struct.unpack_from(">H", query, end)
        self.asked.append(name)
        known, address = name == self.NAME, b""
        if known and kind == 1:
            address = struct.pack(">HHHIH4s", 0xC00C, 1, 1, 60, 4, socket.inet_aton("127.0.0.1"))
        header = query[:2] + struct.pack(">HHHHH", 0x8180 if known else 0x8183, 1, bool(address), 0, 0)
        return header + query[12 : end + 4] + address


class NameResolution(unittest.TestCase):
    """glibc's resolver, statically linked, in a root file system with only the files that it reads."""

    def reconcile(self, host, files):
        """Runs `reconcile --dry-run` against the sandbox at this host, in a root file system with these files."""
        with scratch() as root, Sandbox() as sandbox:
            for name, content in files.items():
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            shutil.copy(program(), root / "jvb-watcher")
            command = ["chroot", f"--userspec={NOBODY}:{NOBODY}", str(root), "/jvb-watcher", "reconcile", "--dry-run"]
            return subprocess.run(
                command, env=environment(**sandbox.settings(host)), capture_output=True, text=True, timeout=4 * LIMIT
            )

    def assert_reconciled(self, finished):
        self.assertEqual(finished.returncode, 0, finished)
        self.assertIn('"event":"reconciled"', finished.stdout)

    def test_resolves_names_from_the_hosts_file(self):
        self.assert_reconciled(self.reconcile("host.test", {"etc/hosts": b"127.0.0.1 host.test\n"}))

    def test_resolves_names_by_dns(self):
        with NameServer() as server:
            files = {"etc/resolv.conf": f"nameserver {server.ADDRESS}\n".encode()}
            self.assert_reconciled(self.reconcile(server.NAME, files))
            self.assertIn(server.NAME, server.asked)

    def test_an_unknown_name_is_an_error_and_not_a_crash(self):
        with NameServer() as server:
            files = {"etc/resolv.conf": f"nameserver {server.ADDRESS}\n".encode()}
            finished = self.reconcile("unknown.test", files)
            self.assertEqual(finished.returncode, 1, finished)
            self.assertIn("unknown.test", server.asked)

    def test_loads_no_name_service_library_of_the_machine(self):
        # In a static program a library for another glibc crashes; this one crashes with every glibc.
        with scratch() as directory:
            library = directory / "libnss_trap.so.2"
            code = "__attribute__((constructor)) void trap(void) { __builtin_trap(); }"
            command = ["cc", "-shared", "-nostdlib", "-fPIC", "-Wl,-soname,libnss_trap.so.2", "-xc", "-", "-o", library]
            output_of(*command, input=code)
            files = {
                "etc/nsswitch.conf": b"hosts: trap files\n",
                "etc/hosts": b"127.0.0.1 host.test\n",
                "lib/libnss_trap.so.2": library.read_bytes(),
            }
        self.assert_reconciled(self.reconcile("host.test", files))
