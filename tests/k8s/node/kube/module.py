"""module.py FOLDER VERSION: writes go.mod and go.sum of a program made of Kubernetes' own packages.

They are those of k8s.io/kubernetes, whose staging folders are replaced by the modules published from them.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

out, version = Path(sys.argv[1]), sys.argv[2]
published = f"v0{version[2:]}"
found = json.loads(subprocess.check_output(["go", "mod", "download", "-json", f"k8s.io/kubernetes@{version}"], cwd="/"))
source = Path(found["Dir"])
text = (source / "go.mod").read_text()
text = re.sub(r"^module .*$", "module node", text, flags=re.MULTILINE)
text = re.sub(r"=> \./staging/src/(k8s\.io/[\w-]+)", rf"=> \1 {published}", text)
text = re.sub(r"(k8s\.io/[\w-]+) v0\.0\.0(\s)", rf"\1 {published}\2", text)
(out / "go.mod").write_text(f"{text}\nrequire k8s.io/kubernetes {version}\n")
(out / "go.sum").write_bytes((source / "go.sum").read_bytes())
