"""Values travel to the bit, and what is damaged or foreign is refused."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from invariants.backends import wire
from invariants.observation import same_bits

DTYPES = st.sampled_from(
    [np.dtype(n) for n in ("float64", "float32", "float16", "int64", "uint8", "bool")]
    + [np.dtype(ml_dtypes.bfloat16)]
)


@st.composite
def raw_arrays(draw: Any) -> np.ndarray:
    """Any bytes as an array: every NaN, both zeros, subnormals."""
    dtype = draw(DTYPES)
    shape = draw(arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
    size = int(np.prod(shape)) * dtype.itemsize
    limit = 1 if dtype.kind == "b" else 255
    held = bytes(draw(st.lists(st.integers(0, limit), min_size=size, max_size=size)))
    return np.frombuffer(held, dtype).reshape(shape)


@given(raw_arrays())
def test_an_array_arrives_to_the_bit(array: np.ndarray) -> None:
    assert same_bits(wire.unpacked(wire.packed({"a": [array]}))["a"][0], array)


def test_a_transposed_array_arrives_with_its_shape() -> None:
    array = np.arange(6.0).reshape(2, 3).T
    assert same_bits(wire.unpacked(wire.packed(array)), np.ascontiguousarray(array))


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda parts: (
        st.lists(parts)
        | st.tuples(parts, parts)
        | st.dictionaries(st.text() | st.integers(), parts)
        | st.sets(st.text())
    ),
    max_leaves=10,
)


@given(plain)
def test_a_structure_arrives_as_it_was(value: Any) -> None:
    arrived = wire.unpacked(wire.packed(value))
    assert arrived == value
    assert type(arrived) is type(value)


def test_a_scalar_of_numpy_stays_one() -> None:
    arrived = wire.unpacked(wire.packed(np.float32(0.1)))
    assert isinstance(arrived, np.float32)
    assert same_bits(np.asarray(arrived), np.asarray(np.float32(0.1)))


@pytest.mark.parametrize("place", [0, 5, 9, 13, 20, -1])
def test_a_flipped_bit_is_noticed(place: int) -> None:
    message = bytearray(wire.packed({"weights": np.arange(5.0)}))
    message[place] ^= 4
    with pytest.raises(wire.DamagedMessage):
        wire.unpacked(bytes(message))


def test_messages_of_a_stream_come_one_by_one_and_a_cut_is_noticed() -> None:
    whole = b"".join(wire.packed(n) for n in range(3))
    stream = io.BytesIO(whole)
    read = [wire.read(stream) for _ in range(4)]
    assert [m and wire.unpacked(m) for m in read] == [0, 1, 2, None]
    cut = io.BytesIO(whole[:-1])
    last = [wire.read(cut) for _ in range(3)][-1]
    assert last is not None
    with pytest.raises(wire.DamagedMessage, match="cut off"):
        wire.unpacked(last)


def test_nothing_but_numbers_is_read_from_an_array() -> None:
    array = np.array([1.0])
    message = wire.packed(array)
    assert same_bits(wire.unpacked(message), array)
    with pytest.raises(wire.DamagedMessage, match="arrays of object"):
        wire.unpacked(wire.packed(np.array([None])))


def test_it_needs_numpy_alone() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import wire;"
        "assert wire.unpacked(wire.packed({1: (2, None)})) == {1: (2, None)};"
        "assert 'ml_dtypes' not in sys.modules"
    )
    folder = str(Path(wire.__file__).parent)
    subprocess.run([sys.executable, "-c", code, folder], check=True)
