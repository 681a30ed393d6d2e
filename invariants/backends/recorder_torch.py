# What a rendered torch script calls: it loads the numbers and writes down what happens.
# Needs numpy and torch alone, on any Python from 3.8 on; a repro script holds this text verbatim.
import contextlib
import copy
import warnings

import torch


class Recorder:
    def __init__(self, arrays):
        self.arrays = arrays
        self.points = []
        self.model = None

    def load(self, model):
        self.model = model
        tensors = dict(model.named_parameters())
        tensors.update(model.named_buffers())
        with torch.no_grad():
            for name, array in self.arrays["weights"].items():
                tensors[name].copy_(torch.from_numpy(array.copy()))
        self.snapshot(-1)

    def batch(self, number):
        batch = self.arrays["batches"][number]
        return tuple(torch.from_numpy(array.copy()) for array in batch)

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
                self.points.append({"action": number, "error": (type(error).__name__, str(error))})
        if caught:
            texts = [(w.category.__name__, str(w.message)) for w in caught]
            self.points.append({"action": number, "warnings": texts})

    def draws(self, number, seed, *inputs):
        # What each random layer is about to draw: a copy of the model from the same seed, where
        # ones flow into these layers.
        drawn, twin = {}, copy.deepcopy(self.model)
        for path, module in twin.named_modules():
            is_dropout = isinstance(module, torch.nn.modules.dropout._DropoutNd)
            if is_dropout or type(module).__name__ == "GaussianNoise":  # torch has none itself
                held = drawn.setdefault(path, [])
                module.register_forward_pre_hook(lambda m, xs: tuple(map(torch.ones_like, xs)))
                module.register_forward_hook(lambda m, xs, y, held=held: held.append(self.copy(y)))
        torch.manual_seed(seed)
        with torch.no_grad():
            twin(*inputs)
        self.points.append({"action": number, "draws": drawn})

    def record(self, number, loss, optimizer, inputs=()):
        point = self.snapshot(number)
        parameters = dict(self.model.named_parameters())
        point["loss"] = loss.detach().numpy().copy()
        point["flags"] = {name: p.requires_grad for name, p in parameters.items()}
        point["gradients"] = {name: self.copy(p.grad) for name, p in parameters.items()}
        for i, tensor in inputs:
            point["gradients"]["input_%d" % i] = self.copy(tensor.grad)
        point["slots"] = {}
        for name, p in parameters.items():
            for slot, value in optimizer.state.get(p, {}).items():
                if isinstance(value, torch.Tensor):
                    point["slots"].setdefault(name, {})[slot] = self.copy(value)

    def snapshot(self, number):
        tensors = dict(self.model.named_parameters())
        tensors.update(self.model.named_buffers())
        point = {"action": number, "weights": {n: self.copy(t) for n, t in tensors.items()}}
        self.points.append(point)
        return point

    @staticmethod
    def copy(tensor):
        return None if tensor is None else tensor.detach().cpu().numpy().copy()
