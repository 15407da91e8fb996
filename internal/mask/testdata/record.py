"""Records what pycocotools makes of polygons, boxes, runs and pairs of masks, for the tests of this package.

Run by hand: python record.py | gzip -9n > pycocotools.json.gz, with pycocotools 2.0.11 and numpy 2.4.6.
"""
import json
import random

import numpy
import pycocotools.mask as m

rnd = random.Random(13)


def text(rle):
    return rle["counts"].decode()


def polygon(h, w):
    n = rnd.choice([3, 3, 4, 5, 8, 20, 60])
    kind = rnd.randrange(5)
    if kind == 0:  # anywhere, also outside of the image
        p = [(rnd.uniform(-w, 2 * w), rnd.uniform(-h, 2 * h)) for _ in range(n)]
    elif kind == 1:  # whole and half pixels
        p = [(rnd.randrange(2 * w + 1) / 2, rnd.randrange(2 * h + 1) / 2) for _ in range(n)]
    elif kind == 2:  # two decimals, as in COCO's files
        p = [(round(rnd.uniform(0, w), 2), round(rnd.uniform(0, h), 2)) for _ in range(n)]
    elif kind == 3:  # points that repeat, lines that go back
        p = [(rnd.randrange(w + 1), rnd.randrange(h + 1)) for _ in range(n // 2 + 1)]
        p += [rnd.choice(p) for _ in range(n)]
    else:  # thin
        x, y = rnd.uniform(0, w), rnd.uniform(0, h)
        p = [(x + rnd.uniform(-0.6, 0.6), y + rnd.uniform(-3, 3)) for _ in range(n)]
    return [float(v) for xy in p for v in xy]


out = {"polygons": [], "boxes": [], "runs": [], "pairs": []}
masks = {}
for i in range(300):
    h, w = rnd.choice([(1, 1), (1, 40), (33, 1), (20, 30), (64, 48), (101, 77)])
    p = polygon(h, w)
    r = m.frPyObjects([p], h, w)[0]
    out["polygons"].append({"size": [h, w], "xy": p, "counts": text(r), "area": int(m.area(r)), "box": m.toBbox(r).tolist()})
    masks.setdefault((h, w), []).append(r)
for i in range(60):
    h, w = rnd.choice([(20, 30), (64, 48)])
    b = [rnd.uniform(-5, w), rnd.uniform(-5, h), rnd.uniform(0, w), rnd.uniform(0, h)]
    r = m.frPyObjects(numpy.array([b]), h, w)[0]
    out["boxes"].append({"size": [h, w], "box": b, "counts": text(r)})
for i in range(60):
    h, w = rnd.choice([(5, 7), (20, 30), (64, 48)])
    counts, left = [], h * w
    while left:  # runs of length 0 among them
        n = min(left, rnd.choice([0, 1, 2, h, rnd.randrange(3 * h)]))
        counts.append(n)
        left -= n
    r = m.frPyObjects({"size": [h, w], "counts": counts}, h, w)
    d = m.decode(r)
    out["runs"].append({"size": [h, w], "runs": counts, "counts": text(r), "encoded": text(m.encode(numpy.asfortranarray(d))),
                        "area": int(m.area(r)), "box": m.toBbox(r).tolist()})
    # Where runs of length 0 meet, pycocotools 2.0.11 cuts the merged mask or never ends: pairs have the mask without them.
    masks.setdefault((h, w), []).append(m.encode(numpy.asfortranarray(d)))
for i in range(400):
    size = rnd.choice(list(masks))
    a, b, c = (rnd.choice(masks[size]) for _ in range(3))
    out["pairs"].append({
        "size": list(size), "a": text(a), "b": text(b), "c": text(c), "union": text(m.merge([a, b, c])),
        "intersection": text(m.merge([a, b, c], intersect=True)),
        "iou": m.iou([a], [b], [0])[0][0], "crowd_iou": m.iou([a], [b], [1])[0][0],
        "box_iou": m.iou(m.toBbox([a]), m.toBbox([b]), [0])[0][0], "box_crowd_iou": m.iou(m.toBbox([a]), m.toBbox([b]), [1])[0][0]})
print(json.dumps(out, separators=(",", ":")))
