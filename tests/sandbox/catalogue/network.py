"""Ways out. At @PORT@ and at the sockets of @CANARY@ somebody listens who must never hear of it."""

from __future__ import annotations

from .entry import GOOD, Entry, catch, refused

USES = "import os, socket, urllib.request\n"

ENTRIES = (
    Entry(
        "tcp",
        "a listener on this machine",
        refused("socket.create_connection(('127.0.0.1', @PORT@), timeout=0.3)",
                "socket.create_connection(('localhost', @PORT@), timeout=0.3)", prelude=USES),
        passes=True,
    ),
    Entry(
        "udp",
        "a listener, without a connection",
        refused("socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', @PORT@))", prelude=USES),
        passes=True,
    ),
    Entry(
        "local sockets",
        "a listener, by a file's name and by an abstract name",
        refused("socket.socket(socket.AF_UNIX).connect('@CANARY@/socket')",
                "socket.socket(socket.AF_UNIX).connect('\\0@MARK@')", prelude=USES),
        passes=True,
    ),
    Entry(
        "names",
        "the machine's resolver",
        refused("socket.gethostbyname('example.org')", "socket.getaddrinfo('example.org', 80)",
                "urllib.request.urlopen('http://127.0.0.1:@PORT@/', timeout=0.3)", prelude=USES),
        passes=True,
    ),
    Entry(
        "raw sockets",
        "the network, below its protocols",
        refused("socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)", "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
                "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)", prelude=USES),
        passes=True,
    ),
    Entry(
        "server",
        "the machine's ports",
        catch("server = socket.create_server(('0.0.0.0', 0))",
              "server.settimeout(0.1) or server.accept()", prelude=USES),
        passes=True,
    ),
    Entry(
        "sockets by C",
        "a bar that Python alone knows",
        USES + "import ctypes, struct\nlibc = ctypes.CDLL(None)\n"
        "fd = libc.socket(2, 1, 0)\n"
        "address = struct.pack('=HH4s8x', 2, socket.htons(@PORT@), bytes([127, 0, 0, 1]))\n"
        "assert fd < 0 or libc.connect(fd, address, 16) != 0\n"
        "assert libc.syscall(425, 8, bytes(120)) < 0\n" + GOOD,
        passes=True,
    ),
    Entry(
        "sockets it was given",
        "connections that were left open",
        USES + "for fd in range(256):\n"
        "    try:\n        given = socket.socket(fileno=fd)\n    except OSError:\n        continue\n"
        "    if given.family != socket.AF_UNIX:\n        raise SystemError(given)\n"
        "    try:\n        given.sendto(b'x', '@CANARY@/socket')\n    except OSError:\n        pass\n"
        "    else:\n        raise SystemError(given)\n"
        "    finally:\n        given.detach()\n" + GOOD,
        passes=True,
    ),
)  # fmt: skip
