"""Records what pycocotools makes of 200 random sets and of the scenes, for the tests of this package.

Run by hand: python record.py ../../../fixtures/scenes/annotations.json SCENE_RESULTS.json | gzip -9n > pycocotools.json.gz
with pycocotools 2.0.11, faster-coco-eval 1.8.0 and numpy 2.4.6. SCENE_RESULTS.json is what apexx eval --score-threshold 0.3 --write-results writes; the script
checks faster-coco-eval on the same sets and says on standard error how far it is off.
"""
import contextlib
import copy
import io
import json
import random
import sys

import numpy
import pycocotools.mask as m
from faster_coco_eval import COCO as FastCOCO
from faster_coco_eval import COCOeval_faster
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

rnd = random.Random(29)
H, W = 120, 160


def shape(box):
    x, y, w, h = box
    cut = rnd.random() / 3
    p = [x + w * cut, y, x + w, y + h * cut, x + w * (1 - cut), y + h, x, y + h * (1 - cut)]
    return [round(v, 1) for v in p]


def rle(box):
    r = m.frPyObjects([shape(box)], H, W)[0]
    return {"size": [H, W], "counts": r["counts"].decode()}


def random_box():
    s = rnd.choice([6, 20, 40, 100])
    w, h = rnd.uniform(s / 2, s), rnd.uniform(s / 2, s)
    return [round(v, rnd.choice([0, 1])) for v in (rnd.uniform(0, W - w), rnd.uniform(0, H - h), w, h)]


def random_set(i):
    classes = rnd.choice([1, 2, 4, 7])
    categories = [{"id": c, "name": f"c{c}"} for c in rnd.sample(range(100), classes)]
    image_ids = rnd.sample(range(1000), rnd.choice([1, 3, 5]))
    images = [{"id": k, "file_name": f"{k}.png", "width": W, "height": H} for k in image_ids]
    few = rnd.sample(categories, max(1, classes - 1)) if rnd.random() < 0.3 else categories  # a class without objects
    annotations, results = [], []
    for im in image_ids:
        if rnd.random() < 0.1:
            continue
        for _ in range(rnd.choice([0, 1, 3, 6])):
            box = random_box()
            crowd = int(rnd.random() < 0.15)
            seg = rle(box) if crowd or rnd.random() < 0.3 else [shape(box)]
            area = round(box[2] * box[3] * rnd.choice([1, 0.75, 0.2]), 1)
            annotations.append({"id": 0, "image_id": im, "category_id": rnd.choice(few)["id"], "bbox": box, "area": area, "iscrowd": crowd, "segmentation": seg})
            if rnd.random() < 0.1:
                annotations.append(copy.deepcopy(annotations[-1]))  # equal overlaps
    ids = rnd.sample(range(1, 5000), len(annotations))
    for a, k in zip(annotations, ids):
        a["id"] = k
    rnd.shuffle(annotations)
    digits = rnd.choice([1, 1, 3])  # ties
    for im in image_ids:
        objects = [a for a in annotations if a["image_id"] == im]
        for _ in range(120 if i % 50 == 7 else rnd.choice([0, 2, 5, 12])):
            if objects and rnd.random() < 0.7:
                a = rnd.choice(objects)
                box = [round(v + rnd.choice([0, 0, 0.05, 0.2]) * a["bbox"][2 + k % 2] * rnd.uniform(-1, 1), 1) for k, v in enumerate(a["bbox"])]
                category = a["category_id"] if rnd.random() < 0.9 else rnd.choice(categories)["id"]
            else:
                box, category = random_box(), rnd.choice(categories)["id"]
            box = [box[0], box[1], max(box[2], 0.5), max(box[3], 0.5)]
            results.append({"image_id": im, "category_id": category, "score": round(rnd.random(), digits), "bbox": box, "segmentation": rle(box)})
    return {"images": images, "categories": categories, "annotations": annotations}, results


def without(results, key):
    return [{k: v for k, v in r.items() if k != key} for r in results]


def evaluate(coco, evaluator, truth, results, kind):
    with contextlib.redirect_stdout(io.StringIO()):
        gt = coco()
        gt.dataset = copy.deepcopy(truth)
        gt.createIndex()
        results = copy.deepcopy(without(results, "segmentation" if kind == "bbox" else "bbox"))
        dt = gt.loadRes(results) if results else empty(coco, truth)
        e = evaluator(gt, dt, kind)
        e.evaluate()
        e.accumulate()
        e.summarize()
        return [float(v) for v in e.stats[:12]], e.eval["precision"]


def empty(coco, truth):
    dt = coco()
    dt.dataset = {"images": truth["images"], "categories": truth["categories"], "annotations": []}
    dt.createIndex()
    return dt


def numbers(truth, results, kind):
    global off
    stats, precision = evaluate(COCO, COCOeval, truth, results, kind)
    if results and truth["annotations"]:
        fast, _ = evaluate(FastCOCO, COCOeval_faster, truth, results, kind)
        off = max(off, max(abs(a - b) for a, b in zip(stats, fast)))
    per_class = []
    for k in range(precision.shape[2]):
        p = precision[:, :, k, 0, 2]
        per_class.append(float(numpy.mean(p[p > -1])) if (p > -1).any() else -1.0)
    return {"stats": stats, "per_class": per_class}


off = 0.0
sets = []
for i in range(200):
    truth, results = random_set(i)
    sets.append({"truth": truth, "results": results, "bbox": numbers(truth, results, "bbox"), "segm": numbers(truth, results, "segm")})
out = {"sets": sets}
if len(sys.argv) > 2:
    truth, results = json.load(open(sys.argv[1])), json.load(open(sys.argv[2]))
    out["scenes"] = {"results": results, "bbox": numbers(truth, results, "bbox"), "segm": numbers(truth, results, "segm")}
print("faster-coco-eval is off by at most", off, file=sys.stderr)
print(json.dumps(out, separators=(",", ":")))
