"""The system calls that code in a sandbox may make, as a program for the kernel's filter (classic BPF, handed to bwrap).

Everything ordinary is allowed. Refused are calls that reach around namespaces and limits: mounts, namespaces, tracing, keys,
clocks, modules, memory that no limit sees (memfd, System V), io_uring, foreign socket families, pushing input into a
terminal, and asking not to be told of the parent's death, so that a sandbox dies with its worker. A call with a number that
was not known when this was written counts as not existing, so the list fails closed. x86_64 and aarch64.
Numbers are the kernel's (`asm/unistd.h`), as libseccomp 2.5 resolves them.
"""

from __future__ import annotations

import errno
import platform
import struct
from dataclasses import dataclass

NEWEST = 462  # mseal, Linux 6.10; the numbers of both machines agree from 424 on
FOREIGN = 0x40000000  # calls of the x32 ABI on x86_64
CLONE_NEW = 0x7E020000
FAMILIES = (1, 2, 10)  # AF_UNIX, AF_INET, AF_INET6; AF_NETLINK only to ask for addresses
AF_NETLINK = 16
TERMINAL_INPUT = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX
PR_SET_PDEATHSIG = 1
PERSONALITIES = (0, 0xFFFFFFFF)

REFUSED = """
acct 163 89 · add_key 248 217 · adjtimex 159 171 · bpf 321 280 · chroot 161 51 · clock_adjtime 305 266
clock_settime 227 112 · create_module 174 - · delete_module 176 106 · fanotify_init 300 262 · fanotify_mark 301 263
finit_module 313 273 · fsconfig 431 431 · fsmount 432 432 · fsopen 430 430 · fspick 433 433 · get_kernel_syms 177 -
init_module 175 105 · ioperm 173 - · iopl 172 - · kcmp 312 272 · kexec_file_load 320 294 · kexec_load 246 104
keyctl 250 219 · lookup_dcookie 212 18 · mbind 237 235 · memfd_secret 447 447 · migrate_pages 256 238 · modify_ldt 154 -
mount 165 40 · mount_setattr 442 442 · move_mount 429 429 · move_pages 279 239 · mq_getsetattr 245 185 · mq_notify 244 184
mq_open 240 180 · mq_timedreceive 243 183 · mq_timedsend 242 182 · mq_unlink 241 181 · msgctl 71 187 · msgget 68 186
msgrcv 70 188 · msgsnd 69 189 · name_to_handle_at 303 264 · nfsservctl 180 42 · open_by_handle_at 304 265
open_tree 428 428 · perf_event_open 298 241 · pidfd_getfd 438 438 · pivot_root 155 41 · process_madvise 440 440
process_vm_readv 310 270 · process_vm_writev 311 271 · ptrace 101 117 · query_module 178 - · quotactl 179 60
quotactl_fd 443 443 · reboot 169 142 · request_key 249 218 · semctl 66 191 · semget 64 190 · semop 65 193
semtimedop 220 192 · set_mempolicy 238 237 · set_mempolicy_home_node 450 450 · setdomainname 171 162 · sethostname 170 161
setns 308 268 · settimeofday 164 170 · shmat 30 196 · shmctl 31 195 · shmdt 67 197 · shmget 29 194 · swapoff 168 225
swapon 167 224 · sysfs 139 - · syslog 103 116 · umount2 166 39 · unshare 272 97 · uselib 134 - · userfaultfd 323 282
vhangup 153 58 · vmsplice 278 75
"""
ABSENT = """
clone3 435 435 · io_uring_enter 426 426 · io_uring_register 427 427 · io_uring_setup 425 425 · memfd_create 319 279
"""  # libraries then take the older way
ASKED = "clone 56 220 · socket 41 198 · ioctl 16 29 · prctl 157 167 · personality 135 92"

LOAD, RETURN = 0x20, 0x06
EQUAL, GREATER, AT_LEAST, ANY_BIT = 0x15, 0x25, 0x35, 0x45
ALLOW, KILL, FAIL = 0x7FFF0000, 0x80000000, 0x00050000
NUMBER, MACHINE = 0, 4  # offsets in struct seccomp_data


@dataclass(frozen=True, slots=True)
class Machine:
    """A processor's name in the kernel and the column of its numbers above."""

    audit: int
    column: int


MACHINES = {"x86_64": Machine(0xC000003E, 0), "aarch64": Machine(0xC00000B7, 1)}


def program(machine: str = "") -> bytes:
    """The filter for a machine, this one unless said otherwise. Raises KeyError for one whose calls are not listed here."""
    of = MACHINES[machine or platform.machine()]
    refused, absent, asked = (_numbers(table, of.column) for table in (REFUSED, ABSENT, ASKED))
    code = [
        *(_load(MACHINE), _jump(EQUAL, of.audit, 1, 0), _return(KILL)),
        *(_load(NUMBER), _jump(AT_LEAST, FOREIGN, 1, 0), _jump(GREATER, NEWEST, 0, 1), _fail(errno.ENOSYS)),
    ]
    for number in absent.values():
        code += [_jump(EQUAL, number, 0, 1), _fail(errno.ENOSYS)]
    for number in refused.values():
        code += [_jump(EQUAL, number, 0, 1), _fail(errno.EPERM)]
    for name, body in _questions().items():
        code += [_jump(EQUAL, asked[name], 0, len(body)), *body]
    return b"".join([*code, _return(ALLOW)])


def _questions() -> dict[str, list[bytes]]:
    """What is asked of the arguments of a call; each body ends in a verdict. Arguments are compared on their low 32 bits."""
    refuse, allow = _fail(errno.EPERM), _return(ALLOW)
    return {
        "clone": [_argument(0), _jump(ANY_BIT, CLONE_NEW, 0, 1), refuse, allow],
        "ioctl": [_argument(1), *_one_of(TERMINAL_INPUT, refuse), allow],
        "prctl": [_argument(0), *_one_of((PR_SET_PDEATHSIG,), refuse), allow],
        "personality": [_argument(0), *_one_of(PERSONALITIES, allow), refuse],
        "socket": [
            *(_argument(0), *_one_of(FAMILIES, allow), _jump(EQUAL, AF_NETLINK, 0, 3)),
            *(_argument(2), _jump(EQUAL, 0, 0, 1), allow),
            _fail(errno.EAFNOSUPPORT),
        ],
    }


def _one_of(values: tuple[int, ...], verdict: bytes) -> list[bytes]:
    return [word for value in values for word in (_jump(EQUAL, value, 0, 1), verdict)]


def _numbers(table: str, column: int) -> dict[str, int]:
    """Names and numbers of one machine; `-` is a call that it does not have."""
    rows = [row.split() for row in table.replace("\n", "·").split("·") if row.strip()]
    return {name: int(numbers[column]) for name, *numbers in rows if numbers[column] != "-"}


def _load(offset: int) -> bytes:
    return _word(LOAD, offset)


def _argument(index: int) -> bytes:
    return _load(16 + 8 * index)


def _jump(test: int, value: int, then: int, otherwise: int) -> bytes:
    """Skips `then` or `otherwise` instructions."""
    return _word(test, value, then, otherwise)


def _return(verdict: int) -> bytes:
    return _word(RETURN, verdict)


def _fail(number: int) -> bytes:
    return _return(FAIL | number)


def _word(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("=HBBI", code, then, otherwise, value)
