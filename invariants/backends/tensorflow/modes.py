"""What a mode adds to a Keras script.

A mode is named by the realisation of a case; its traits in the contract say which of these lines it
takes. A step and a gradient are Python functions then, one for each kind of call that the program
makes, and what is traced once is called by every later action.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from invariants.backends.source import arrays_of_a_batch
from invariants.case import Case
from invariants.program import Gradient, Learning, Step

NAME = "tensorflow"


def traits(case: Case) -> Mapping[str, str]:
    """What the mode of a case does."""
    return case.runs_in(NAME).traits


_TRAIN_STEP = """\
class Trained(keras.Model):
    def train_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            z = self(x, training=True)
            loss = self.compute_loss(x=x, y=y, y_pred=z, sample_weight=sample_weight)
        variables = self.trainable_variables
        gradients = tape.gradient(loss, variables)
        self.optimizer.apply(gradients, variables)
        return {"loss": loss}
"""


def policy(case: Case) -> str:
    """The dtype policy of all layers."""
    lower = traits(case).get("autocast")
    return f"mixed_{lower}" if lower else case.dtype


_UNSCALED = """\
def unscaled(gradients, optimizer):
    scale = optimizer.scale_loss(1.0)
    return [None if g is None else tf.convert_to_tensor(g) / scale for g in gradients]
"""


def scales(case: Case) -> bool:
    """Whether the script scales the loss; a compiled model does so by itself."""
    return "scale" in traits(case) and "call" not in traits(case)


def compiled(case: Case) -> list[str]:
    """The lines behind those that compile the model."""
    # Of the optimizer that compile() has wrapped around the one it was given.
    scale = traits(case).get("scale")
    return [f"model.optimizer.initial_scale = {scale}"] if scale else []


def scaling(case: Case) -> list[str]:
    """The lines of the function that says what gradients are without the scale."""
    return [*_UNSCALED.splitlines(), "", ""] if scales(case) else []


_PUSHED_FORWARD = """\
def pushed_forward(loss_of, primals):
    if not primals:
        return []
    sizes = [primal.shape.num_elements() for primal in primals]

    @tf.function
    def slope(unit):
        given = [tf.identity(primal) for primal in primals]
        parts = zip(tf.split(unit, sizes), given)
        tangents = [tf.reshape(part, primal.shape) for part, primal in parts]
        with tf.autodiff.ForwardAccumulator(given, tangents) as accumulator:
            loss, _ = loss_of(given)
        return accumulator.jvp(loss, unconnected_gradients="zero")

    units = tf.eye(sum(sizes), dtype=primals[0].dtype)
    slopes = tf.split(tf.stack([slope(unit) for unit in units]), sizes)
    return [tf.reshape(part, primal.shape) for part, primal in zip(slopes, primals)]
"""


def goes_forward(case: Case) -> bool:
    """Whether gradients are taken by forward mode, of a function without side effects."""
    return "forward" in traits(case)


def pushing(case: Case) -> list[str]:
    """The lines of the function that takes gradients forward, an element at a time.

    In a graph, for an eager pass with its tangents takes milliseconds.
    """
    return [*_PUSHED_FORWARD.splitlines(), "", ""] if goes_forward(case) else []


def optimizer(case: Case, made: str) -> str:
    """The expression of the optimizer, from that of the one that steps."""
    if not scales(case):
        return made
    given = {"initial_scale": traits(case)["scale"], "dynamic_growth_steps": traits(case)["growth"]}
    options = ", ".join(f"{name}={value}" for name, value in given.items())
    return f"keras.optimizers.LossScaleOptimizer({made}, {options})"


def put_out(case: Case, values: Sequence[str]) -> list[str]:
    """What the model puts out, from the values that its layers give."""
    cast = "outputs" in traits(case)
    return [f"y{number}" if cast else value for number, value in enumerate(values)]


def widening(case: Case, values: Sequence[str]) -> list[str]:
    """The lines that cast those values, where the mode does."""
    dtype = traits(case).get("outputs")
    cast = 'y{0} = keras.layers.Activation("linear", dtype="{1}", name="output_{0}")({2})'
    return [cast.format(n, dtype, value) for n, value in enumerate(values)] if dtype else []


def widened(case: Case, z: str) -> str:
    """The expression of an output for what is not to be computed in a lower format: a softmax."""
    lower = "autocast" in traits(case) and "outputs" not in traits(case)
    return f'tf.cast({z}, "float32")' if lower else z


def model_class(case: Case) -> str:
    """The class of the whole model."""
    return "Trained" if "train_step" in traits(case) else "keras.Model"


def classes(case: Case) -> list[str]:
    """The lines of that class, where it is one of the script."""
    return [*_TRAIN_STEP.splitlines(), "", ""] if "train_step" in traits(case) else []


def draws_can_be_told(case: Case) -> bool:
    """Whether what random layers draw can be asked for: XLA makes other numbers of a seed."""
    return "jit" not in traits(case)


def steps(case: Case) -> int:
    """How many steps a call makes of a model that trains by itself."""
    return int(traits(case).get("steps", "1"))


@dataclass(frozen=True)
class Function:
    """One of the functions of a script: a step or a gradient, in training mode or not.

    batches: how many it takes.
    """

    steps: bool
    training: bool
    batches: int

    @property
    def name(self) -> str:
        several = f"_of_{self.batches}" if self.batches > 1 else ""
        inference = "" if self.training else "_in_inference"
        return ("train_step" if self.steps else "gradient") + several + inference

    def arrays(self, case: Case, number: int) -> list[str]:
        """What it calls the arrays of batch `number`."""
        names = arrays_of_a_batch(case)
        return [f"{name}_{number}" for name in names] if number else names


def function_of(case: Case, number: int, action: Gradient | Step) -> Function:
    """The function that action `number` calls."""
    more = action.more if isinstance(action, Step) else ()
    return Function(isinstance(action, Step), case.modes[number], 1 + len(more))


def functions(case: Case) -> list[Function]:
    """Those that the program calls, each once; none in a mode without."""
    if "function" not in traits(case):
        return []
    called = [
        function_of(case, number, action)
        for number, action in enumerate(case.program)
        if isinstance(action, Learning)
    ]
    return list(dict.fromkeys(called))


def made(case: Case) -> list[str]:
    """The lines behind those that make an optimizer, for what is traced anew with it."""
    wanted, signed = functions(case), "signature" in traits(case)
    lines = []
    if wanted and signed:
        lines.append(
            "signature = [tf.TensorSpec([None, *array.shape[1:]], array.dtype) "
            "for array in batch(0)]"
        )
    for function in wanted:
        repeated = f" * {function.batches}" if function.batches > 1 else ""
        options = [f"input_signature=signature{repeated}"] if signed else []
        options += ["jit_compile=True"] if "jit" in traits(case) else []
        lines.append(
            f"{function.name} = tf.function({', '.join([f'{function.name}_on', *options])})"
        )
    return lines


def made_anew(case: Case) -> list[str]:
    """The lines behind a freeze or a thaw, where the mode has what is traced see them."""
    return made(case) if traits(case).get("function") == "anew" else []


def trace(case: Case, function: Function) -> str:
    """Where the variables stand of the trace that a call goes to, by the sizes of its batches."""
    if "signature" in traits(case):
        return f'traced["{function.name}"]'
    firsts = [function.arrays(case, number)[0] for number in range(function.batches)]
    sizes = ", ".join(f"{first}.shape[0]" for first in firsts)
    return f'traced["{function.name}", {sizes}]'
