"""Times pycocotools on the files of go run .../internal/coco/synthetic/generate, beside go test -bench Boxes: python time.py"""
import contextlib
import io
import resource
import time

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

with contextlib.redirect_stdout(io.StringIO()):
    start = time.process_time()
    gt = COCO("annotations.json")
    dt = gt.loadRes("results.json")
    loaded = time.process_time()
    e = COCOeval(gt, dt, "bbox")
    e.evaluate()
    e.accumulate()
    e.summarize()
    done = time.process_time()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(f"reading {loaded - start:.1f} s, evaluating {done - loaded:.1f} s of one processor, peak {peak:.0f} MiB")
