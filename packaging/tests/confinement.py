"""Enforces a systemd unit's restrictions without systemd."""

import ctypes
import os
import subprocess

from harness import NOBODY, output_of


def system_calls(filters):
    """Returns the system calls that lines of SystemCallFilter= allow, with systemd's groups expanded."""
    groups, group = {}, None
    for line in output_of("systemd-analyze", "syscall-filter", "--no-pager", stderr=subprocess.DEVNULL).splitlines():
        if line.startswith("@"):
            group = groups.setdefault(line.strip(), [])
        elif line.startswith("    ") and not line.strip().startswith("#"):
            group.append(line.strip())

    def expand(name):
        return set().union(*map(expand, groups[name])) if name in groups else {name}

    allowed = set()
    for line in filters:
        calls = set().union(*map(expand, line.removeprefix("~").split()))
        allowed = allowed - calls if line.startswith("~") else allowed | calls
    return allowed | expand("@default")


def confined(allowed, families):
    """Drops this process's privileges and applies the filters of the unit as systemd does (see systemd.exec(5))."""
    kill, allow, error = 0x80000000, 0x7FFF0000, lambda number: 0x00050000 | number
    equal, masked_equal = 4, 7
    write, execute = 2, 4

    class Comparison(ctypes.Structure):
        _fields_ = [
            ("argument", ctypes.c_uint),
            ("operator", ctypes.c_int),
            ("a", ctypes.c_uint64),
            ("b", ctypes.c_uint64),
        ]

    library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p

    def load(default, rules):
        context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(default)))
        for action, name, comparisons in rules:
            number = library.seccomp_syscall_resolve_name(name.encode())
            if number < 0:  # a system call of another architecture
                continue
            array = (Comparison * len(comparisons))(*comparisons)
            if status := library.seccomp_rule_add_array(context, ctypes.c_uint32(action), number, len(array), array):
                raise OSError(-status, f"seccomp_rule_add {name}")
        if status := library.seccomp_load(context):
            raise OSError(-status, "seccomp_load")

    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    # RestrictAddressFamilies=
    others = set(range(46)) - set(families)
    load(allow, [(error(97), "socket", [Comparison(0, equal, family, 0)]) for family in others])
    # MemoryDenyWriteExecute=yes
    both = Comparison(2, masked_equal, write | execute, write | execute)
    made_executable = Comparison(2, masked_equal, execute, execute)
    load(allow, [(error(1), "mmap", [both]), (error(1), "mprotect", [made_executable])])
    # SystemCallFilter=
    load(kill, [(allow, name, []) for name in sorted(allowed)])
