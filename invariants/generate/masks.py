"""What is frozen: the patterns that people use, and random ones, as sets of frozen weights.

`transition` turns a change from one set to the next into freeze and thaw actions on modules,
layers and weights: what differs, or one of the other ways in which people write it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from invariants.architecture.graph import Architecture, Placed, join, overlap, within
from invariants.freezing import Flags, targets
from invariants.generate.choice import Drawn
from invariants.optimizer import Optimizer
from invariants.program import Freeze, Thaw

Mask = frozenset[str]
Pattern = Callable[[Drawn, Architecture], Mask]


def weighted(architecture: Architecture) -> list[Placed]:
    """The layers with weights, in the order of their first call."""
    return [p for p in architecture.layers if any(q.role == "weight" for q in p.parameters)]


def _of(architecture: Architecture, layers: list[Placed]) -> Mask:
    return frozenset(w for placed in layers for w in architecture.weights_in(placed.path))


def frozen_middle(choice: Drawn, architecture: Architecture) -> Mask:
    """The seed's pattern: frozen layers that have trainable ones upstream and downstream."""
    layers = weighted(architecture)
    paths = {placed.path for placed in layers}
    above = {path: architecture.upstream(path) & paths - {path} for path in paths}
    below = {path: {other for other in paths if path in above[other]} for path in paths}
    middle = [p for p in layers if above[p.path] and below[p.path]]
    if not middle:
        return _of(architecture, layers[-1:])
    centre = choice.one_of(middle)
    keep = {min(above[centre.path]), max(below[centre.path])}
    others = [p for p in layers if p is not centre and p.path not in keep and choice.chance(3)]
    return _of(architecture, [centre, *others])


def frozen_backbone(choice: Drawn, architecture: Architecture) -> Mask:
    """The first layers, up to any but the last."""
    layers = weighted(architecture)
    return _of(architecture, layers[: choice.integer(1, max(1, len(layers) - 1))])


def linear_probe(choice: Drawn, architecture: Architecture) -> Mask:
    """All but the last layer with weights."""
    return _of(architecture, weighted(architecture)[:-1])


def stem_under_frozen_body(choice: Drawn, architecture: Architecture) -> Mask:
    """All but the first layer with weights."""
    return _of(architecture, weighted(architecture)[1:])


def unfrozen_from_the_top(choice: Drawn, architecture: Architecture) -> Mask:
    """All but the last few layers: a stage of gradual unfreezing (ULMFiT, arXiv 1801.06146)."""
    layers = weighted(architecture)
    return _of(architecture, layers[: len(layers) - choice.integer(1, min(3, len(layers)))])


def frozen_batch_norm(choice: Drawn, architecture: Architecture) -> Mask:
    """The batch norms alone, as detectors are fine-tuned; a random layer where there is none."""
    layers = weighted(architecture)
    norms = [p for p in layers if p.layer.kind == "batch_norm"]
    return _of(architecture, norms or [choice.one_of(layers)])


def adapters_only(choice: Drawn, architecture: Architecture) -> Mask:
    """All but the weights of adapters (LoRA, arXiv 2106.09685); the head where there is none."""
    return _but_group(architecture, "adapter") or linear_probe(choice, architecture)


def bitfit(choice: Drawn, architecture: Architecture) -> Mask:
    """All but the biases (arXiv 2106.10199); the head where there is none."""
    return _but_group(architecture, "bias") or linear_probe(choice, architecture)


def norm_tuning(choice: Drawn, architecture: Architecture) -> Mask:
    """All but the weights of norms (arXiv 2003.00152); the head where there is none."""
    return _but_group(architecture, "norm") or linear_probe(choice, architecture)


def _but_group(architecture: Architecture, group: str) -> Mask:
    """All weights but those of a group, or nothing where the group is empty."""
    parameters = architecture.parameters
    if all(parameters[w].group != group for w in architecture.weights):
        return frozenset()
    return frozenset(w for w in architecture.weights if parameters[w].group != group)


