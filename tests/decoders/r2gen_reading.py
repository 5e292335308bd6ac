"""A reading of R2Gen's and R2GenCMN's models in numpy, by the names of their checkpoints.

Every prefix is read anew, in float64, one study at a time, without held keys. `theirs` gives the name that a tensor of
our decoders has in a checkpoint.
"""

from __future__ import annotations

import numpy as np
from row_case import sigmoid, softmax

PARTS = ("query", "key", "value", "out")
CMN = {"gamma": "a_2", "beta": "b_2"}  # R2GenCMN's names of a plain norm


def theirs(name: str, decoder: str) -> str:
    """The name of a tensor in a checkpoint, without what it begins with."""
    for part in PARTS:
        for ours, other in (("attention", "self_attn"), ("words", "self_attn"), ("image", "src_attn")):
            name = name.replace(f".{ours}.{part}.", f".{other}.linears.{PARTS.index(part)}.")
    name = name.replace(".feed.0.", ".feed_forward.w_1.").replace(".feed.3.", ".feed_forward.w_2.")
    if ".norms." in name:
        where, _, rest = name.partition(".norms.")
        number, _, rest = rest.partition(".")
        plain = CMN.get(rest, rest) if decoder == "r2gen-cmn" else rest
        kind, _, last = plain.partition("_mlp.")
        name = f"{where}.sublayer.{number}.norm.{f'mlp_{kind}.{last}' if last else plain}"
    if decoder == "r2gen-cmn" and ".norm." in name and name.endswith((".gamma", ".beta")):
        where, _, last = name.rpartition(".")
        name = f"{where}.{CMN[last]}"
    if name.startswith("memory.attention") or name.startswith("memory.self_attn"):
        place = "cmn." if decoder == "r2gen-cmn" else "model.rm.attn."
        name = name.replace("memory.self_attn.", place)
    for ours, other in (
        ("image.project.", "att_embed."), ("image.", "model.encoder."), ("words.embedding.", "model.tgt_embed.0.lut."),
        ("words.out.", "logit."), ("words.", "model.decoder."), ("memory.mlp.", "model.rm.mlp."),
        ("memory.word_gates.", "model.rm.W."), ("memory.memory_gates.", "model.rm.U."), ("memory.vectors", "memory_matrix"),
    ):  # fmt: skip
        if name.startswith(ours):
            name = other + name.removeprefix(ours)
            break
    return name


