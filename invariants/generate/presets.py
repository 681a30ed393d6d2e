"""Networks of the shapes that people fine-tune, at small width; what is free in them is drawn."""

from __future__ import annotations

from collections.abc import Callable

from invariants.architecture.layers.activations import Gelu, Relu
from invariants.architecture.layers.attention import CrossAttention, MultiHeadAttention
from invariants.architecture.layers.base import Spec
from invariants.architecture.layers.convolution import Conv2D
from invariants.architecture.layers.dense import Dense
from invariants.architecture.layers.depthwise import DepthwiseConv2D
from invariants.architecture.layers.embedding import PositionalEmbedding
from invariants.architecture.layers.grouping import InstanceNorm
from invariants.architecture.layers.normalization import BatchNorm, Dropout, LayerNorm
from invariants.architecture.layers.piecewise import Relu6
from invariants.architecture.layers.pooling import GlobalAvgPool2D, MaxPool2D
from invariants.architecture.layers.prompting import PromptTokens
from invariants.architecture.layers.recurrent import LSTM, BidirectionalLSTM
from invariants.architecture.layers.resizing import UpSampling2D
from invariants.architecture.layers.shaping import Add, Concatenate, Embedding, Flatten, Reshape
from invariants.architecture.layers.transformers import TransformerEncoder
from invariants.generate.choice import Drawn
from invariants.generate.growing import Growing


def _conv(filters: int, size: int = 3) -> Conv2D:
    return Conv2D(filters=filters, kernel_size=(size, size), padding="same")


def mlp(choice: Drawn) -> Growing:
    """Dense layers with an activation and, at times, dropout."""
    net = Growing(choice, [Spec((choice.integer(3, 6),))], 0)
    for _ in range(choice.integer(2, 4)):
        net.chain(Dense(units=choice.integer(3, 6)), Relu())
        if choice.chance(4):
            net.chain(Dropout())
    return net


def resnet(choice: Drawn) -> Growing:
    """A stem and one or two residual blocks (He et al. 2016, arXiv 1512.03385)."""
    filters = choice.integer(2, 3)
    net = Growing(choice, [Spec((3, 3, choice.integer(1, 2)))], 0)
    net.chain(_conv(filters), BatchNorm(), Relu())

    def block(inner: Growing) -> None:
        inner.chain(_conv(filters), BatchNorm(), Relu(), _conv(filters), BatchNorm())
        inner.add_layer(Add(), [0, inner.latest])
        inner.chain(Relu())

    for _ in range(choice.integer(1, 2)):
        net.submodule(block, [net.latest])
    net.chain(GlobalAvgPool2D())
    return net


def vgg(choice: Drawn) -> Growing:
    """Pairs of convolutions and max pooling (Simonyan & Zisserman 2015, arXiv 1409.1556)."""
    net = Growing(choice, [Spec((4, 4, choice.integer(1, 2)))], 0)
    for filters in (2, 3):
        net.chain(_conv(filters), Relu(), _conv(filters), Relu(), MaxPool2D())
    net.chain(Flatten(), Dense(units=choice.integer(2, 4)), Relu())
    return net


def unet(choice: Drawn) -> Growing:
    """Down, up, and a connection across (Ronneberger et al. 2015, arXiv 1505.04597)."""
    filters = choice.integer(1, 2)
    net = Growing(choice, [Spec((4, 4, 1))], 0)
    across = net.chain(_conv(filters), Relu())
    net.chain(MaxPool2D(), _conv(2 * filters), Relu(), UpSampling2D())
    net.add_layer(Concatenate(), [across, net.latest])
    net.chain(_conv(filters), Relu(), _conv(choice.integer(1, 3), 1))
    return net


def mobilenet(choice: Drawn) -> Growing:
    """Inverted residuals (Sandler et al. 2018, arXiv 1801.04381)."""
    net = Growing(choice, [Spec((3, 3, 2))], 0)

    def block(inner: Growing) -> None:
        inner.chain(_conv(4, 1), BatchNorm(), Relu6())
        inner.chain(DepthwiseConv2D(kernel_size=(3, 3), padding="same"), BatchNorm(), Relu6())
        inner.chain(_conv(2, 1), BatchNorm())
        inner.add_layer(Add(), [0, inner.latest])

    for _ in range(choice.integer(1, 2)):
        net.submodule(block, [net.latest])
    net.chain(GlobalAvgPool2D())
    return net


