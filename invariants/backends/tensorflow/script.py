"""TensorFlow: a case as the source of a training script with Keras 3 and a gradient tape.

This room never imports TensorFlow; only what it renders does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from invariants.architecture.graph import Block, join
from invariants.backends.source import (
    NEWEST,
    arrays_of_a_batch,
    definitions,
    indented,
    named_terms,
    numbered,
    placed_weight,
)
from invariants.backends.tensorflow import (
    actions,
    dialects,
    learning,
    losses,
    modes,
    optimizers,
    regularizers,
)
from invariants.backends.tensorflow.rows import LOWERINGS
from invariants.case import Case
from invariants.course import made_frozen
from invariants.oracle.contract import CONTRACTS
from invariants.program import Cast, Freeze, Learning, Step, Thaw

NAME = "tensorflow"

_RESEED = """\
def reseed(layer):
    for inner in layer.layers:
        if isinstance(inner, keras.Model):
            reseed(inner)
        elif hasattr(inner, "seed_generator"):
            inner.seed_generator.state.assign([SEED, 0])
"""


#: The part of a gradient that a mask leaves.
_EVERY_SECOND = """\
def every_second(gradient):
    gradient = tf.convert_to_tensor(gradient)
    mask = tf.reshape(tf.range(tf.size(gradient)) % 2, gradient.shape)
    return gradient * tf.cast(mask, gradient.dtype)