#: The layers that learn tokens or prefixes.
_PROMPTS = ("prompt_tokens", "prefix_attention")


def prompt_tuning(choice: Drawn, architecture: Architecture) -> Mask:
    """All but learned tokens and prefixes (arXiv 2104.08691, 2101.00190); the head if none."""
    layers = weighted(architecture)
    prompts = [p for p in layers if p.layer.kind in _PROMPTS]
    if not prompts:
        return linear_probe(choice, architecture)
    kept = {join(p.path, q.name) for p in prompts for q in p.parameters if q.group == "adapter"}
    return frozenset(architecture.weights) - kept


def everything(choice: Drawn, architecture: Architecture) -> Mask:
    """All weights: the backward pass has nothing to do."""
    return frozenset(architecture.weights)


def nothing(choice: Drawn, architecture: Architecture) -> Mask:
    """No weight at all."""
    return frozenset()


def random_layers(choice: Drawn, architecture: Architecture) -> Mask:
    """Each layer by the toss of a coin."""
    return _of(architecture, [p for p in weighted(architecture) if choice.boolean()])


def random_weights(choice: Drawn, architecture: Architecture) -> Mask:
    """Each weight by the toss of a coin."""
    return frozenset(w for w in architecture.weights if choice.boolean())


def random_submodule(choice: Drawn, architecture: Architecture) -> Mask:
    """One submodule, or one layer where there is none."""
    modules = [m for m in architecture.modules if m in architecture.blocks]
    if not modules:
        modules = [p.path for p in weighted(architecture)]
    return frozenset(architecture.weights_in(choice.one_of(modules)))


PATTERNS: dict[str, Pattern] = {
    "nothing": nothing,
    "frozen_middle": frozen_middle,
    "random_layers": random_layers,
    "random_weights": random_weights,
    "random_submodule": random_submodule,
    "stem_under_frozen_body": stem_under_frozen_body,
    "frozen_backbone": frozen_backbone,
    "linear_probe": linear_probe,
    "unfrozen_from_the_top": unfrozen_from_the_top,
    "frozen_batch_norm": frozen_batch_norm,
    "bitfit": bitfit,
    "norm_tuning": norm_tuning,
    "adapters_only": adapters_only,
    "prompt_tuning": prompt_tuning,
    "everything": everything,
}

#: The simplest first, likelier ones more often: most masks are of layers or weights at random.
_DRAWN = (
    "nothing",
    *("frozen_middle",) * 26,
    *("random_layers",) * 34,
    *("random_weights",) * 13,
    *("random_submodule",) * 2,
    *("stem_under_frozen_body",) * 2,
    "frozen_backbone",
    "linear_probe",
    "unfrozen_from_the_top",
    "frozen_batch_norm",
    "bitfit",
    "norm_tuning",
    *("adapters_only",) * 2,
    "prompt_tuning",
    "everything",
)

#: What a network must have for a pattern to be one: the group of some weight, or a kind of layer.
_ABOUT: dict[str, frozenset[str]] = {
    "frozen_batch_norm": frozenset({"batch_norm"}),
    "bitfit": frozenset({"bias"}),
    "norm_tuning": frozenset({"norm"}),
    "adapters_only": frozenset({"adapter"}),
    "prompt_tuning": frozenset(_PROMPTS),
}

#: The patterns that few networks fit are drawn so many times as often there.
_WHERE_IT_FITS = 7


def _fitting(architecture: Architecture) -> list[str]:
    """The patterns that a network can have, each as often as it is drawn."""
    has = {parameter.group for parameter in architecture.parameters.values()}
    has |= {placed.layer.kind for placed in architecture.layers}
    fitting = [name for name in _DRAWN if name not in _ABOUT or _ABOUT[name] & has]
    about = [name for name in fitting if name in _ABOUT and name != "bitfit"]
    return [*fitting[:-1], *about * (_WHERE_IT_FITS - 1), *fitting[-1:]]


