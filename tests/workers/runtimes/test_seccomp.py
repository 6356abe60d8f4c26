"""The filter's program, run here by a small machine of its own: every path ends in a verdict, and the verdicts are meant."""

import errno
import struct

import pytest

from workers.runtimes import seccomp

ALLOWED = 0x7FFF0000


def verdict(number: int, *arguments: int, machine: str = "x86_64", audit: int | None = None) -> int:
    """What the kernel would answer: classic BPF over struct seccomp_data."""
    words = list(struct.iter_unpack("=HBBI", seccomp.program(machine)))
    values = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("=IIQ6Q", number, seccomp.MACHINES[machine].audit if audit is None else audit, 0, *values)
    at = loaded = 0
    while True:
        code, then, otherwise, value = words[at]
        at += 1
        match code:
            case seccomp.LOAD:
                loaded = struct.unpack_from("=I", data, value)[0]
            case seccomp.RETURN:
                return int(value)
            case seccomp.EQUAL:
                at += then if loaded == value else otherwise
            case seccomp.GREATER:
                at += then if loaded > value else otherwise
            case seccomp.AT_LEAST:
                at += then if loaded >= value else otherwise
            case seccomp.ANY_BIT:
                at += then if loaded & value else otherwise
            case _:
                raise AssertionError(code)


def refused(number: int) -> int:
    return seccomp.FAIL | number


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_call_gets_a_verdict(machine: str) -> None:
    verdicts = {verdict(number, machine=machine) for number in range(1000)}
    assert verdicts == {ALLOWED, refused(errno.EPERM), refused(errno.ENOSYS), refused(errno.EAFNOSUPPORT)}
    assert len(seccomp.program(machine)) // 8 < 4096


def test_ordinary_calls_are_allowed_and_listed_ones_are_not() -> None:
    assert verdict(0) == verdict(1) == verdict(59) == verdict(231) == ALLOWED
    assert verdict(165) == verdict(101) == verdict(272) == refused(errno.EPERM)
    assert verdict(40, machine="aarch64") == verdict(117, machine="aarch64") == refused(errno.EPERM)
    assert verdict(319) == verdict(435) == verdict(425) == refused(errno.ENOSYS)


def test_what_was_not_known_does_not_exist() -> None:
    assert verdict(462) == ALLOWED
    assert verdict(463) == verdict(2**30 + 1) == verdict(2**32 - 1) == refused(errno.ENOSYS)


def test_calls_of_another_machine_kill() -> None:
    assert verdict(1, audit=0x40000003) == seccomp.KILL


@pytest.mark.parametrize(
    ("call", "arguments", "answer"),
    [
        (56, [0x01200011], ALLOWED),
        (56, [0x10000011], refused(errno.EPERM)),
        (56, [0x40000000], refused(errno.EPERM)),
        (41, [2, 1, 0], ALLOWED),
        (41, [16, 3, 0], ALLOWED),
        (41, [16, 3, 12], refused(errno.EAFNOSUPPORT)),
        (41, [40, 1, 0], refused(errno.EAFNOSUPPORT)),
        (16, [0, 0x5401], ALLOWED),
        (16, [0, 0x5412], refused(errno.EPERM)),
        (16, [0, 0x1_0000_5412], refused(errno.EPERM)),
        (157, [15], ALLOWED),
        (157, [1], refused(errno.EPERM)),
        (135, [0xFFFFFFFF], ALLOWED),
        (135, [0x0040000], refused(errno.EPERM)),
    ],
)
def test_arguments_are_looked_at(call: int, arguments: list[int], answer: int) -> None:
    assert verdict(call, *arguments) == answer


def test_a_machine_that_is_not_listed_is_not_guessed() -> None:
    with pytest.raises(KeyError):
        seccomp.program("m68k")
