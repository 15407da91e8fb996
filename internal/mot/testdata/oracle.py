"""Makes oracle.json: synthetic sequences and what TrackEval and py-motmetrics say of them.

    python3 -m venv venv && venv/bin/pip install trackeval==1.0.0 motmetrics==1.4.0 "numpy<2"
    venv/bin/python oracle.py > oracle.json

Every number that both tools have is compared here. They differ in one rule: py-motmetrics holds on to the last match of an
object however long ago it was, TrackEval to that of the frame before; where that changes MOTA, motmetrics' own is noted.
"""
import importlib.metadata as metadata
import json
import random
import sys

import motmetrics
import numpy as np
from trackeval.datasets._base_dataset import _BaseDataset
from trackeval.metrics import CLEAR, HOTA, Identity


def walk(r, frames, objects, drop, swap, noise, ghosts):
    """Objects that walk, and a result that loses, swaps, moves and invents boxes."""
    truth, result = [], []
    where = [[r.uniform(0, 300), r.uniform(0, 300), r.uniform(20, 60), r.uniform(20, 60)] for _ in range(objects)]
    speed = [[r.uniform(-6, 6), r.uniform(-6, 6)] for _ in range(objects)]
    names = list(range(1, objects + 1))
    fresh = objects + 1
    for frame in range(1, frames + 1):
        if objects > 1 and r.random() < swap:
            i, j = r.sample(range(objects), 2)
            names[i], names[j] = names[j], names[i]
        for k in range(objects):
            x, y, w, h = where[k]
            where[k][0] += speed[k][0]
            where[k][1] += speed[k][1]
            if r.random() < 0.9:  # objects leave for a while, too
                truth.append((frame, k + 1, x, y, w, h, 1))
            if r.random() < drop:
                if r.random() < 0.3:
                    names[k], fresh = fresh, fresh + 1
                continue
            jitter = [r.gauss(0, noise) for _ in range(4)]
            result.append((frame, names[k], x + jitter[0], y + jitter[1], max(w + jitter[2], 0), max(h + jitter[3], 0), r.random()))
        for _ in range(ghosts):
            if r.random() < 0.3:
                result.append((frame, fresh, r.uniform(0, 300), r.uniform(0, 300), 30, 30, r.random()))
                fresh += r.random() < 0.5
    unique = {(row[0], row[1]): row for row in result}
    return text(truth), text(list(unique.values()))


def text(rows):
    return "".join("%d,%d,%.2f,%.2f,%.2f,%.2f,%.2f,-1,-1,-1\n" % row for row in rows)


def rows(text):
    return [[float(v) for v in line.split(",")] for line in text.splitlines()]


def data(truth, result):
    """What TrackEval's metrics take, without the preprocessing of any one benchmark."""
    truth = [row for row in truth if row[6] != 0]
    frames = int(max([row[0] for row in truth + result], default=1))
    out = {"num_timesteps": frames, "gt_ids": [], "tracker_ids": [], "similarity_scores": [],
           "num_gt_dets": len(truth), "num_tracker_dets": len(result)}
    numbers = {}
    for key, name, all_rows in (("gt_ids", "num_gt_ids", truth), ("tracker_ids", "num_tracker_ids", result)):
        numbers[key] = {v: i for i, v in enumerate(dict.fromkeys(row[1] for row in sorted(all_rows)))}
        out[name] = len(numbers[key])
    for frame in range(1, frames + 1):
        a, b = [sorted(row for row in side if row[0] == frame) for side in (truth, result)]
        out["gt_ids"].append(np.array([numbers["gt_ids"][row[1]] for row in a], dtype=int))
        out["tracker_ids"].append(np.array([numbers["tracker_ids"][row[1]] for row in b], dtype=int))
        boxes = [np.array([row[2:6] for row in side], dtype=float).reshape(-1, 4) for side in (a, b)]
        out["similarity_scores"].append(_BaseDataset._calculate_box_ious(boxes[0], boxes[1], box_format="xywh"))
    return out


