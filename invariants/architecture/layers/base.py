"""What a layer is: hyperparameters, parameters, a shape rule, how to draw one, and its forward.

Everything that a layer knows stands in its one class, except how a framework spells it; those rows
are in the backends' tables. A layer never sees Hypothesis or a framework: it draws its
hyperparameters through a `Choice` and computes on the oracle's tape.

Layout: images are channels last (N, H, W, C), dense kernels (in, out), convolution kernels
(KH, KW, in / groups, out), as in Keras. Shapes are those of one sample, without the batch axis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Protocol, TypeVar

from pydantic import Field

from invariants.document import Document
from invariants.oracle.tape import Value

T = TypeVar("T")

Size = Annotated[int, Field(ge=1, le=65536)]
Extent = Annotated[int, Field(ge=0, le=65536)]
Shape = tuple[int, ...]


class ShapeError(ValueError):
    """A layer that does not take the shapes it is given."""


@dataclass(frozen=True)
class Spec(Document):
    """The type of a value for one sample: its shape, and for indices how many there are."""

    shape: tuple[Size, ...]
    vocabulary: Size | None = None

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        product = 1
        for extent in self.shape:
            product *= extent
        return product


@dataclass(frozen=True)
class Parameter:
    """An array that a layer owns.

    role: "weight" (trainable unless frozen), "state" (moved by the forward pass, never by an
    optimizer) or "constant" (nothing moves it, thawing included). starts_frozen: a weight that the
    layer itself freezes when it is made.
    """

    name: str
    shape: Shape
    role: str = "weight"
    group: str = "kernel"  # "kernel", "bias", "norm" or "adapter": what freeze patterns go by
    initial: str = "grid"  # "grid", "scale" (around 1) or "variance" (positive)
    starts_frozen: bool = False


class Choice(Protocol):
    """Where a layer's hyperparameters come from; the first of each domain is the simplest."""

    def integer(self, low: int, high: int) -> int: ...

    def one_of(self, options: Sequence[T]) -> T: ...

    def boolean(self) -> bool: ...

    def offered(self, point: str) -> tuple[Any, ...]:
        """The values of a point of the contract, a tuple, that every chosen backend offers."""
        ...


class Call(Protocol):
    """One call of a layer in a forward pass: its parameters, the mode, and the contract."""

    training: bool
    frozen: bool  # the layer's own flag, for frameworks where it changes the forward
    frozen_weights: frozenset[str]  # those of the layer's weights that are not trainable
    before_steps_first: bool  # Architecture.before_steps_first holds the layer
    rebuilt: bool  # the layer was made once more, from its config
    contract: Any

    def parameter(self, name: str, looked_up: bool = False) -> Value:
        """A weight or a state; looked_up: for its rows, which are taken of it as they are."""
        ...

    def set_state(self, name: str, value: Value) -> None:
        """Gives a state, or a weight that the layer rewrites, another value from here on."""
        ...

    def drawn(self) -> Value:
        """What a random layer drew: its output for an input of ones."""
        ...


@dataclass(frozen=True, kw_only=True)
class Layer(Document):
    """The base of all layers; `kind` names the layer in files, in paths and in the tables."""

    kind: str

    #: How many values a call takes; None for two or more.
    arity: ClassVar[int | None] = 1
    #: Random in training mode: what the framework draws is an input of the oracle.
    stochastic: ClassVar[bool] = False
    #: How often it is drawn beside the other kinds that take the same values.
    frequency: ClassVar[int] = 1
    #: In training mode its result depends on its state, as well as moving it.
    reads_its_state: ClassVar[bool] = False
    #: torch works on it with the steps before the samples, and so hands gradients back.
    steps_first: ClassVar[bool] = False
    #: Documented to rewrite some of its weights in a forward pass, whatever is frozen.
    rewrites_frozen: ClassVar[bool] = False
    #: The dtypes of a model in which all of its weights have that dtype, too.
    dtypes: ClassVar[tuple[str, ...]] = ("float64", "float32", "bfloat16", "float16")

    @classmethod
    def kind_of(cls) -> str:
        """The kind of all layers of this class: the default of the field."""
        return str(vars(cls)["kind"])

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> Layer:
        """A layer that takes `specs`; called only where `accepts(specs)`."""
        return cls(kind=cls.kind_of())

    @classmethod
    def accepts(cls, specs: Sequence[Spec]) -> bool:
        """Whether some layer of this class takes values of `specs`."""
        return len(specs) == 1 and specs[0].vocabulary is None

    @classmethod
    def frequency_among(cls, specs: Sequence[Spec]) -> int:
        """How often it is drawn beside the other kinds that take `specs`."""
        return cls.frequency

    @classmethod
    def worth_drawing(cls, specs: Sequence[Spec]) -> bool:
        """Whether its gradient says anything for values of `specs`, which it accepts."""
        return True

    def output(self, specs: Sequence[Spec]) -> Spec:
        """The type of the result; raises ShapeError where the layer does not take `specs`."""
        if not self.accepts(specs):
            raise ShapeError(f"a {self.kind} layer does not take {describe(specs)}")
        return specs[0]

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        """The arrays that the layer owns when it is built for `specs`."""
        return ()

    def plainer(self) -> Layer | None:
        """The layer of another kind that this one adds something to, where there is one."""
        return None

    def needs(self) -> Mapping[str, Any]:
        """What a backend must offer for this layer: a point of its contract, and a value of it."""
        return {}

    def rewrites(
        self, training: bool, frozen_weights: frozenset[str], contract: Any
    ) -> tuple[str, ...]:
        """The weights that a forward pass itself assigns to, by the contract."""
        return ()

    def cast_when_fused(self) -> tuple[str, ...]:
        """The weights that one operation casts which a framework has for an evaluation of it."""
        return ()

    def loaded(self, call: Call) -> Mapping[str, Value]:
        """The weights that are others once they have been saved to a file and loaded."""
        return {}

    def smallest_batch(self, specs: Sequence[Spec], training: bool) -> int:
        """How many samples a batch must have."""
        return 1

    def forward(self, call: Call, *xs: Value) -> Value:
        """The layer's value for inputs of shape (N, *spec.shape), in primitives."""
        raise TypeError(f"{self.kind} has no forward")


def describe(specs: Sequence[Spec]) -> str:
    """Shapes for an error message."""
    return ", ".join(
        f"{list(s.shape)}" + (" of indices" if s.vocabulary is not None else "") for s in specs
    )