def draw_mask(choice: Drawn, architecture: Architecture) -> Mask:
    """The frozen weights of one pattern; two in three have what layers freeze themselves, too."""
    if not architecture.weights:
        return frozenset()
    mask = PATTERNS[choice.one_of(_fitting(architecture))](choice, architecture)
    return mask | _held(choice, architecture)


def _held(choice: Drawn, architecture: Architecture) -> Mask:
    """What layers freeze themselves, in two of three draws."""
    held = Flags.initial(architecture).frozen
    return frozenset() if not held or choice.chance(3) else held


#: No program has more stages than this: a mask and a step each.
_STAGES = 4


def draw_stages(choice: Drawn, architecture: Architecture) -> list[Mask]:
    """The first layers, fewer of them from stage to stage or more; none for a single layer.

    Fewer: the layers thaw from the top, a group at a time (gradual unfreezing, ULMFiT, arXiv
    1801.06146). More: they freeze from the bottom (FreezeOut, arXiv 1706.04983).
    """
    layers = weighted(architecture)
    if len(layers) < 2:
        return []
    lengths = list(range(len(layers)))  # the last layer learns at every stage
    while len(lengths) > 2 and (len(lengths) > _STAGES or choice.chance(3)):
        lengths.pop(choice.integer(0, len(lengths) - 1))
    held = _held(choice, architecture)
    masks = [_of(architecture, layers[:length]) | held for length in lengths]
    return masks if choice.chance(3) else masks[::-1]


def draw_groups(
    choice: Drawn, architecture: Architecture, optimizer: Optimizer
) -> dict[str, float]:
    """Discriminative groups: the first layers learn at half the rate or less (arXiv 1801.06146).

    In one case of ten, where every backend has parameter groups.
    """
    layers = weighted(architecture)
    if optimizer.kind in choice.named("ungrouped_optimizers"):
        return {}
    if len(layers) < 2 or not choice.offers("parameter_groups") or not choice.chance(10):
        return {}
    first = layers[: choice.integer(1, len(layers) - 1)]
    factor = choice.one_of((0.5, 0.25, 0.125))
    return {placed.path: optimizer.learning_rate * factor for placed in first}


Change = Freeze | Thaw

#: One change of masks in so many is written otherwise than by what differs.
_OTHERWISE = 4

#: A change that is written otherwise has so many settings at most, or as many as the plain one.
_SETTINGS = 4


def transition(choice: Drawn, flags: Flags, wanted: Mask) -> tuple[list[Change], Flags]:
    """The actions that lead from `flags` to the frozen weights `wanted`, and the flags after them.

    Three in four are of what differs, the others as people write them, too: the whole frozen and a
    part of it thawed, the reverse, settings of what is so already, in any order.
    `flags` counts every module that was frozen as a whole as flagged, whichever way that went.
    """
    architecture = flags.architecture
    if not choice.reaches_weights:
        wanted = frozenset[str]().union(
            *(architecture.weights_in(weight.rpartition(".")[0]) for weight in wanted)
        )
    actions = _difference(choice, flags, wanted)
    if flags.architecture.weights and choice.chance(_OTHERWISE):
        actions = _written_otherwise(choice, flags, wanted, actions)
    if not choice.reaches_weights:
        actions = _of_layers(architecture, actions)
    return actions, _after(flags, actions)


def _of_layers(architecture: Architecture, actions: Sequence[Change]) -> list[Change]:
    """The same with whole layers in place of their weights, each once in a row."""
    whole = [
        type(action)(action.target.rpartition(".")[0])
        if action.target in architecture.weights
        else action
        for action in actions
    ]
    return [action for n, action in enumerate(whole) if action not in whole[max(0, n - 1) : n]]


def _after(flags: Flags, actions: Sequence[Change]) -> Flags:
    for action in actions:
        change = flags.freeze if isinstance(action, Freeze) else flags.thaw
        flags = change(action.target, action.target not in flags.architecture.weights)
    return flags


