"""Times Python's json on an annotation file, beside go test -bench Read: python json_time.py annotations.json"""
import json
import os
import resource
import sys
import time

size = os.path.getsize(sys.argv[1])
before = time.process_time()
json.load(open(sys.argv[1]))
seconds = time.process_time() - before
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(f"{seconds:.2f} s of one processor, {size / seconds / 1e6:.0f} MB/s, peak {peak / size:.1f} times the file")