"""


def _function(path: str) -> str:
    return "build_" + (path.replace(".", "_") or "network")


def _made_frozen(case: Case) -> dict[str, str]:
    """The modules that are frozen where they are made -> the way."""
    making = made_frozen(case, case.realisations[NAME], CONTRACTS[NAME])
    return {action.target: way for action, way in making}


def _builder(case: Case, path: str, block: Block) -> list[str]:
    """The function that builds one block as a functional model."""
    architecture, frozen = case.architecture, _made_frozen(case)
    placed = {p.path: p for p in architecture.layers}
    specs = architecture.block_specs(path)
    values = [f"x{i}" for i in range(block.arity)]
    body, made = [], set()
    for value, spec in zip(values, specs, strict=True):
        dtype = ', dtype="int32"' if spec.vocabulary is not None else ""
        shape = ", ".join(map(str, spec.shape)) + ("," if spec.rank == 1 else "")
        body.append(f"{value} = keras.Input(({shape}){dtype})")
    for number, node in enumerate(block.nodes):
        name = block.name(node.member)
        args = [values[i] for i in node.inputs]
        member: Any = block.members[node.member]
        if member.kind == "block":
            construct = f"{_function(join(path, name))}()"
            call = f"{name}({args[0] if len(args) == 1 else '[' + ', '.join(args) + ']'})"
            built = ""
        else:
            row, layer_specs = LOWERINGS[member.kind], placed[join(path, name)].specs
            opened = row.construct(member, layer_specs) if row.construct else ""
            flag = ", trainable=False" if frozen.get(join(path, name)) == "constructor" else ""
            penalties = regularizers.arguments_of(case, join(path, name), opened, row)
            construct = f"{opened}name={name!r}{flag}{penalties})"
            call = row.call(member, name, args, layer_specs)
            built = row.built(member, name)
        first = name not in made
        made.add(name)
        body += [f"{name} = {construct}"] if first else []
        if first and frozen.get(join(path, name)) == "before_build":
            body.append(f"{name}.trainable = False")
        values.append(f"x{block.arity + number}")
        body.append(f"{values[-1]} = {call}")
        body += [built] if first and built else []
    inputs = values[0] if block.arity == 1 else f"[{', '.join(values[: block.arity])}]"
    model_name = path.rpartition(".")[2] or "network"
    ends = (-1,) if path else architecture.output_values
    put_out = [values[n] for n in ends]
    if not path:
        body += modes.widening(case, put_out)
        put_out = modes.put_out(case, put_out)
    outputs = ", ".join(put_out)
    outputs = f"[{outputs}]" if len(ends) > 1 else outputs
    flag = ", trainable=False" if frozen.get(path) == "constructor" else ""
    model_class = "keras.Model" if path else modes.model_class(case)
    body.append(f"return {model_class}({inputs}, {outputs}, name={model_name!r}{flag})")
    return [f"def {_function(path)}():", *indented(body)]


def _compiled(case: Case) -> bool:
    return case.runs_in(NAME).trains_itself


def _made(case: Case) -> list[str]:
    """The lines that make an optimizer, and compile the model where it trains by itself."""
    if not _compiled(case):
        return [*optimizers.made(case), *modes.made(case)]
    terms = sorted(named_terms(case), key=lambda named: named[1].output)
    names = [name for name, _, _ in terms]
    weights = [term.weight for _, term, _ in terms]
    options = [
        "optimizer=optimizer",
        f"loss={names[0] if len(names) == 1 else '[' + ', '.join(names) + ']'}",
        *([f"loss_weights={weights!r}"] if set(weights) != {1.0} else []),
        f"run_eagerly={case.options(NAME)['run_eagerly'] == 'yes'}",
        f"jit_compile={'jit' in modes.traits(case)}",
        *([f"steps_per_execution={steps}"] if (steps := modes.steps(case)) > 1 else []),
    ]
    compiled = f"model.compile({', '.join(options)})"
    return [*optimizers.made(case), compiled, *modes.compiled(case)]


def _given(case: Case) -> list[str]:
    """What a model that trains by itself is given: inputs, targets, weights of the samples."""
    terms = named_terms(case)
    order = sorted(range(len(terms)), key=lambda n: terms[n][1].output)
    y, w = numbered("y", len(terms)), numbered("w", len(terms))
    arrays = [
        [f"x{i}" for i in range(len(case.architecture.inputs))],
        [losses.target(terms[n][1], terms[n][2], y[n]) for n in order],
        [w[n] for n in order if terms[n][1].weighting != "none"],
    ]
    x, target, *weights = (
        one[0] if len(one) == 1 else f"[{', '.join(one)}]" for one in arrays if one
    )
    return [x, target, *(f"sample_weight={array}" for array in weights)]


def _fit(case: Case, number: int, action: Step) -> list[str]:
    """The lines of a step by a model that trains by itself."""
    call, size = modes.traits(case)["call"], case.batches[action.batch].size
    taken, steps = f"batch({action.batch})", modes.steps(case)
    if steps > 1:  # the same batch again and again
        taken = f"(tf.concat([array] * {steps}, 0) for array in {taken})"
    lines = [f"{', '.join(arrays_of_a_batch(case))} = {taken}"]
    lines += learning.seeded(case, number, action.batch)
    options = [f"batch_size={size}", "shuffle=False", "verbose=0"] if call == "fit" else []
    lines.append(f"model.{call}({', '.join([*_given(case), *options])})")
    return [*lines, f"trained({number}, optimizer)"]


def _attribute(case: Case, target: str) -> str:
    """The expression of a module or a weight of the model."""
    path, weight = target, ""
    if target in case.architecture.weights:
        path, native = placed_weight(case, target, LOWERINGS)
        weight = native.attribute or native.name
    steps = [f'.get_layer("{name}")' for name in path.split(".") if name]
    return "model" + "".join(steps) + (f".{weight}" if weight else "")


def _set_trainable(case: Case, action: Freeze | Thaw, way: str | None) -> list[str]:
    if CONTRACTS[NAME].way(way or "").construction:
        return [f"pass  # {action.target or 'the model'} was made so"]
    if way == "masked_gradient":
        return ["pass  # the loop masks gradients from here on"]
    target, value = _attribute(case, action.target), isinstance(action, Thaw)
    if way == "each_variable":
        # A variable that is made non-trainable leaves trainable_variables, hence the full list.
        kept = "weight.name not in CONSTANT"
        return [
            f"for weight in {target}.weights:",
            f"    if {kept}:",
            f"        weight.trainable = {value}",
        ]
    return [f"{target}.trainable = {value}"]


def _regularizers(case: Case) -> list[str]:
    """Sets the regularizers of the weights whose layers were not made with them."""
    return [
        f"{_attribute(case, name)}.regularizer = {regularizers.regularizer(penalty)}"
        for name, penalty in regularizers.set_afterwards(case).items()
    ]


def _masks(case: Case, number: int) -> list[str]:
    """The lines that mask gradients between the tape and the optimizer."""
    masked = sorted(case.course(NAME)[number].masked)
    if not masked:
        return []
    weights = ", ".join(_attribute(case, name) for name in masked)
    return [
        f"masked = {{id(weight) for weight in ({weights},)}}",
        "gradients = [",
        "    every_second(g) if id(v) in masked and g is not None else g",
        "    for v, g in zip(variables, gradients)",
        "]",
    ]


def _constants(case: Case) -> list[str]:
    """The names of the weights that no loop over weights may make trainable."""
    parameters = case.architecture.parameters.values()
    return sorted({p.name for p in parameters if p.role != "weight"})


def render(case: Case, installed: Mapping[str, str] = NEWEST) -> str:
    """The source of the training script that runs `case`.

    installed: the versions of packages that it is for; by default today's.
    """
    ways = case.realisations[NAME].ways
    imports, custom = actions.head(case, LOWERINGS)
    lines = [*imports, "import keras", "import tensorflow as tf", ""]
    lines += dialects.names(installed)
    lines.append(f"keras.config.set_floatx({case.dtype!r})")
    # The default policy is derived from floatx once, when the first layer is made.
    lines.append(f"keras.config.set_dtype_policy({modes.policy(case)!r})")
    if case.architecture.stochastic:
        lines.append(f"SEED = {case.seed}")
    if "each_variable" in ways:
        lines.append(f"CONSTANT = {_constants(case)!r}")
    lines += ["", ""]
    lines += [*definitions(case, LOWERINGS), *modes.classes(case), *custom]
    if "masked_gradient" in ways:
        lines += [*_EVERY_SECOND.splitlines(), "", ""]
    if case.stochastic:
        lines += [*_RESEED.splitlines(), "", ""]
    for path, block in case.architecture.walk_blocks():
        lines += [*_builder(case, path, block), "", ""]
    lines += [*modes.scaling(case), *modes.pushing(case), *learning.definitions(case)]
    device = case.runs_on(NAME)
    lines += [*device.settings, f'with tf.device("{device.place}"):', *indented(_program(case))]
    return dialects.spoken("\n".join(lines) + "\n", installed)


def _program(case: Case) -> list[str]:
    """The lines that make the model, and run the program on it."""
    lines = [
        "model = build_network()",
        *(["model.trainable = False"] if _made_frozen(case).get("") == "before_build" else []),
        *_regularizers(case),
        "load(model)",
        *(f"{name} = {losses.made(term)}" for name, term, _ in named_terms(case)),
        *_made(case),
    ]
    ways = case.realisations[NAME].ways
    for number, (action, way) in enumerate(zip(case.program, ways, strict=True)):
        if isinstance(action, Freeze | Thaw):
            body = [*_set_trainable(case, action, way), *modes.made_anew(case)]
        elif isinstance(action, Step) and _compiled(case):
            body = _fit(case, number, action)
        elif isinstance(action, Learning):
            body = learning.lines(case, number, action, _masks(case, number))
        else:
            assert not isinstance(action, Cast), "no case with Keras has one, see Case.check"
            made, anew = _made(case), _regularizers(case)
            body = actions.lines(case, number, action, way, made, anew, _given(case))
        lines += ["", f"with action({number}):  # {action.action}", *indented(body)]
    return lines
