#!/usr/bin/env python3
"""The layers of conv3x3.cu in PyTorch (cuDNN), channels last, replayed as a CUDA graph: the peer that the workbench is measured beside.

  conv3x3_torch.py [--size 512] [--json result.json]

What shares an input is one convolution with the output channels side by side, as PyTorch's users would write it for speed. "conv" is the
convolutions alone; "compiled" is torch.compile of the whole layer with GroupNorm and SiLU, as model and workbench have them. The groups
fp32.* are strict single precision, without TF32; all others are fp16.
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


def random(*shape, dtype=torch.float16):
    return torch.randn(*shape, device="cuda").to(dtype).contiguous(memory_format=torch.channels_last)


def norm_silu(x, groups):
    return F.silu(F.group_norm(x, groups, eps=1e-5))


class Heads(torch.nn.Module):
    """Towers on five levels, prototypes and semantic trunk on P3."""

    def __init__(self, side, dtype, c=96):
        super().__init__()
        self.levels = [random(1, c, side // s, side // s, dtype=dtype) for s in (8, 16, 32, 64, 128)]
        self.hidden = [[random(1, c, x.shape[2], x.shape[3], dtype=dtype) for _ in range(4 if i == 0 else 3)] for i, x in enumerate(self.levels)]
        self.first = random(5 * c, c, 3, 3, dtype=dtype) * 0.03
        self.second = [random(c, c, 3, 3, dtype=dtype) * 0.03 for _ in range(4)]

    def conv_first(self):
        return [F.conv2d(x, self.first if i == 0 else self.first[:288], padding=1) for i, x in enumerate(self.levels)]

    def conv_second(self):
        return [F.conv2d(x, self.second[b], padding=1) for level in self.hidden for b, x in enumerate(level)]

    def second_layer(self):
        return [F.conv2d(norm_silu(x, 1), self.second[b], padding=1) for level in self.hidden for b, x in enumerate(level)]

    def both(self):
        out = []
        for i, y in enumerate(self.conv_first()):
            y = norm_silu(y, 5 if i == 0 else 3)
            out += [F.conv2d(part, self.second[b], padding=1) for b, part in enumerate(y.chunk(5 if i == 0 else 3, 1)[:4])]
        return out


def down(side, c=64):
    x, w = random(1, c, side, side), random(c, c, 3, 3) * 0.04
    return (lambda: F.conv2d(x, w, stride=2, padding=1)), (lambda: F.conv2d(norm_silu(x, 1), w, stride=2, padding=1))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--size", type=int, default=512)
    p.add_argument("--json")
    a = p.parse_args()
    torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32 = True, False
    results = []
    with torch.no_grad():
        heads, single = Heads(a.size, torch.float16), Heads(a.size, torch.float32)
        rows = [("heads.first", "conv", heads.conv_first, False), ("heads.second", "conv", heads.conv_second, False),
                ("heads.second", "compiled", heads.second_layer, True), ("heads.both", "compiled", heads.both, True),
                ("fp32.first", "conv", single.conv_first, False), ("fp32.second", "conv", single.conv_second, False),
                ("fp32.second", "compiled", single.second_layer, True)]
        for name, side in (("down_s4", a.size // 2), ("down_s8", a.size // 4)):
            conv, layer = down(side)
            rows += [(name, "conv", conv, False), (name, "compiled", layer, True)]
        for group, variant, run, compiled in rows:
            samples = time_graph(torch.compile(run) if compiled else run)
            p50 = sorted(samples)[len(samples) // 2]
            print(f"{group:22s} {variant:34s} p50 {p50:8.2f} us", flush=True)
            results.append(dict(group=group, variant=variant, p50_us=p50, samples_us=[round(s, 4) for s in samples]))
    if a.json:
        head = dict(peer=f"torch-{torch.__version__}", cudnn=torch.backends.cudnn.version(), device=torch.cuda.get_device_name(),
                    image_side=a.size)
        json.dump(dict(head, results=results), open(a.json, "w"))


if __name__ == "__main__":
    main()
