"""How values travel to a worker, back from it, and into a recorded file: to the bit.

A message is a length, a checksum and a compressed body: JSON for the structure, the raw bytes of
the arrays behind it. Nothing in a message is ever executed, and any two versions of Python and
NumPy read one another's. Needs numpy alone (ml_dtypes where an array is in bfloat16), on any Python
from 3.8 on.
"""

from __future__ import annotations

import json
import struct
import zlib
from typing import IO, Any

import numpy as np

_HEAD = struct.Struct("<4sIII")  # magic, length of the body, of what it unpacks to, checksum
_JSON = struct.Struct("<I")
#: How every message begins.
MAGIC = b"FIW1"


class DamagedMessage(ValueError):
    """Bytes that are no message, or no longer the one that was written."""


def packed(value: Any) -> bytes:
    """One message: numbers, texts, None, lists, tuples, sets, dicts and arrays, nested."""
    raws: list[bytes] = []
    tree = json.dumps(_plain(value, raws), separators=(",", ":")).encode("ascii")
    plain = b"".join([_JSON.pack(len(tree)), tree, *raws])
    body = zlib.compress(plain, 1)
    return _HEAD.pack(MAGIC, len(body), len(plain), zlib.crc32(body)) + body


def _plain(value: Any, raws: list[bytes]) -> Any:
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, np.ndarray):
        raws.append(value.tobytes())
        return {"array": [value.dtype.name, list(value.shape)]}
    if isinstance(value, np.generic):
        raws.append(value.tobytes())
        return {"scalar": [value.dtype.name, []]}
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, dict):
        return {"dict": [[_plain(k, raws), _plain(v, raws)] for k, v in value.items()]}
    if isinstance(value, list):
        return [_plain(part, raws) for part in value]
    if isinstance(value, (tuple, set, frozenset)):
        kind = "tuple" if isinstance(value, tuple) else "set"
        parts = value if isinstance(value, tuple) else sorted(value)
        return {kind: [_plain(part, raws) for part in parts]}
    raise TypeError(f"a {type(value).__name__} cannot be sent")


def unpacked(message: bytes) -> Any:
    """The value of one whole message; raises DamagedMessage."""
    if len(message) < _HEAD.size:
        raise DamagedMessage("it is cut off")
    magic, length, size, checksum = _HEAD.unpack_from(message)
    body = message[_HEAD.size :]
    if magic != MAGIC:
        raise DamagedMessage("it is not of this format")
    if len(body) != length:
        raise DamagedMessage("it is cut off")
    if zlib.crc32(body) != checksum:
        raise DamagedMessage("its checksum is wrong")
    try:
        unpacker = zlib.decompressobj()
        plain = unpacker.decompress(body, size or 1)
        if len(plain) != size or not unpacker.eof:
            raise ValueError("another length")
        (end,) = _JSON.unpack_from(plain)
        tree = json.loads(plain[_JSON.size : _JSON.size + end].decode("ascii"))
        return _value(tree, _Reader(plain, _JSON.size + end))
    except (zlib.error, struct.error, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedMessage(f"it does not unpack ({error})") from None


class _Reader:
    """Walks through the raw bytes behind the structure."""

    def __init__(self, plain: bytes, position: int) -> None:
        self.plain, self.position = plain, position

    def array(self, name: str, shape: list[int]) -> np.ndarray:
        dtype = _dtype(name)
        count = 1
        for length in shape:
            count *= length
        array = np.frombuffer(self.plain, dtype, count, self.position)
        self.position += count * dtype.itemsize
        return array.reshape(shape).copy()


def _dtype(name: str) -> np.dtype:
    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    dtype = np.dtype(name)
    if dtype.kind not in "biufc":
        raise ValueError(f"arrays of {name} are not read")
    return dtype


def _value(tree: Any, raws: _Reader) -> Any:
    if isinstance(tree, list):
        return [_value(part, raws) for part in tree]
    if not isinstance(tree, dict):
        return tree
    (kind, parts), *more = tree.items()
    if more:
        raise ValueError("an unknown part")
    if kind == "array":
        return raws.array(*parts)
    if kind == "scalar":
        return raws.array(*parts)[()]
    if kind == "dict":
        return {_value(k, raws): _value(v, raws) for k, v in parts}
    made = {"tuple": tuple, "set": set}[kind]
    return made(_value(part, raws) for part in parts)


def read_first(stream: IO[bytes]) -> bytes | None:
    """The first message of a process, behind what else it has printed when it started."""
    seen = b""
    while seen != MAGIC:
        byte = stream.read(1)
        if not byte:
            return None
        seen = seen[1 - len(MAGIC) :] + byte
    return read(stream, MAGIC)


def read(stream: IO[bytes], begun: bytes = b"") -> bytes | None:
    """The next message of a stream, None where the stream is at its end; raises DamagedMessage.

    begun: what was read of it already.
    """
    head = begun + _exactly(stream, _HEAD.size - len(begun))
    if not head:
        return None
    if len(head) < _HEAD.size:
        raise DamagedMessage("it is cut off")
    magic, length, _, _ = _HEAD.unpack(head)
    if magic != MAGIC:
        raise DamagedMessage("it is not of this format")
    return head + _exactly(stream, length)


def _exactly(stream: IO[bytes], size: int) -> bytes:
    """`size` bytes, fewer only at the end of the stream."""
    parts: list[bytes] = []
    left = size
    while left > 0:
        part = stream.read(min(left, 1 << 20))
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
