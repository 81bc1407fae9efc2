from pathlib import Path
import sys, tempfile
from tests.torture.cases import Stage
home=Path(tempfile.mkdtemp(prefix="torture-"))
print(home)
stage=Stage(home)
for n in sys.argv[1:]:
    if n.count("/")==1 and not n.startswith(("chance","signal")):
        pts=stage.points(n); print(len(pts)); print("\n".join(pts)); continue
    o=stage.play(n); print(o)
stage.close()
