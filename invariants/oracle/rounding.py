"""The rounding model: how far two honest implementations of one computation may differ.

Monte Carlo arithmetic (Parker 1997, "Monte Carlo Arithmetic"; Verificarlo; Fuzzy PyTorch,
arXiv 2605.25991): the oracle computes every value S + 1 times along a leading axis. Sample 0 is
undisturbed float64. In each other sample every result of a primitive is moved at random by as much
as a framework that works in the target dtype may round it. The spread of the samples at an element
is then how far an implementation may be from sample 0 there; it follows conditioning, cancellation
and near-kinks without anybody choosing a tolerance.

Where a computation is exact in the target dtype (small multiples of a power of two, `grid`), an
honest implementation has no freedom at all and nothing is disturbed.

A kernel rounds a number by what it is and not by where it stands, so equal elements of one result
have equal errors, which add up in a sum of them instead of averaging out. Equal numbers may as well
come from different sums, and then their errors differ. So one half of the samples moves equal
numbers alike, the other each by itself.

The random numbers come from a fixed pool, read at pseudo-random offsets: drawing them anew would
cost more than the arithmetic that they disturb.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

Array = np.ndarray

#: Samples beside the undisturbed one.
SAMPLES = 16

#: An element agrees when |framework - expected| <= LAMBDA * spread. The one constant of the
#: project, fixed before the calibration in docs/rounding.md was run to confirm it.
LAMBDA = 20.0

#: Samples from this one on round equal numbers alike; in the others each is rounded by itself.
_ALIKE = 1 + SAMPLES // 2

#: Columns in the pool of random numbers.
_POOL_BITS = 14
_POOL = 1 << _POOL_BITS


@dataclass(frozen=True)
class Precision:
    """A floating point format: its unit roundoff and the edges of its range.

    absolute: how far a result near zero may be rounded, where that matters beside what is flushed:
    half the smallest subnormal number of float16, in whose subnormal range activations lie.
    """

    name: str
    significand_bits: int
    smallest_normal: float
    largest: float
    absolute: float = 0.0

    @property
    def unit_roundoff(self) -> float:
        return 2.0**-self.significand_bits


PRECISIONS = {
    "float64": Precision("float64", 53, 2.0**-1022, (2.0 - 2.0**-52) * 2.0**1023),
    "float32": Precision("float32", 24, 2.0**-126, (2.0 - 2.0**-23) * 2.0**127),
    "bfloat16": Precision("bfloat16", 8, 2.0**-126, (2.0 - 2.0**-7) * 2.0**127),
    # float16 is computed in float32 and rounded, so nothing is flushed but below its subnormals.
    "float16": Precision("float16", 11, 2.0**-24, (2.0 - 2.0**-10) * 2.0**15, 2.0**-25),
}


@cache
def _noise(stochastic_ulps: bool) -> Array:
    """Random moves in units of the unit roundoff; shape (SAMPLES + 1, _POOL), row 0 all zero.

    For a dtype below float64 uniform in [-1, 1]. In float64 itself a factor 1 + u·ξ rounds to
    exactly 1 three times in four and never upwards, so there ξ is rounded to whole ulps (2u), which
    are representable, as often as stochastic rounding would: a quarter of the samples moves, up in
    half of them, the same number for every element. Were each drawn by itself, one element in a
    hundred would move in none.
    """
    rng = np.random.default_rng(20240229)
    noise = rng.uniform(-1.0, 1.0, size=(SAMPLES + 1, _POOL))
    if stochastic_ulps:
        moves = np.zeros((SAMPLES, _POOL))
        moves[: SAMPLES // 8], moves[SAMPLES // 8 : SAMPLES // 4] = 2.0, -2.0
        noise[1:] = rng.permuted(moves, axis=0)
    noise[0] = 0.0
    noise.setflags(write=False)
    return noise


@cache
def _factors(precision: Precision, ulps: float) -> Array:
    """1 + u·ulps·ξ for the whole pool; shape (SAMPLES + 1, _POOL)."""
    moves = _noise(precision.name == "float64")
    factors = 1.0 + precision.unit_roundoff * ulps * moves
    factors.setflags(write=False)
    return factors


#: 2^64 over the golden ratio.
_FIBONACCI = np.uint64(0x9E3779B97F4A7C15)
_HALF_OF_THE_REST, _REST, _PLACES = np.uint64(128), np.uint64(8), np.uint64(64 - _POOL_BITS)


def _hashed(value: Array) -> Array | None:
    """A column of the pool for each number of sample 0, equal ones for equal numbers.

    Fibonacci hashing (Knuth, The Art of Computer Programming 3, §6.4) of the leading 44 bits of
    the significand: two sums of the same terms differ in the last bits of float64. None for a
    single number, which is equal to no other.
    """
    if value.size == len(value):
        return None
    hashes = value[0].reshape(-1).view(np.uint64) + _HALF_OF_THE_REST
    hashes >>= _REST
    hashes *= _FIBONACCI
    hashes >>= _PLACES
    return hashes.view(np.intp)


class Rounding:
    """Disturbs results as an implementation in `precision` may round them.

    One instance serves one expectation; `offset` walks through the pool in a fixed pseudo-random
    sequence, so that the same case has the same expectation to the bit.
    """

    def __init__(self, precision: Precision, start: int = 1) -> None:
        self.precision = precision
        self.unit = precision.unit_roundoff
        self.exact_limit = 2.0**precision.significand_bits
        self._state = start

    def apart(self, precision: str) -> Rounding:
        """One of another format, going on from where this one stands.

        Noise that two results share may cancel in what comes of both, so no two start alike.
        """
        return Rounding(PRECISIONS[precision], self._state)

    def _offset(self, width: int) -> int:
        self._state = (self._state * 1103515245 + 12345) & 0x7FFFFFFF
        return self._state % (_POOL - width + 1)

    def _columns(self, pool: Array, value: Array, hashed: Array | None) -> Array:
        """`pool` numbers for the elements of `value`, for equal ones the same in some samples.

        hashed: `_hashed` of them; None for a single one.
        """
        width = value.size // len(value)
        by_itself = SAMPLES + 1 if hashed is None else _ALIKE
        columns = np.empty((SAMPLES + 1, width))
        for begin in range(0, width, _POOL):
            end = min(begin + _POOL, width)
            start = self._offset(end - begin)
            columns[:by_itself, begin:end] = pool[:by_itself, start : start + end - begin]
        if hashed is not None:
            places = hashed + self._offset(1)
            pool[_ALIKE:].take(places, axis=1, mode="wrap", out=columns[_ALIKE:])
        return columns.reshape(SAMPLES + 1, *value.shape[1:])

    def disturb(self, value: Array, ulps: float = 1.0, magnitude: Array | None = None) -> Array:
        """`value` with every sample but 0 moved by the rounding of one application.

        Args:
            value: shape (SAMPLES + 1 or 1, ...).
            ulps: error of the result, in units of the unit roundoff relative to it.
            magnitude: for a reduction √k·√Σ(aᵢbᵢ)² of its k terms, shape (1 or SAMPLES + 1, ...):
                the intermediate sums are rounded too, relative to their own size.
        """
        hashed = _hashed(value)
        moved = self._columns(_factors(self.precision, ulps), value, hashed)
        moved *= value
        if magnitude is not None:
            noise = self._columns(_noise(False), value, hashed)
            noise *= self.unit * magnitude
            moved += noise
        if self.precision.absolute:
            moved += self.precision.absolute * self._columns(_noise(False), value, hashed)
        return moved

    def flush(self, value: Array, times: Array | float) -> Array:
        """`value` moved by up to `times` the smallest normal number.

        An implementation may flush a factor of it to zero there.
        """
        noise = self._columns(_noise(False), value, _hashed(value))
        return value + (self.precision.smallest_normal * times) * noise


def half_of_the_samples(turn: int) -> Array:
    """The numbers of half of the samples, others at each turn; 0 is never among them."""
    return np.asarray(_turns()[turn % 64])


@cache
def _turns() -> Array:
    """Which samples a straddle moves, by its turn: half of them, others each time.

    Shape (64, SAMPLES // 2). The other half goes where the rounding so far took it: an
    implementation that took the rarer branch earlier has its consequences here.
    """
    rng = np.random.default_rng(20240301)
    orders = np.argsort(rng.random((64, SAMPLES)), axis=1)
    return 1 + orders[:, : SAMPLES // 2]


@cache
def _branches() -> Array:
    """Numbers that say which branch an element takes in each sample that a straddle moves.

    Shape (SAMPLES // 2, _POOL). In the first half each element goes its own way (a channel may be
    cut for one image of a batch and not for the next), in the others all go the same way.
    """
    rng = np.random.default_rng(20240302)
    count = SAMPLES // 4
    together = np.broadcast_to(np.arange(count)[:, None], (count, _POOL))
    own = rng.permuted(together, axis=0) + count * rng.integers(0, 2**14, size=(1, _POOL))
    branches = np.concatenate([own, together])
    branches.setflags(write=False)
    return branches


def _branch(shape: tuple[int, ...], turn: int) -> Array:
    """`_branches` for an array of `shape`; shape (SAMPLES // 2, *shape)."""
    columns = np.arange(int(np.prod(shape))) + 257 * turn
    return np.take(_branches(), columns, axis=1, mode="wrap").reshape(-1, *shape)


def straddle_zero(samples: Array, turn: int) -> Array:
    """`samples` with a quarter of them on the far side of 0, where 0 lies within λ spreads.

    An implementation may take either branch of a kink there, and S samples by themselves miss the
    rarer one about once in S. Values move by no more than the rounding model allows. `turn` numbers
    the applications.
    """
    spread = _spread(samples)
    near = (np.abs(samples[0]) <= LAMBDA * spread) & (spread > 0.0)
    if not near.any():
        return samples
    moved, rows = samples.copy(), half_of_the_samples(turn)
    sides = np.maximum(np.abs(samples[0]), spread)
    signed = np.where(_branch(sides.shape, turn) % 2, -sides, sides)
    moved[rows] = np.where(near, signed, samples[rows])
    return moved


def near_a_pole(samples: Array) -> Array:
    """Where 0 lies within λ spreads of a value, as a mask of the value's shape.

    What has a pole at 0 cannot be judged there: a batch norm of a batch that is constant but for
    rounding, say, divides by a deviation that is rounding alone.
    """
    return np.asarray(np.abs(samples[0]) <= LAMBDA * _spread(samples))


def straddle_maxima(samples: Array, turn: int) -> Array:
    """`samples` in which the elements of axis -2 that may be the largest are so, in turn."""
    spread = _spread(samples)
    top = np.expand_dims(samples[0].argmax(axis=-2), -2)
    gap = np.take_along_axis(samples[0], top, -2) - samples[0]
    allowed = LAMBDA * (spread + np.take_along_axis(spread, top, -2))
    near = (gap <= allowed) & (allowed > 0.0)
    count = near.sum(axis=-2, keepdims=True)
    if (count <= 1).all():
        return samples
    moved, rows = samples.copy(), half_of_the_samples(turn)
    rank = np.cumsum(near, axis=-2) - 1
    chosen = near & (count > 1) & (rank == _branch(count.shape, turn) % np.maximum(count, 1))
    lifted = samples[rows].max(axis=-2, keepdims=True) + spread
    moved[rows] = np.where(chosen, lifted, samples[rows])
    return moved


def _spread(samples: Array) -> Array:
    """The root mean square of the deviations from sample 0."""
    deviations = samples[1:] - samples[0]
    spread = np.sqrt(np.einsum("s...,s...->...", deviations, deviations) / SAMPLES)
    tiny = spread < 1e-150  # the squares may have underflowed
    if tiny.any():
        largest = np.abs(deviations).max(axis=0, initial=0.0)
        tiny &= largest > 0.0
        if tiny.any():
            scale = np.where(tiny, largest, 1.0)
            scaled = scale * np.sqrt(np.square(deviations / scale).mean(axis=0))
            spread = np.where(tiny, scaled, spread)
    return np.asarray(spread)


@dataclass(frozen=True)
class Estimate:
    """What the chain rule says of one array: a value and a spread for every element."""

    value: Array
    spread: Array

    @property
    def exact(self) -> bool:
        """No freedom anywhere: an honest implementation gives these very numbers."""
        return not self.spread.any()


def estimate(samples: Array, rounding: Rounding) -> Estimate:
    """Value and spread from samples of shape (SAMPLES + 1 or 1, ...).

    The spread is the root mean square of the deviations from sample 0, and, where anything was
    disturbed at all, at least what rounding the final result once moves it in that same measure:
    sixteen stochastic moves by whole ulps may all be zero. An exact zero has no spread. Where the
    largest spread of an array exceeds its largest value (training that is chaos in 16 bits) each
    element takes some branch in one sample and another in the next, and none of sixteen may have
    taken that of the framework: then a branch of that size in one sample is assumed. Where a sample
    overflows in the target dtype (training that diverges) nothing can be said: the spread
    is infinite.
    """
    value = samples[0]
    overflows = ~(np.abs(samples) <= rounding.precision.largest).all(axis=0)
    if overflows.any():
        finite = np.where(overflows, 0.0, samples)
        estimated = estimate(finite, rounding)
        return Estimate(estimated.value, np.where(overflows, np.inf, estimated.spread))
    if samples.shape[0] == 1:
        return Estimate(value, np.zeros_like(value))
    spread = _spread(samples)
    floor = rounding.precision.smallest_normal + np.abs(value) * (rounding.unit / np.sqrt(3.0))
    moved = (spread > 0.0) | (value != 0.0)
    spread = np.where(moved, np.maximum(spread, floor), 0.0)
    largest = float(spread.max(initial=0.0))
    if largest > np.abs(value).max(initial=0.0):
        spread = np.maximum(spread, largest / np.sqrt(SAMPLES))
    return Estimate(value, spread)


class Estimates(Mapping[str, Estimate]):
    """The estimates of named arrays, each worked out when it is first asked for."""

    def __init__(self, samples: Mapping[str, Array], rounding: Rounding) -> None:
        self._samples = dict(samples)
        self._rounding = rounding
        self._known: dict[str, Estimate] = {}

    def __getitem__(self, name: str) -> Estimate:
        if name not in self._known:
            with np.errstate(all="ignore"):
                self._known[name] = estimate(self._samples[name], self._rounding)
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._samples)

    def __len__(self) -> int:
        return len(self._samples)


@dataclass(frozen=True)
class Deviation:
    """How one observed array compares with its estimate, element by element."""

    spreads: Array  # |observed - value| / spread; inf where the spread is 0 and they differ
    informative: Array  # False where λ·spread is no smaller than a value that is not zero

    @property
    def worst(self) -> tuple[int, ...]:
        """The index of the element that is the most spreads away."""
        return tuple(int(i) for i in np.unravel_index(np.argmax(self.spreads), self.spreads.shape))


def deviation(observed: Array, expected: Estimate) -> Deviation:
    """The deviation of `observed` from `expected`, both of the same shape.

    An observed NaN or infinity where the expected value is finite is infinitely far away.
    """
    same = (observed == expected.value) | (np.isnan(observed) & np.isnan(expected.value))
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.abs(observed.astype(np.float64) - expected.value)
        same |= np.isinf(expected.spread)
        spreads = np.where(same, 0.0, distance / expected.spread)
    spreads = np.where(np.isnan(spreads), np.inf, spreads)
    zero = (expected.value == 0.0) & np.isfinite(expected.spread)
    informative = (LAMBDA * expected.spread < np.abs(expected.value)) | zero
    return Deviation(spreads, informative)
