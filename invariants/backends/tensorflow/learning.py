"""The lines of a Keras script that compute gradients, and step on them, under a tape.

They stand in the action itself, or in a function of the script that the mode has traced.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from invariants.architecture.layers.base import Spec
from invariants.backends.source import arrays_of_a_batch, indented, loss_lines
from invariants.backends.tensorflow import losses, modes
from invariants.case import Case
from invariants.objective import Term
from invariants.program import Gradient, Step

NAME = "tensorflow"

#: Gradients added up; what no loss reaches has none.
_SUM = "[g if h is None else tf.convert_to_tensor(g) + h for g, h in zip(gradients, more)]"


def drawn_once(case: Case) -> bool:
    """Whether every random layer draws once in a forward pass.

    Where one draws twice, its draws go by the order in which a functional model happens to call
    its layers, which is not the order of the source; then they are not told.
    """
    return all(p.calls == 1 for p in case.architecture.layers if p.layer.stochastic)


def seeded(case: Case, number: int, batch: int) -> list[str]:
    """The lines before action `number` has random layers draw, and what they draw told."""
    if not case.draws_at(number):
        return []
    told = modes.draws_can_be_told(case) and drawn_once(case) and case.first_of_its_size(number)
    draws = [f"draws({number}, {case.batches[batch].size})"] if told else []
    return ["reseed(model)", *draws]


def _value(case: Case) -> Callable[[Term, Spec, str, str, str, str], str]:
    """The expression of a term; probabilities are not made in a lower format."""

    def value(term: Term, spec: Spec, name: str, z: str, y: str, w: str) -> str:
        z = modes.widened(case, z) if losses.of_probabilities(term) else z
        return losses.value(term, spec, name, z, y, w)

    return value


def _loss(case: Case, training: bool) -> list[str]:
    """The lines that compute `loss` from a call of the model."""
    names = [f"x{i}" for i in range(len(case.architecture.inputs))]
    feed = names[0] if len(names) == 1 else f"[{', '.join(names)}]"
    penalties = ["loss = loss + sum(model.losses)"] if case.penalties else []
    call = f"model({feed}, training={training})"
    if "checkpoint" in modes.traits(case):
        given = ", ".join(names)
        call = f"{modes.traits(case)['checkpoint']}(lambda {given}: {call})({given})"
    return [*loss_lines(case, call, _value(case)), *penalties]


def _watched(case: Case, batches: int) -> list[str]:
    """The inputs whose gradient is asked for; none where several batches are added up."""
    return [f"x{i}" for i in case.watched] if batches == 1 else []


def _taped(
    case: Case, training: bool, variables: str, watched: Sequence[str], gradients: str
) -> list[str]:
    """The lines that leave `gradients` of a batch, by a tape as the mode has it.

    variables: the line that names them, "" where one has. watched: the inputs that have a gradient.
    """
    if "second_order" in modes.traits(case):
        return _taped_twice(case, training, variables, watched, gradients)
    if modes.goes_forward(case):
        return _pushed_forward(case, training, variables, watched, gradients)
    options = modes.traits(case).get("tape", "")
    head = [f"tape.watch({name})" for name in watched]
    named = [variables] if variables else []
    loss = "scaled" if modes.scales(case) else "loss"
    losses_of = _loss(case, training)
    losses_of += ["scaled = optimizer.scale_loss(loss)"] if modes.scales(case) else []
    if options.startswith("watch_accessed_variables"):
        # A tape watches TensorFlow's variables, and what Keras calls one holds one of those.
        head += [*named, "tape.watch([variable.value for variable in variables])"]
        named = []
    lines = [f"with tf.GradientTape({options}) as tape:", *indented(head + losses_of)]
    lines += named
    if options.startswith("persistent"):
        # Asked for one by one, as where parts of a model are trained by different optimizers.
        lines.append(f"{gradients} = [tape.gradient({loss}, variable) for variable in variables]")
        lines += [f"to_inputs = tape.gradient({loss}, [{', '.join(watched)}])"] if watched else []
    elif watched:
        sources = f"(variables, [{', '.join(watched)}])"
        lines.append(f"{gradients}, to_inputs = tape.gradient({loss}, {sources})")
    else:
        lines.append(f"{gradients} = tape.gradient({loss}, variables)")
    around = modes.traits(case).get("around")
    return [around, *indented(lines)] if around else lines


def _taped_twice(
    case: Case, training: bool, variables: str, watched: Sequence[str], gradients: str
) -> list[str]:
    """The lines that leave `gradients` of a loss to which half of its slope is added.

    That is its derivative along the variables and inputs themselves; see `_taped`.
    """
    watch = [f"watch({name})" for name in watched]
    inner = [*(f"tape.{call}" for call in watch), *_loss(case, training)]
    by = f"[*variables, {', '.join(watched)}]" if watched else "variables"
    lines = [
        *(f"outer.{call}" for call in watch),
        "with tf.GradientTape() as tape:",
        *indented(inner),
        *([variables] if variables else []),
        f"by = {by}",
        "slopes = [",
        "    tf.reduce_sum(tf.multiply(g, tf.stop_gradient(v)))",
        "    for g, v in zip(tape.gradient(loss, by), by)",
        "    if g is not None",
        "]",
        "total = loss + 0.5 * sum(slopes)",
    ]
    sources = f"(variables, [{', '.join(watched)}])" if watched else "variables"
    left = f"{gradients}, to_inputs" if watched else gradients
    return [
        "with tf.GradientTape() as outer:",
        *indented(lines),
        f"{left} = outer.gradient(total, {sources})",
    ]


def _stateless(case: Case) -> list[str]:
    """The function whose gradients are taken forward: of the weights that are trained, and states.

    It leaves the states that a pass has moved as another value, for it is called again and again.
    """
    names = [f"x{i}" for i in range(len(case.architecture.inputs))]
    feed = names[0] if len(names) == 1 else f"[{', '.join(names)}]"
    losses_of, left = (", return_losses=True", ", losses") if case.penalties else ("", "")
    call = f"model.stateless_call(trained, states, {feed}, training=training{losses_of})"
    body = [f"outputs, left{left} = {call}", *loss_lines(case, "outputs", _value(case))]
    body += ["loss = loss + sum(losses)"] if case.penalties else []
    given = ", ".join(["trained", "states", "training", *arrays_of_a_batch(case)])
    return [f"def loss_of({given}):", *indented([*body, "return loss, left"]), "", ""]


def _pushed_forward(
    case: Case, training: bool, variables: str, watched: Sequence[str], gradients: str
) -> list[str]:
    """The lines that leave `gradients` by a forward pass for each element; see `_taped`."""
    arrays, count = arrays_of_a_batch(case), len(watched)
    places = {name: f"given[{place - count}]" for place, name in enumerate(watched)}
    passed = ", ".join(places.get(name, name) for name in arrays)
    of_inputs = [f"to_{name}" for name in watched]
    left = ", ".join([f"*{gradients}", *of_inputs]) if watched else gradients
    trained = f"given[:-{count}]" if watched else "given"
    return [
        *([variables] if variables else []),
        "trained = [tf.convert_to_tensor(variable) for variable in variables]",
        "states = [tf.convert_to_tensor(state) for state in model.non_trainable_variables]",
        f"loss, left = loss_of(trained, states, {training}, {', '.join(arrays)})",
        f"{left} = pushed_forward(",
        f"    lambda given: loss_of({trained}, states, {training}, {passed}),",
        f"    [{', '.join(['*trained', *watched])}],",
        ")",
        *([f"to_inputs = [{', '.join(of_inputs)}]"] if watched else []),
        "for state, value in zip(model.non_trainable_variables, left):",
        "    state.assign(value)",
    ]


def _differentiated(case: Case, training: bool, batches: int, variables: str) -> list[str]:
    """The lines that leave `gradients` of the first batch; `variables` are assigned on the way."""
    named = f"{variables} = model.trainable_variables"
    return _taped(case, training, named, _watched(case, batches), "gradients")


def _added(case: Case, training: bool, taken: str) -> list[str]:
    """The lines that add the gradients of another batch, from where its arrays are `taken`."""
    lines = [f"{', '.join(arrays_of_a_batch(case))} = {taken}"]
    lines += ["reseed(model)"] if training and case.architecture.stochastic else []
    return [*lines, *_taped(case, training, "", [], "more"), f"gradients = {_SUM}"]


def _applied(case: Case) -> str:
    if case.options(NAME)["optimizer_call"] == "apply":
        return "optimizer.apply(gradients, variables)"
    return "optimizer.apply_gradients(zip(gradients, variables))"


def definitions(case: Case) -> list[str]:
    """The functions of the script that the mode has traced, or differentiates forward."""
    if modes.goes_forward(case):
        return _stateless(case)
    lines = []
    for function in modes.functions(case):
        first, *more = [function.arrays(case, number) for number in range(function.batches)]
        arguments = [name for arrays in (first, *more) for name in arrays]
        # What Python does here it does when the function is traced.
        variables = f"variables = {modes.trace(case, function)}"
        body = _differentiated(case, function.training, function.batches, variables)
        for arrays in more:
            body += _added(case, function.training, ", ".join(arrays))
        body += [_applied(case)] if function.steps else []
        returned = ", to_inputs" if _watched(case, function.batches) else ""
        body.append(f"return loss, gradients{returned}")
        lines += [f"def {function.name}_on({', '.join(arguments)}):", *indented(body), "", ""]
    return ["traced = {}", "", "", *lines] if lines else []


def _called(case: Case, number: int, action: Gradient | Step) -> list[str]:
    """The lines of an action that calls a function of the script."""
    function = modes.function_of(case, number, action)
    batches = [action.batch, *(action.more if isinstance(action, Step) else ())]
    arrays = [function.arrays(case, place) for place in range(function.batches)]
    lines = [
        f"{', '.join(names)} = batch({batch})" for names, batch in zip(arrays, batches, strict=True)
    ]
    returned = ", to_inputs" if _watched(case, function.batches) else ""
    arguments = ", ".join(name for names in arrays for name in names)
    return [
        *lines,
        *seeded(case, number, action.batch),
        f"loss, gradients{returned} = {function.name}({arguments})",
        f"variables = {modes.trace(case, function)}",
    ]


def _shown(case: Case, watched: bool) -> list[str]:
    """The lines that divide what is recorded by the scale of the loss, before a step changes it."""
    if not modes.scales(case):
        return []
    of_inputs = ["to_inputs = unscaled(to_inputs, optimizer)"] if watched else []
    return ["shown = unscaled(gradients, optimizer)", *of_inputs]


def lines(case: Case, number: int, action: Gradient | Step, masks: Sequence[str] = ()) -> list[str]:
    """The lines of a gradient or a step; masks: those that mask `gradients` in a loop."""
    training, more = case.modes[number], action.more if isinstance(action, Step) else ()
    if modes.functions(case):
        done = _called(case, number, action)
    else:
        done = [f"{', '.join(arrays_of_a_batch(case))} = batch({action.batch})"]
        done += seeded(case, number, action.batch)
        done += _differentiated(case, training, 1 + len(more), "variables")
        for batch in more:
            done += _added(case, training, f"batch({batch})")
        done += masks
        done += _shown(case, bool(_watched(case, 1 + len(more))))
        done += [_applied(case)] if isinstance(action, Step) else []
    watched = _watched(case, 1 + len(more))
    inputs = f", inputs=zip({list(case.watched)}, to_inputs)" if watched else ""
    shown = "shown" if modes.scales(case) else "gradients"
    return [*done, f"record({number}, loss, optimizer, variables, {shown}{inputs})"]
