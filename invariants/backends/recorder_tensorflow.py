# What a rendered Keras script calls: it loads the numbers and writes down what happens.
# Needs numpy and tensorflow alone, on any Python from 3.8 on; a repro script holds this text
# verbatim.
import contextlib
import re
import traceback
import warnings

import keras
import tensorflow as tf

KERAS_2 = keras.__version__.startswith("2.")


def named_layers(model, prefix=""):
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from named_layers(layer, prefix + layer.name + ".")
        else:
            yield prefix + layer.name, layer


def names_within(layer):
    # Below the layer's own name: "kernel", or "cell/kernel" where a layer holds others.
    if KERAS_2:
        paths = paths_within(layer)
        return [paths[id(weight)] for weight in layer.weights]
    return [weight.path.rpartition(layer.name + "/")[2] for weight in layer.weights]


def paths_within(layer):
    # In Keras 2 the name of a weight is no path to it where a layer has built another by hand, and
    # the cell of a recurrent layer is numbered.
    own = layer._trainable_weights + layer._non_trainable_weights
    paths = {id(w): w.name.rpartition("/")[2].partition(":")[0] for w in own}
    if isinstance(layer, (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)):
        paths = {key: path.replace("depthwise_kernel", "kernel") for key, path in paths.items()}
    for part in layer._flatten_layers(recursive=False, include_self=False):
        name = re.sub(r"_cell_\d+$", "_cell", part.name)
        paths.update((key, name + "/" + path) for key, path in paths_within(part).items())
    return paths


def generator_of(layer):
    # What a layer draws from, None where it does not draw. In Keras 2 recurrent layers have one
    # for their own dropout, which is not asked for here.
    if not KERAS_2:
        return getattr(layer, "seed_generator", None)
    if isinstance(layer, keras.layers.RNN) or not hasattr(layer, "_random_generator"):
        return None
    return layer._random_generator._generator


def owners_of_slots(optimizer, weights):
    # The weights that an optimizer was built with, in its order.
    if hasattr(optimizer, "_trainable_variables"):
        return optimizer._trainable_variables if optimizer.built else []
    places = getattr(optimizer, "_index_dict", {})  # Keras 2, by its key of a variable
    held = {places.get(optimizer._var_key(weight)): weight for weight in weights}
    return [held[place] for place in range(len(places))]


class Recorder:
    def __init__(self, arrays):
        self.arrays = arrays
        self.points = []
        self.model = None
        self.within = {}

    def load(self, model):
        self.follow(model)
        for name, array in self.arrays["weights"].items():
            self.weights[name].assign(array)
        self.snapshot(-1)

    def follow(self, model):
        # Another model from here on.
        self.model = model
        self.weights = {}
        for path, layer in named_layers(model):
            names = names_within(layer)
            if not KERAS_2:
                # Made from its config, a stack of cells has other names, in the same order. In
                # Keras 2 it has the same, and an order by what is trainable.
                names = self.within.setdefault(path, names)
            self.weights.update((path + "." + n, w) for n, w in zip(names, layer.weights))
        self.names = {id(weight): name for name, weight in self.weights.items()}

    def note(self, number):
        # An action without gradients.
        point = self.snapshot(number)
        point["flags"] = self.flags()

    def flags(self):
        if not KERAS_2:
            return {name: bool(w.trainable) for name, w in self.weights.items()}
        # In Keras 2 a variable is trainable for good, and its layer says whether it is trained.
        layers = (layer for _, layer in named_layers(self.model))
        trained = {id(weight) for layer in layers for weight in layer.trainable_weights}
        return {name: id(w) in trained for name, w in self.weights.items()}

    def finish(self):
        pass

    def batch(self, number):
        batch = self.arrays["batches"][number]
        dtype = self.arrays["dtype"]
        tensors = (tf.constant(array) for array in batch)
        return tuple(tf.cast(t, dtype) if t.dtype.is_floating else t for t in tensors)

    @contextlib.contextmanager
    def action(self, number):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            # Python itself hides these two from everyone but the authors of libraries.
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", PendingDeprecationWarning)
            try:
                yield
            except Exception as error:
                self.failed(number, error)
        if caught:
            texts = [(w.category.__name__, str(w.message)) for w in caught]
            self.points.append({"action": number, "warnings": texts})

    def failed(self, number, error):
        frames = traceback.extract_tb(error.__traceback__)
        point = {"action": number, "error": (type(error).__name__, str(error))}
        point["frames"] = [(frame.filename, frame.name, frame.line) for frame in frames]
        self.points.append(point)

    def draws(self, number, size):
        # What each random layer is about to draw: its output for ones. A layer of Keras draws from
        # a counter of its own, which is put back.
        drawn = {}
        for path, layer in named_layers(self.model):
            generator = generator_of(layer)
            if generator is not None:
                state = generator.state
                before = state.numpy()
                ones = tf.ones((size, *layer.input.shape[1:]), layer.compute_dtype)
                drawn[path] = [layer(ones, training=True).numpy()]
                state.assign(before)
        self.points.append({"action": number, "draws": drawn})

    def record(self, number, loss, optimizer, variables, gradients, inputs=()):
        point = self.snapshot(number)
        point["loss"] = loss.numpy()
        point["flags"] = self.flags()
        point["gradients"] = dict.fromkeys(self.weights)
        for variable, gradient in zip(variables, gradients):
            point["gradients"][self.names[id(variable)]] = self.copy(gradient)
        for i, gradient in inputs:
            point["gradients"]["input_%d" % i] = self.copy(gradient)
        self.note_slots(point, optimizer)

    def trained(self, number, optimizer):
        # A step of a model that trains by itself, and shows no gradient.
        self.note(number)
        self.note_slots(self.points[-1], optimizer)

    def note_slots(self, point, optimizer):
        # The averages of an optimizer are slots like any others, but for what they are for.
        point["slots"] = self.slots(optimizer)
        average = "model_variables_moving_average"
        held = {n: s.pop(average) for n, s in point["slots"].items() if average in s}
        point["slots"] = {name: slots for name, slots in point["slots"].items() if slots}
        point["averages"] = held

    def slots(self, optimizer):
        # Keras keeps one list for each kind of slot, parallel to the weights it was built with.
        # One that scales the loss has the one that steps inside.
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        owners = owners_of_slots(optimizer, self.weights.values())
        slots = {self.names[id(owner)]: {} for owner in owners}
        for kind, values in vars(optimizer).items():
            if kind in ("_trainable_variables", "_variables") or not isinstance(values, list):
                continue  # the weights themselves; the optimizer's own, its count of steps first
            if len(values) == len(owners) and any(hasattr(v, "assign") for v in values):
                for owner, value in zip(owners, values):
                    if value is not None:
                        slots[self.names[id(owner)]][kind.strip("_")] = self.copy(value)
        return {name: held for name, held in slots.items() if held}

    def snapshot(self, number):
        point = {
            "action": number,
            "weights": {name: w.numpy() for name, w in self.weights.items()},
        }
        self.points.append(point)
        return point

    @staticmethod
    def copy(tensor):
        if tensor is None:
            return None
        if isinstance(tensor, tf.IndexedSlices):
            tensor = tf.convert_to_tensor(tensor)
        return tensor.numpy() if hasattr(tensor, "numpy") else tf.convert_to_tensor(tensor).numpy()