def crnn(choice: Drawn) -> Growing:
    """A convolution, its positions read in turn by a recurrent layer (arXiv 1507.05717)."""
    rows, columns, filters = choice.integer(2, 3), 2, choice.integer(1, 2)
    net = Growing(choice, [Spec((rows, columns, 1))], 0)
    biases = choice.one_of(choice.offered("recurrent_biases"))
    norms = (BatchNorm(), InstanceNorm(), InstanceNorm())
    net.chain(
        _conv(filters),
        choice.one_of(norms),
        Reshape(shape=(rows * columns, filters)),
        choice.one_of((LSTM(units=2, biases=biases), BidirectionalLSTM(units=2, biases=biases))),
    )
    return net


def lstm_tagger(choice: Drawn) -> Growing:
    """An embedding and a bidirectional LSTM over all steps (arXiv 1508.01991)."""
    words = Spec((choice.integer(2, 4),), vocabulary=choice.integer(3, 6))
    net = Growing(choice, [words], 0)
    biases = choice.one_of(choice.offered("recurrent_biases"))
    net.chain(
        Embedding(features=choice.integer(2, 3)),
        BidirectionalLSTM(units=2, biases=biases, return_sequences=True),
    )
    return net


def encoder(choice: Drawn) -> Growing:
    """Embedded words and encoder blocks (Vaswani et al. 2017, arXiv 1706.03762)."""
    net = Growing(choice, [Spec((choice.integer(2, 4),), vocabulary=5)], 0)
    net.chain(Embedding(features=4), PositionalEmbedding())
    for _ in range(choice.integer(1, 2)):
        net.chain(TransformerEncoder(heads=2, key_size=2, hidden=4, norm_first=choice.boolean()))
    return net


def decoder(choice: Drawn) -> Growing:
    """A decoder block over a memory: causal attention, attention across, two dense layers."""
    features = 2 * choice.integer(1, 2)
    steps, memory = choice.integer(2, 3), Spec((choice.integer(2, 3), 3))
    net = Growing(choice, [Spec((steps, features)), memory], 0)

    def block(inner: Growing) -> None:
        def normed_sum(before: int) -> int:
            inner.add_layer(Add(), [before, inner.latest])
            return inner.chain(LayerNorm())

        inner.add_layer(MultiHeadAttention(heads=2, key_size=2, use_bias=True, causal=True), [0])
        attended = normed_sum(0)
        inner.add_layer(
            CrossAttention(heads=2, key_size=2, value_size=2, use_bias=True), [attended, 1]
        )
        crossed = normed_sum(attended)
        inner.chain(Dense(units=4), Gelu(), Dense(units=features))
        normed_sum(crossed)

    net.submodule(block, [0, 1])
    return net


def autoencoder(choice: Drawn) -> Growing:
    """Down to a few features and back."""
    features = choice.integer(4, 6)
    net = Growing(choice, [Spec((features,))], 0)
    net.submodule(lambda inner: inner.chain(Dense(units=4), Relu(), Dense(units=2)), [0])
    net.submodule(
        lambda inner: inner.chain(Dense(units=4), Relu(), Dense(units=features)), [net.latest]
    )
    return net


def vit(choice: Drawn) -> Growing:
    """Patches, a class token, encoder blocks (Dosovitskiy et al. 2021, arXiv 2010.11929)."""
    net = Growing(choice, [Spec((4, 4, choice.integer(1, 2)))], 0)
    net.chain(
        Conv2D(filters=4, kernel_size=(2, 2), strides=(2, 2)),
        Reshape(shape=(4, 4)),
        PromptTokens(count=1),
        PositionalEmbedding(),
    )
    for _ in range(choice.integer(1, 2)):
        net.chain(TransformerEncoder(heads=2, key_size=2, hidden=4, norm_first=True))
    net.chain(LayerNorm())
    return net


#: The simplest first.
PRESETS: dict[str, Callable[[Drawn], Growing]] = {
    "mlp": mlp,
    "autoencoder": autoencoder,
    "vgg": vgg,
    "resnet": resnet,
    "unet": unet,
    "mobilenet": mobilenet,
    "crnn": crnn,
    "lstm_tagger": lstm_tagger,
    "encoder": encoder,
    "decoder": decoder,
    "vit": vit,
}