def _difference(choice: Drawn, flags: Flags, wanted: Mask) -> list[Change]:
    """Thaws, then freezes, of what is to be otherwise."""
    architecture = flags.architecture
    parameters = architecture.parameters
    actions: list[Change] = []
    for weight in architecture.weights:
        if weight in flags.frozen and weight not in wanted:
            around = [m for m in architecture.modules if m in flags.flagged and within(weight, m)]
            layer = weight.rpartition(".")[0]
            by_layer = parameters[weight].starts_frozen and choice.boolean()
            target = around[0] if around else layer if by_layer else weight
            actions.append(Thaw(target))
            flags = flags.thaw(target, target not in architecture.weights)
    as_a_whole = not choice.chance(4)
    missing = wanted - flags.frozen
    return [*actions, *map(Freeze, targets(architecture, wanted, missing, as_a_whole))]


def _written_otherwise(
    choice: Drawn, flags: Flags, wanted: Mask, plain: list[Change]
) -> list[Change]:
    """Other settings that end with the same weights frozen."""
    whole, repeated, shuffled = choice.boolean(), choice.boolean(), choice.boolean()
    actions = _whole_then_part(choice, flags, wanted) if whole else plain
    if len(actions) > max(_SETTINGS, len(plain)):
        actions = plain
    if repeated or actions == plain:
        actions = _with_an_idle_one(choice, flags, wanted, actions)
    return _shuffled(choice, actions) if shuffled else actions


def _whole_then_part(choice: Drawn, flags: Flags, wanted: Mask) -> list[Change]:
    """Of a module that is to be frozen in part the whole first, then back what is not to be."""
    architecture = flags.architecture
    everything = frozenset(architecture.weights)
    mixed = [m for m in architecture.modules if _is_mixed(architecture, m, wanted)]
    if not mixed:
        return _difference(choice, flags, wanted)
    module = choice.one_of(mixed)
    held = frozenset(architecture.weights_in(module))
    freezes: Change = Freeze(module)
    back: list[Change] = [*map(Thaw, targets(architecture, everything - wanted, held - wanted))]
    if choice.chance(3):
        freezes = Thaw(module)
        back = [*map(Freeze, targets(architecture, wanted, held & wanted))]
    actions = [freezes, *back]
    return [*actions, *_difference(choice, _after(flags, actions), wanted)]


def _is_mixed(architecture: Architecture, module: str, wanted: Mask) -> bool:
    """Whether a module is to be frozen in part."""
    held = architecture.weights_in(module)
    return not wanted.issuperset(held) and not wanted.isdisjoint(held)


def _with_an_idle_one(
    choice: Drawn, flags: Flags, wanted: Mask, actions: Sequence[Change]
) -> list[Change]:
    """One more: what is to be frozen is frozen once more, or what is not is thawed.

    It changes nothing wherever it stands, for what comes after it would undo it or wants the same.
    """
    architecture = flags.architecture
    said = [action.target for action in actions] if choice.boolean() else []
    anything = [*said, *architecture.modules, *architecture.weights]
    whole = [t for t in anything if not _is_mixed(architecture, t, wanted)]
    target = choice.one_of([t for t in said if t in whole] or whole)
    frozen = wanted.issuperset(architecture.weights_in(target))
    place = choice.integer(0, len(actions))
    idle: Change = Freeze(target) if frozen else Thaw(target)
    return [*actions[:place], idle, *actions[place:]]


def _shuffled(choice: Drawn, actions: Sequence[Change]) -> list[Change]:
    """In another order, of those that come to the same."""
    order = list(actions)
    for start in range(1, len(order)):
        place = start
        while place and _commute(*order[place - 1 : place + 1]) and choice.boolean():
            order[place - 1 : place + 1] = order[place], order[place - 1]
            place -= 1
    return order


def _commute(one: Change, other: Change) -> bool:
    return type(one) is type(other) or not overlap(one.target, other.target)
