#!/usr/bin/env python3
"""Emulated precisions, computed a second time: the golden case nano-512 in float32 PyTorch with casts at the points of ROUNDING.md.

  recompute.py WEIGHTS FP32 DUMP EVIDENCE     (DUMP and FP32: files of main.go beside this script, in the precision and in fp32)

Forced: every step is fed the values of DUMP. What PyTorch computes is compared with the value before its rounding, and PyTorch's cast of
that value with the value after it, bit for bit. Free: PyTorch computes everything but the choice of tiles and boxes, which it takes from
DUMP. The results go to the JSON file EVIDENCE. float16 and bfloat16 are PyTorch's casts; TF32, which it cannot cast to, is rounded on the bits.
"""
import json
import struct
import sys

import torch
from torch.nn import functional as F

LEVELS = ("P3", "P4", "P5", "P6", "P7")


def read(path):
    raw = open(path, "rb").read()
    n = struct.unpack("<Q", raw[:8])[0]
    out = {}
    for name, t in json.loads(raw[8:8 + n]).items():
        if name == "__metadata__":
            out[name] = t
            continue
        a, b = t["data_offsets"]
        kind = {"F32": torch.float32, "I64": torch.int64}[t["dtype"]]
        count = (b - a) // (4 if t["dtype"] == "F32" else 8)
        out[name] = torch.frombuffer(raw, dtype=kind, count=count, offset=8 + n + a).reshape(t["shape"]) if count else torch.empty(t["shape"], dtype=kind)
    return out


def to_tf32(x):
    """Nearest number of 10 mantissa bits, halves to even; finite numbers of any size."""
    bits = x.contiguous().view(torch.int32)
    return ((bits + 0xFFF + ((bits >> 13) & 1)) & ~0x1FFF).view(torch.float32)


CASTS = {"fp32": lambda x: x, "tf32": to_tf32, "fp16": lambda x: x.half().float(), "bf16": lambda x: x.bfloat16().float()}


def hilbert(ids, side):
    """Ids (row-major in a square of a power of two) along the Hilbert curve."""
    def distance(i):
        y, x, d, s = i // side, i % side, 0, side // 2
        while s:
            rx, ry = int(x & s > 0), int(y & s > 0)
            d += s * s * ((3 * rx) ^ ry)
            if ry == 0:
                if rx == 1:
                    x, y = side - 1 - x, side - 1 - y
                x, y = y, x
            s //= 2
        return d
    return sorted(ids, key=distance)


