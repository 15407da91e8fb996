#!/usr/bin/env python3
"""The launches of conv.cu in PyTorch (cuDNN), channels last, replayed as a CUDA graph: the peer that the workbench is measured beside.

  conv_torch.py [--size 512] [--json result.json]

"compiled" is torch.compile of a launch with the GroupNorm and SiLU before it, as the workbench has them; "network" is all of them with
one feeding the next, compiled as a whole. What shares an input is one convolution with the output channels side by side, as PyTorch's
users would write it for speed. f32.network is strict single precision, without TF32; all others
are fp16. The result is written after every group, for compiling them takes minutes.
"""
import argparse, json

import torch
from torch.nn import functional as F


def time_graph(run, rows=20, replays=200, warm_up=20):
    for _ in range(3):
        run()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(rows):
            run()
    samples = []
    for i in range(warm_up + replays):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record(); graph.replay(); end.record(); end.synchronize()
        if i >= warm_up:
            samples.append(begin.elapsed_time(end) * 1e3 / rows)
    return samples


class Network:
    """Backbone, pyramid and heads of profile nano with random weights; the heavy path's features are P3's own."""

    def __init__(self, side, dtype):
        self.side, self.dtype, self.w = side, dtype, {}
        self.image = self.random("image", 1, 3, side, side)

    def random(self, name, *shape):
        if name not in self.w:
            x = torch.randn(*shape, device="cuda") / (shape[1] * shape[2] * shape[3]) ** 0.5 if len(shape) == 4 else torch.randn(*shape, device="cuda")
            self.w[name] = x.to(self.dtype).contiguous(memory_format=torch.channels_last) if len(shape) == 4 else x.to(self.dtype)
        return self.w[name]

    def conv(self, name, x, out, k=3, stride=1, bias=False):
        w = self.random(name, out, x.shape[1], k, k)
        return F.conv2d(x, w, self.random(name + ".bias", out) if bias else None, stride=stride, padding=k // 2)

    def norm(self, name, x, groups=1):
        return F.group_norm(x, groups, self.random(name + ".scale", x.shape[1]), self.random(name + ".shift", x.shape[1]), eps=1e-5)

    def norm_silu(self, name, x, groups=1):
        return F.silu(self.norm(name, x, groups))

    def gated(self, name, y, residual):
        a, b = self.norm(name, y).chunk(2, 1)
        return a * F.relu(b) + residual

    def block(self, name, x):
        return self.gated(name, self.conv(name, x, 2 * x.shape[1], 1, bias=True), x)

    def up(self, x):
        return F.interpolate(x, scale_factor=2, mode="nearest")

    def heads(self, levels):
        out = []
        for i, x in enumerate(levels):
            n = 5 if i == 0 else 3
            w = self.random("heads.first", 5 * 96, 96, 3, 3)
            y = self.norm_silu(f"heads.norm{n}", F.conv2d(x, w if i == 0 else w[:288], padding=1), n)
            parts = list(y.chunk(n, 1))
            for b, (name, channels) in enumerate((("cls", 8), ("box", 4), ("quality", 1), ("prototypes", 32))[:max(3, n - 1)]):
                z = self.norm_silu(name, self.conv(name, parts[b], 96))
                out.append(self.conv(name + ".pred", z, channels, 1, bias=True).float())
            if i == 0:
                out.append(self.conv("semantic.pred", parts[4], 9, 1, bias=True).float())
        return out

    def __call__(self):
        x = self.norm_silu("stem.norm", self.conv("stem", self.image, 64, stride=2))
        x = self.norm_silu("s4.norm", self.conv("s4", x, 64, stride=2))
        p3 = self.block("p3", self.norm_silu("s8.norm", self.conv("s8", x, 64, stride=2)))
        p4 = self.block("p4", self.norm_silu("d4.norm", self.conv("d4", p3, 128, stride=2)))
        p5 = self.block("p5", self.norm_silu("d5.norm", self.conv("d5", p4, 192, stride=2)))
        proxies = self.conv("proxies", self.norm_silu("trunk.norm", self.conv("trunk", p4, 128)), 3, 1, bias=True)
        f5 = self.conv("lateral5", p5, 96, 1)
        f4 = self.conv("lateral4", p4, 96, 1) + self.up(f5)
        f3 = self.conv("lateral3", torch.cat((p3, p3), 1), 96, 1) + self.up(f4)
        f3, f4, f5 = (self.block(f"smooth{i}", f) for i, f in ((3, f3), (4, f4), (5, f5)))
        p6 = self.conv("p6", f5, 96, stride=2)
        projections = self.norm_silu("projection.norm", self.conv("projections", f3, 192, 1), 2)
        return [proxies.float(), projections] + self.heads([f3, f4, f5, p6, self.conv("p7", p6, 96, stride=2)])


def launches(n):
    """Name and function of single launches, with inputs of their own."""
    s = n.side
    at = lambda name, channels, stride: n.random("in." + name, 1, channels, s // stride, s // stride)
    levels = [at(f"level{i}", 96, 8 << i) for i in range(5)]
    hidden = [[n.random(f"in.hidden{i}.{b}", 1, 96, x.shape[2], x.shape[3]) for b in range(5 if i == 0 else 3)] for i, x in enumerate(levels)]
    first = lambda: [F.conv2d(x, n.random("heads.first", 480, 96, 3, 3)[:480 if i == 0 else 288], padding=1) for i, x in enumerate(levels)]
    second = lambda: [n.conv(f"second{b}", n.norm_silu(f"second{b}", x), 96) for h in hidden for b, x in enumerate(h[:4])]
    predict = lambda: [n.conv(f"predict{b}", n.norm_silu(f"predict{b}", x), (8, 4, 1, 32, 9)[b], 1, bias=True).float() for h in hidden for b, x in enumerate(h)]
    down = lambda name, stride: lambda: n.conv(name, n.norm_silu(name, at(name, 64, stride)), 64, stride=2)
    block = lambda name, c, stride: lambda: n.conv(name, n.norm_silu(name, at(name, c, stride)), 2 * c, 1, bias=True)
    apply = lambda name, c, stride: lambda: n.gated(name, at(name, 2 * c, stride), n.norm_silu(name + ".r", at(name + ".r", c, stride)))
    return [("stem", lambda: n.conv("stem", n.image, 64, stride=2)), ("down_s4", down("down_s4", 2)), ("down_s8", down("down_s8", 4)),
            ("p3_block", block("p3_block", 64, 8)), ("p3", apply("p3.apply", 64, 8)), ("p4_block", block("p4_block", 128, 16)),
            ("trunk", lambda: n.conv("trunk", at("trunk", 128, 16), 128)), ("heads.first", first), ("heads.second", second), ("predictions", predict)]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--size", type=int, default=512)
    p.add_argument("--json")
    a = p.parse_args()
    torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32 = True, False
    head = dict(peer=f"torch-{torch.__version__}", cudnn=torch.backends.cudnn.version(), device=torch.cuda.get_device_name(), image_side=a.size)
    results = []

    def measure(group, run, rows):
        torch._dynamo.reset()  # else what is compiled last counts as recompiled, and runs uncompiled
        run()  # makes the weights
        samples = time_graph(torch.compile(lambda: run()), rows)
        p50 = sorted(samples)[len(samples) // 2]
        print(f"{group:18s} compiled  p50 {p50:8.2f} us", flush=True)
        results.append(dict(group=group, variant="compiled", p50_us=p50, samples_us=[round(s, 4) for s in samples]))
        if a.json:
            json.dump(dict(head, results=results), open(a.json, "w"))

    with torch.no_grad():
        half, single = Network(a.size, torch.float16), Network(a.size, torch.float32)
        measure("network", half, 2)
        measure("f32.network", single, 2)
        for group, run in launches(half):
            measure(group, run, 20)


if __name__ == "__main__":
    main()
