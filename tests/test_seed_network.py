"""The network that the project grew out of, on real images: Dense(256), then a frozen PCA to 10.

Does the frozen layer take part when the first layer's gradient is computed? Its weights keep their
bits over three epochs of training, and the first layer's gradient is the chain rule's through it.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from invariants.architecture.graph import Architecture, Block, Node
from invariants.architecture.layers.base import Spec
from invariants.architecture.layers.dense import Dense, Projection
from invariants.backends import BACKENDS, installed
from invariants.case import Batch, Case, Realisation, frozen
from invariants.judge import Verdict, judge
from invariants.objective import Term
from invariants.observation import same_bits
from invariants.optimizer import SGD
from invariants.program import Step

EPOCHS = 3
BATCH = 150
IMAGES = 450

REALISATIONS = {
    "torch": ("eager", {"optimizer_loop": "for-loop"}),
    "tensorflow": ("tape", {"optimizer_build": "ahead", "optimizer_call": "apply"}),
}


def images() -> tuple[np.ndarray, np.ndarray]:
    """Digits of scikit-learn, enlarged from 8 by 8 to 28 by 28: (IMAGES, 784) and their labels."""
    digits = load_digits()
    nearest = np.arange(28) * 8 // 28
    large = digits.images[:IMAGES][:, nearest][:, :, nearest] / 16.0
    return large.reshape(IMAGES, 784), digits.target[:IMAGES]


@lru_cache(maxsize=1)
def seed_case() -> Case:
    """Three epochs of SGD on the network, its projection fitted to the first layer's outputs."""
    x, labels = images()
    rng = np.random.default_rng(0)
    kernel = rng.normal(scale=784**-0.5, size=(784, 256)).astype(np.float32)
    bias = np.zeros(256, np.float32)
    pca = PCA(10, random_state=0).fit(x @ kernel + bias)
    components = pca.components_.T.astype(np.float32)
    mean = (pca.mean_ @ pca.components_.T).astype(np.float32)
    batches = tuple(
        Batch((frozen(x[i : i + BATCH]),), (frozen(labels[i : i + BATCH]),), (None,))
        for i in range(0, IMAGES, BATCH)
    )
    program = tuple(Step(number) for _ in range(EPOCHS) for number in range(len(batches)))
    return Case(
        architecture=Architecture(
            (Spec((784,)),),
            Block(
                members=(Dense(units=256), Projection(components=10)),
                nodes=(Node(0, (0,)), Node(1, (1,))),
            ),
        ),
        weights={
            "dense_0.kernel": frozen(kernel),
            "dense_0.bias": frozen(bias),
            "projection_1.components": frozen(components),
            "projection_1.mean": frozen(mean),
        },
        batches=batches,
        program=program,
        optimizer=SGD(learning_rate=0.25),
        objective=(Term(loss="cross_entropy"),),
        dtype="float32",
        training=True,
        input_gradient=False,
        seed=0,
        realisations={
            name: Realisation(mode, (None,) * len(program), options)
            for name, (mode, options) in REALISATIONS.items()
        },
    ).check()


@lru_cache(maxsize=2)
def trained(backend: str) -> Verdict:
    if not installed(backend):
        pytest.skip(f"{backend} is not installed")
    return judge(seed_case(), backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_network_has_203530_parameters_of_which_2570_are_not_trainable(backend: str) -> None:
    point = trained(backend).evidence.observation.points[-1]
    trainable = sum(a.size for n, a in point.weights.items() if point.flags.get(n))
    assert sum(array.size for array in point.weights.values()) == 203_530
    assert trainable == 200_960


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_projection_keeps_its_bits_over_three_epochs(backend: str) -> None:
    points = trained(backend).evidence.observation.points
    assert len(points) == 1 + EPOCHS * IMAGES // BATCH
    for name in ("projection_1.components", "projection_1.mean"):
        assert same_bits(points[0].weights[name], points[-1].weights[name])
    assert not same_bits(points[0].weights["dense_0.kernel"], points[-1].weights["dense_0.kernel"])


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_first_layers_gradient_is_the_chain_rules_through_the_frozen_one(backend: str) -> None:
    verdict = trained(backend)
    assert not verdict.findings
    assert verdict.measures.elements == EPOCHS * (IMAGES // BATCH) * 200_960
    gradient = verdict.evidence.observation.points[-1].gradients["dense_0.kernel"]
    assert gradient is not None
    assert np.abs(gradient).max() > 1e-3


@pytest.mark.parametrize("backend", BACKENDS)
def test_training_through_the_frozen_layer_lowers_the_loss(backend: str) -> None:
    points = trained(backend).evidence.observation.points
    assert points[-1].loss is not None
    assert points[1].loss is not None
    assert float(points[-1].loss) < 0.5 * float(points[1].loss)