class Net:
    def __init__(self, weights, dump, precision, forced):
        self.w, self.dump, self.p, self.forced = weights, dump, precision, forced
        self.cast, self.narrow = CASTS[precision], precision in ("fp16", "bf16")
        self.seen, self.elements, self.unequal, self.before = set(), 0, 0, {}

    def compare(self, name, ours, theirs):
        self.before[name] = float((ours - theirs).abs().max() / theirs.abs().max().clamp(min=1e-30))

    def check_cast(self, name, before, after):
        if name in self.seen:  # read by another product
            return
        cast = self.cast(before)
        self.seen.add(name)
        self.elements += cast.numel()
        self.unequal += int((cast.view(torch.int32) != after.reshape(cast.shape).contiguous().view(torch.int32)).sum())

    def stored(self, name, x):
        """A value in memory: in fp16 and bf16 in the format."""
        if not self.forced:
            return self.cast(x) if self.narrow else x
        if not self.narrow:
            theirs = self.dump.get("tap." + name)
            if theirs is None:
                return x
            self.compare(name, x, theirs.reshape(x.shape))
            return theirs.reshape(x.shape)
        before, after = self.dump[f"tap.{name}.unrounded"].reshape(x.shape), self.dump["tap." + name].reshape(x.shape)
        self.compare(name, x, before)
        self.check_cast(name, before, after)
        return after

    def operand(self, name, x):
        """An operand of a product that lies in memory: in tf32 it is narrowed when it is read."""
        if self.p != "tf32":
            return x
        if self.forced:
            before = self.dump.get("tap." + name, self.dump["image"]).reshape(x.shape)
            self.compare(name, x, before)
            self.check_cast(name, before, self.dump[f"tap.{name}.tf32"])
            x = before
        return self.cast(x)

    def conv(self, name, key, x, reads, stride=1, groups=1):
        w, plain = self.w[key + ".weight"], self.p == "tf32" and groups > 1  # depthwise is no matrix product
        x, w = (x, w) if plain else (self.operand(reads, x), self.cast(w))
        return F.conv2d(x, w, self.w.get(key + ".bias"), stride, w.shape[-1] // 2, 1, groups)

    def gemm(self, key, x, reads):
        return F.linear(self.operand(reads, x), self.cast(self.w[key + ".weight"]), self.w[key + ".bias"])

    def norm(self, key, x):
        return F.group_norm(x, 1, self.w[key + ".weight"], self.w[key + ".bias"], 1e-5)

    def block(self, p, i, x, reads, stride=1, suffix=""):
        y = self.stored(f"{p}.{i}{suffix}", self.conv("", f"{p}.{i}", x, reads, stride))
        return self.stored(f"{p}.{i + 1}.silu{suffix}", F.silu(self.norm(f"{p}.{i + 1}", y)))

    def gated(self, y):
        a, b = y.chunk(2, 1)
        return a * F.relu(b)

    def cheap(self, name, p, x, reads):
        y = self.gated(self.norm(p + ".norm", self.stored(p + ".conv", self.conv("", p + ".conv", x, reads))))
        if p + ".residual_proj.weight" in self.w:
            x = self.conv("", p + ".residual_proj", x, reads)
        return self.stored(name, y + x)

    def scan(self, p, x):
        w = self.w
        d = 1e-3 + (0.999 - 1e-3) * torch.sigmoid(w[p + ".decay_logit"])
        gain = lambda n: F.softplus(w[f"{p}.{n}_raw"]) + 1e-6
        s, out = torch.zeros_like(x[0]), []
        for token in x:
            s = d * s + (1 - d) * (gain("input_gain") * token.clamp(-1e4, 1e4) + w[p + ".state_bias"])
            out.append(gain("output_gain") * s)
        return torch.stack(out)

    def heavy(self, p, x, ids, tile, gates):
        c, side = x.shape[1], x.shape[2] // tile
        cut = lambda i: (slice(None), slice(i // side * tile, (i // side + 1) * tile), slice(i % side * tile, (i % side + 1) * tile))
        packed = torch.stack([x[0][cut(i)] for i in ids])
        tokens, s = packed.mean((2, 3)), p + ".scan_bidirectional"
        gate = torch.sigmoid(self.w[s + ".merge_gate_logit"])
        mixed = gate * self.scan(s + ".forward_scan", tokens) + (1 - gate) * self.scan(s + ".backward_scan", tokens.flip(0)).flip(0)
        f = p + ".film"
        rows = F.layer_norm(mixed.clamp(-1e4, 1e4), (c,), self.w[f + ".token_norm.weight"], self.w[f + ".token_norm.bias"], 1e-5)
        hidden = F.silu(self.gemm(f + ".mlp.0", self.stored(f + ".token_norm", rows), f + ".token_norm"))
        gamma, beta = self.gemm(f + ".mlp.2", self.stored(f + ".silu", hidden), f + ".silu").chunk(2, 1)
        tiles = self.stored(f + ".modulated", (1 + torch.tanh(gamma))[..., None, None] * packed + beta[..., None, None])
        r = p + ".refine"
        y = self.stored(r + ".depthwise", self.conv("", r + ".depthwise", tiles, "", groups=c))
        y = self.stored(r + ".pointwise", self.conv("", r + ".pointwise", y, r + ".depthwise"))
        refined = self.stored(r, self.gated(self.norm(r + ".norm", y)) + tiles)
        merged, g = x.clone(), p + ".fusion_gate"
        for i, t in zip(ids, refined):
            merged[0][cut(i)] = t
        weight = lambda n: F.softplus(self.w[f"{g}.{n}_log_weight"])
        alpha = torch.sigmoid(weight("boundary") * gates[0] + weight("uncertainty") * gates[1] + self.w[g + ".bias"])
        return self.stored(p + ".unpack", x + alpha * (merged - x))

    def router(self, proxies):
        v = []
        for m in proxies:
            m = m.reshape(4, m.shape[2] // 4, 4, m.shape[3] // 4).permute(0, 2, 1, 3).reshape(16, -1)
            v += [m.mean(1), m.amax(1), m.var(1, unbiased=False)]
        linear = lambda n, x: F.linear(x, self.w[n + ".weight"], self.w[n + ".bias"])
        h = F.relu(linear("router.backbone.2", F.relu(linear("router.backbone.0", torch.stack(v, 1)))))
        return linear("router.head_u", h).reshape(1, -1), linear("router.head_s", h).reshape(1, -1)

    def mlp(self, p, x, reads):
        h = F.silu(self.gemm(p + ".0", x, reads))
        return self.gemm(p + ".2", self.stored(p + ".silu", h), p + ".silu")

    def pool(self, name, x, boxes):
        scale, rows = x.shape[2] / 512, []
        for b in boxes:
            x1, x2 = sorted((float(b[0]), float(b[2])))
            y1, y2 = sorted((float(b[1]), float(b[3])))
            span = lambda lo, hi: (int(max(0, lo * scale)), min(x.shape[2], -int(-(hi * scale) // 1)))
            (c0, c1), (r0, r1) = span(x1, x2), span(y1, y2)
            rows.append(x[0, :, r0:r1, c0:c1].mean((1, 2)) if r1 > r0 and c1 > c0 else torch.zeros(x.shape[1]))
        return self.stored(name, torch.stack(rows))

    def run(self):
        d, out, bb = self.dump, {}, "pv.backbone."
        image = d["image"]
        if self.narrow and self.forced:
            self.check_cast("image", image, d[f"tap.image.{self.p}"])
        x = self.block(bb + "stem", 0, self.cast(image) if self.narrow else image, "image", 2)
        x = self.block(bb + "down_s4", 0, x, bb + "stem.1.silu", 2)
        x = self.block(bb + "down_s8", 0, x, bb + "down_s4.1.silu", 2)
        p3 = self.cheap("pv.P3", bb + "p3_block", x, bb + "down_s8.1.silu")
        p4 = self.cheap("pv.P4", bb + "p4_block", self.block(bb + "down_p4", 0, p3, "pv.P3", 2), bb + "down_p4.1.silu")
        p5 = self.cheap("pv.P5", bb + "p5_block", self.block(bb + "down_p5", 0, p4, "pv.P4", 2), bb + "down_p5.1.silu")
        h = "pv.coarse_heads."
        trunk = self.block(h + "trunk", 0, p4, "pv.P4")
        head = lambda n: self.conv("", f"{h}{n}_head", trunk, h + "trunk.1.silu")
        objectness, boundary = torch.sigmoid(head("objectness")), torch.sigmoid(head("boundary"))
        uncertainty = 4 * objectness * (1 - objectness)
        out["utilities"], out["split_utilities"] = self.router((boundary, objectness, uncertainty, F.softplus(head("variance"))))

        gates = [F.interpolate(g, size=p3.shape[2:], mode="bilinear", align_corners=False) for g in (boundary, uncertainty)]
        chosen = [[int(i) for i in d[f"tiles_l{n}"][0] if i >= 0] for n in (0, 1)]
        heavy = self.heavy("ff.l0_path", p3, hilbert(chosen[0], 4), 16, gates)
        heavy = self.heavy("ff.l1_path", heavy, chosen[1], 8, gates)
        lateral = lambda n, x, reads: self.conv("", f"fpn.{n}_lateral", x, reads)
        near = lambda a, like: F.interpolate(a, size=like.shape[2:], mode="nearest")
        t5 = self.stored("fpn.p5_lateral", lateral("p5", p5, "pv.P5"))
        t4 = self.stored("fpn.p4_sum", lateral("p4", p4, "pv.P4") + near(t5, p4))
        t3 = self.stored("fpn.p3_ff_sum", lateral("p3", p3, "pv.P3") + near(t4, p3) + lateral("ff", heavy, "ff.l1_path.unpack"))
        pyramid = [self.cheap(f"fpn.P{n}", f"fpn.p{n}_smooth", t, reads) for n, t, reads in ((3, t3, "fpn.p3_ff_sum"), (4, t4, "fpn.p4_sum"), (5, t5, "fpn.p5_lateral"))]
        names = [f"fpn.P{n}" for n in (3, 4, 5)]
        for n, reads in (("det_head.p6_from_p5", names[2]), ("det_head.p7_from_p6", "det_head.p6_from_p5")):
            pyramid.append(self.stored(n, self.conv("", n, pyramid[-1], reads, 2)))
            names.append(n)
        for kind in ("cls", "box", "quality"):
            t = f"det_head.{kind}_tower"
            for level, x, reads in zip(LEVELS, pyramid, names):
                y = self.block(t, 0, x, reads, suffix="." + level)
                y = self.block(t, 3, y, f"{t}.1.silu.{level}", suffix="." + level)
                out[f"det.{kind}.{level}"] = self.conv("", f"det_head.{kind}_pred", y, f"{t}.4.silu.{level}")

        f3, reads, boxes = pyramid[0], names[0], d["boxes"][0]
        out["semantic_logits"] = self.conv("", "sem_head.pred", self.block("sem_head.trunk", 0, f3, reads), "sem_head.trunk.1.silu")
        t = "track_head."
        y = self.pool("track.pooled", self.block(t + "feature_proj", 0, f3, reads), boxes)
        y = self.mlp(t + "embedding_mlp", y, t + "embedding_mlp.rows")
        out["embeddings"] = (y / y.norm(dim=1, keepdim=True).clamp(min=1e-6))[None]
        s = "inst_seg_head."
        y = self.block(s + "proto_trunk", 3, self.block(s + "proto_trunk", 0, f3, reads), s + "proto_trunk.1.silu")
        prototypes = self.stored("seg.prototypes", self.conv("", s + "proto_pred", y, s + "proto_trunk.4.silu"))
        y = self.pool(s + "coeff_pool", self.stored(s + "coeff_source", self.conv("", s + "coeff_source", f3, reads)), boxes)
        y = self.stored(s + "coeff_mlp.2", self.mlp(s + "coeff_mlp", y, s + "coeff_mlp.rows"))
        low = self.operand("seg.coefficients", y) @ self.operand(s + "prototypes.flat", prototypes.flatten(2)[0])
        signal = torch.tanh(F.interpolate(heavy.mean(1, keepdim=True), size=(128, 128), mode="bilinear", align_corners=False))
        active = torch.zeros_like(signal)
        for i in chosen[0]:
            at = (Ellipsis, slice(i // 4 * 32, i // 4 * 32 + 32), slice(i % 4 * 32, i % 4 * 32 + 32))
            active[at] = signal[at]
        masks = F.interpolate(low.reshape(1, -1, 64, 64), size=(128, 128), mode="bilinear", align_corners=False)
        masks = masks + F.softplus(self.w[s + "ff_refine_hook.log_strength"]) * active
        out["mask_logits"] = torch.where(d["mask_logits"] == -20, torch.tensor(-20.0), masks)
        out["ff.heavy_features"], out["seg.prototypes"] = heavy, prototypes
        return out


def points(dump, precision):
    """The names of all values that DUMP has before and after a rounding."""
    if precision == "tf32":
        return {n[4:-5] for n in dump if n.endswith(".tf32")}
    return {n[4:-10] for n in dump if n.endswith(".unrounded")} | {"image"}


def short(x):
    return float(f"{float(x):.3g}")


def main(weights, fp32, path, evidence):
    w, single, dump = read(weights), read(fp32), read(path)
    precision = dump["__metadata__"]["precision"]
    forced = Net(w, dump, precision, True)
    outputs = forced.run()
    find = lambda file, name: file.get(name, file.get("tap." + name))
    for name, v in outputs.items():
        forced.compare(name, v, find(dump, name))
    missing = points(dump, precision) - forced.seen
    assert not missing, f"points that were not compared: {sorted(missing)}"
    free, rms = {}, lambda x: short(x.double().pow(2).mean().sqrt())
    for name, v in Net(w, dump, precision, False).run().items():
        theirs, full = find(dump, name), find(single, name)
        free[name] = dict(max_abs=short((v - theirs).abs().max()), rms=rms(v - theirs))
        if name not in ("embeddings", "mask_logits"):  # of which fp32 has those of other boxes
            free[name].update(max_abs_of_precision=short((theirs - full).abs().max()), rms_of_precision=rms(theirs - full))
    worst = max(forced.before, key=forced.before.get)
    result = dict(case="nano-512", precision=precision, torch=torch.__version__, forced=dict(
        rounded_values=len(forced.seen), rounded_elements=forced.elements, bits_that_differ_after_rounding=forced.unequal,
        largest_difference_before_rounding=dict(value=worst, relative_to_largest_magnitude=short(forced.before[worst]))), free=free)
    with open(evidence, "w") as f:
        json.dump(result, f, indent=2)
        f.write("\n")


if __name__ == "__main__":
    with torch.no_grad():
        main(*sys.argv[1:])