class Reading:
    """The model of a checkpoint's tensors. The three kinds of models are told apart by their memories."""

    def __init__(self, state, heads, memory_heads=0, kept=0, start=0):
        """`start` is the index that begins a row of words."""
        self.w = {name.removeprefix("encoder_decoder."): np.asarray(t, dtype=np.float64) for name, t in state.items()}
        self.heads, self.memory_heads, self.kept, self.start = heads, memory_heads, kept, start
        self.width = self.w["logit.weight"].shape[1]
        self.layers = 1 + max(int(n.split(".")[3]) for n in self.w if n.startswith("model.decoder.layers."))
        self.slots = self._slots()

    def _slots(self):
        joined = self.w.get("model.decoder.layers.0.sublayer.0.norm.mlp_gamma.0.weight")
        return 0 if joined is None else joined.shape[1] // self.width

    def linear(self, x, name):
        return x @ self.w[f"{name}.weight"].T + self.w[f"{name}.bias"]

    def norm(self, x, name, m=None):
        gamma = self.w.get(f"{name}.gamma", self.w.get(f"{name}.a_2"))
        beta = self.w.get(f"{name}.beta", self.w.get(f"{name}.b_2"))
        if m is not None and f"{name}.mlp_gamma.0.weight" in self.w:
            deltas = []
            for mlp in ("mlp_gamma", "mlp_beta"):
                inner = np.maximum(self.linear(m, f"{name}.{mlp}.0"), 0)
                deltas.append(self.linear(inner, f"{name}.{mlp}.2"))
            gamma, beta = gamma + deltas[0], beta + deltas[1]
        mean = x.mean(-1, keepdims=True)
        deviation = np.sqrt(((x - mean) ** 2).sum(-1, keepdims=True) / (x.shape[-1] - 1))
        return gamma * (x - mean) / (deviation + 1e-6) + beta

    def attention(self, x, y, name, heads, causal=False, kept=0):
        """Outputs (T, width) and weights (heads, T, N) of queries x (T, width) over y (N, width)."""
        q, k, v = (self.linear(z, f"{name}.linears.{i}") for i, z in enumerate((x, y, y)))
        d, out, weights = self.width // heads, [], []
        for h in range(heads):
            at = slice(h * d, (h + 1) * d)
            scores = q[:, at] @ k[:, at].T / np.sqrt(d)
            if causal:
                scores[np.triu_indices(len(x), 1)] = -np.inf
            if kept:
                for row in scores:
                    row[np.argsort(row)[:-kept]] = -np.inf
            weights.append(softmax(scores))
            out.append(weights[-1] @ v[:, at])
        return self.linear(np.concatenate(out, 1), f"{name}.linears.3"), np.stack(weights)

    def places(self, count):
        table = np.zeros((count, self.width))
        for p in range(count):
            for i in range(0, self.width, 2):
                rate = 10000 ** (-i / self.width)
                table[p, i], table[p, i + 1] = np.sin(p * rate), np.cos(p * rate)
        return table

    def feed(self, x, name):
        return self.linear(np.maximum(self.linear(x, f"{name}.feed_forward.w_1"), 0), f"{name}.feed_forward.w_2")

    def ask(self, x):
        return self.attention(x, self.w["memory_matrix"], "cmn", self.heads, kept=self.kept)[0]

    def encode(self, tokens):
        x = np.maximum(self.linear(tokens, "att_embed.0"), 0)
        if self.kept:
            x = x + self.ask(x) + self.places(len(x))
        for i in range(self.layers):
            name = f"model.encoder.layers.{i}"
            y = self.norm(x, f"{name}.sublayer.0.norm")
            x = x + self.attention(y, y, f"{name}.self_attn", self.heads)[0]
            x = x + self.feed(self.norm(x, f"{name}.sublayer.1.norm"), name)
        return self.norm(x, "model.encoder.norm")

    def remember(self, words):
        """m_t (T, slots · width) after each of the word vectors (T, width)."""
        memory, rows = np.eye(self.slots, self.width), []
        for y in words:
            z = self.attention(memory, np.vstack([memory, y]), "model.rm.attn", self.memory_heads)[0]  # eq. 6
            inner = np.maximum(self.linear(z + memory, "model.rm.mlp.0"), 0)
            candidate = np.maximum(self.linear(inner, "model.rm.mlp.2"), 0) + z + memory  # eq. 7
            gates = self.linear(y, "model.rm.W") + self.linear(np.tanh(memory), "model.rm.U")  # eq. 8-9
            enter, stay = sigmoid(gates[:, : self.width]), sigmoid(gates[:, self.width :])
            memory = stay * memory + enter * np.tanh(candidate)  # eq. 10
            rows.append(memory.reshape(-1))
        return np.stack(rows)

    def of(self, tokens):
        """A function from a prefix to the distribution after each of its words, and the mean attention of each."""
        image = self.encode(tokens)

        def run(prefix):
            ids = [self.start, *prefix]
            x = self.w["model.tgt_embed.0.lut.weight"][ids] * np.sqrt(self.width) + self.places(len(ids))
            m = self.remember(x) if self.slots else None
            if self.kept:
                x = x + self.ask(x)
            looks = []
            for i in range(self.layers):
                name = f"model.decoder.layers.{i}"
                y = self.norm(x, f"{name}.sublayer.0.norm", m)
                x = x + self.attention(y, y, f"{name}.self_attn", self.heads, causal=True)[0]
                y = self.norm(x, f"{name}.sublayer.1.norm", m)
                seen, weights = self.attention(y, image, f"{name}.src_attn", self.heads)
                looks.append(weights.mean(0))
                x = x + seen
                x = x + self.feed(self.norm(x, f"{name}.sublayer.2.norm", m), name)
            return softmax(self.linear(self.norm(x, "model.decoder.norm"), "logit")), np.stack(looks).mean(0)

        return run
