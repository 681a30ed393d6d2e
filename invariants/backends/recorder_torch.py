# What a rendered torch script calls: it loads the numbers and writes down what happens.
# Needs numpy and torch alone, on any Python from 3.8 on; a repro script holds this text verbatim.
import contextlib
import copy
import sys
import traceback
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

    def follow(self, model):
        # Another model from here on, or the same one with other tensors.
        self.model = model

    def note(self, number):
        # An action without gradients.
        point = self.snapshot(number)
        point["flags"] = {name: p.requires_grad for name, p in self.model.named_parameters()}

    def finish(self):
        # What the compiler has cached is of no use to the next script.
        if "torch._dynamo" in sys.modules:
            torch.compiler.reset()

    def batch(self, number):
        batch = self.arrays["batches"][number]
        held = next(self.model.parameters())
        tensors = (torch.from_numpy(array.copy()).to(held.device) for array in batch)
        return tuple(t.to(held.dtype) if t.is_floating_point() else t for t in tensors)

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

    def draws(self, number, seed, *inputs):
        # What each random layer is about to draw: a copy of the model from the same seed, where
        # ones flow into these layers.
        drawn, twin = {}, copy.deepcopy(self.model)
        for path, module in twin.named_modules():
            is_dropout = isinstance(module, torch.nn.modules.dropout._DropoutNd) and module.p > 0.0
            if is_dropout or type(module).__name__ == "GaussianNoise":  # torch has none itself
                held = drawn.setdefault(path, [])
                module.register_forward_pre_hook(lambda m, xs: tuple(map(torch.ones_like, xs)))
                module.register_forward_hook(lambda m, xs, y, held=held: held.append(self.copy(y)))
        torch.manual_seed(seed)
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what the program itself warns of, it does later
            twin(*inputs)
        self.points.append({"action": number, "draws": drawn})

    def record(self, number, loss, optimizer, inputs=(), averaged=None):
        point = self.snapshot(number)
        parameters = dict(self.model.named_parameters())
        point["loss"] = self.copy(loss)
        point["flags"] = {name: p.requires_grad for name, p in parameters.items()}
        point["gradients"] = {name: self.copy(p.grad) for name, p in parameters.items()}
        for i, tensor in inputs:
            point["gradients"]["input_%d" % i] = self.copy(tensor.grad)
        grads = {name: p.grad for name, p in parameters.items()}
        grads.update(("input_%d" % i, tensor.grad) for i, tensor in inputs)
        self.note_bfloat16(point, "gradients", grads)
        point["slots"] = {}
        for name, p in parameters.items():
            for slot, value in optimizer.state.get(p, {}).items():
                if isinstance(value, torch.Tensor):
                    point["slots"].setdefault(name, {})[slot] = self.copy(value)
        if averaged is not None:
            tensors = dict(averaged.named_parameters())
            tensors.update(averaged.named_buffers())
            point["averages"] = {name: self.copy(tensor) for name, tensor in tensors.items()}
            self.note_bfloat16(point, "averages", tensors)

    def snapshot(self, number):
        tensors = dict(self.model.named_parameters())
        tensors.update(self.model.named_buffers())
        point = {"action": number, "weights": {n: self.copy(t) for n, t in tensors.items()}}
        self.note_bfloat16(point, "weights", tensors)
        self.points.append(point)
        return point

    @staticmethod
    def note_bfloat16(point, field, tensors):
        # NumPy has no bfloat16: its numbers are written as float32, and here which ones they are.
        names = [n for n, t in tensors.items() if t is not None and t.dtype == torch.bfloat16]
        point.setdefault("bfloat16", set()).update((field, name) for name in names)

    @staticmethod
    def copy(tensor):
        if tensor is None:
            return None
        wide = tensor.float() if tensor.dtype == torch.bfloat16 else tensor
        return wide.detach().cpu().numpy().copy()
