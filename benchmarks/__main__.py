import sys, tempfile
from pathlib import Path
from benchmarks import heartbeat
Path("var").mkdir(exist_ok=True)
with tempfile.TemporaryDirectory(dir="var", prefix="benchmarks-") as f:
    for x in heartbeat.measure(Path(f).resolve()/"heartbeat", heartbeat.Scale()):
        print(x.name, round(x.value,3), x.unit, x.target, x.verdict)