def trackeval_says(d):
    hota, clear, identity = HOTA().eval_sequence(d), CLEAR({"PRINT_CONFIG": False}).eval_sequence(d), Identity({"PRINT_CONFIG": False}).eval_sequence(d)
    mean = {ours: float(np.mean(hota[theirs])) for ours, theirs in
            (("hota", "HOTA"), ("det_a", "DetA"), ("ass_a", "AssA"), ("det_re", "DetRe"), ("det_pr", "DetPr"), ("ass_re", "AssRe"), ("ass_pr", "AssPr"), ("loc_a", "LocA"))}
    own = {ours: float(clear[theirs]) for ours, theirs in
           (("mota", "MOTA"), ("motp", "MOTP"), ("tp", "CLR_TP"), ("fp", "CLR_FP"), ("fn", "CLR_FN"), ("id_switches", "IDSW"), ("fragmentations", "Frag"),
            ("mostly_tracked", "MT"), ("partially_tracked", "PT"), ("mostly_lost", "ML"))}
    ids = {k.lower(): float(identity[k]) for k in ("IDF1", "IDP", "IDR", "IDTP", "IDFP", "IDFN")}
    return {**mean, **own, **ids}


def motmetrics_says(d):
    acc = motmetrics.MOTAccumulator(auto_id=True)
    for a, b, overlap in zip(d["gt_ids"], d["tracker_ids"], d["similarity_scores"]):
        acc.update(a, b, np.where(overlap >= 0.5, 1 - overlap, np.nan))
    names = ["mota", "idf1", "idp", "idr", "num_switches"]
    return motmetrics.metrics.create().compute(acc, metrics=names, return_dataframe=False)


def main():
    r = random.Random(13)
    cases = {f"random {i}": walk(r, r.randint(1, 30), r.randint(1, 6), r.choice([0, .1, .3]), r.choice([0, .05, .3]), r.choice([0, 2, 8]), r.choice([0, 1, 3])) for i in range(24)}
    one = "1,1,0,0,10,10,1\n2,1,0,0,10,10,1\n3,1,0,0,10,10,1\n"
    cases.update({
        "nothing": ("", ""), "no result": (one, ""), "no truth": ("", one), "the same": (one, one),
        "exactly half": (one, one.replace(",0,0,10,10", ",0,0,10,5")), "below half": (one, one.replace(",0,0,10,10", ",0,0,10,4.99")),
        "gap and switch": ("1,1,0,0,10,10,1\n2,1,0,0,10,10,1\n5,1,0,0,10,10,1\n6,1,0,0,10,10,1\n", "1,7,0,0,10,10,1\n5,8,0,0,10,10,1\n6,7,0,0,10,10,1\n"),
        "ignored truth": (one + "1,2,50,50,9,9,0\n2,2,50,50,9,9,0\n", one), "no area": ("1,1,3,3,0,0,1\n", "1,1,3,3,0,0,1\n"),
        "frames without truth": ("1,1,0,0,10,10,1\n4,1,0,0,10,10,1\n", "1,1,0,0,10,10,1\n2,1,0,0,10,10,1\n3,2,9,9,10,10,1\n4,1,0,0,10,10,1\n"),
    })
    out = {"versions": {p: metadata.version(p) for p in ("trackeval", "motmetrics", "numpy", "scipy", "pandas")}, "cases": []}
    differ = []
    for name, (truth, result) in cases.items():
        d = data(rows(truth), rows(result))
        says = trackeval_says(d)
        if d["num_gt_dets"] and d["num_tracker_dets"]:
            other = motmetrics_says(d)
            for key in ("idf1", "idp", "idr"):
                assert abs(other[key] - says[key]) < 1e-9, (name, key, other[key], says[key])
            if abs(other["mota"] - says["mota"]) >= 1e-9:
                differ.append(name)
        out["cases"].append({"name": name, "truth": truth, "result": result, "metrics": says})
    out["motmetrics_mota_differs"] = differ
    json.dump(out, sys.stdout, indent=1)
    print()


main()
