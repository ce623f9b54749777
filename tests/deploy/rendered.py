"""What the chart and the overlays render to."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

CHECKOUT = Path(__file__).parents[2]
CHART = CHECKOUT / "deploy" / "helm" / "drls"
KUSTOMIZE = CHECKOUT / "deploy" / "kustomize"
Thing = Mapping[str, Any]


@cache
def tools() -> Path:
    """The folder of helm and kubectl."""
    done = subprocess.run(
        [CHECKOUT / "scripts" / "kube_tools.sh"], stdout=subprocess.PIPE, text=True, check=True, timeout=280
    )
    return Path(done.stdout.strip())


def helm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([tools() / "helm", *arguments], capture_output=True, text=True, check=False, timeout=120)


@cache
def _template(*options: str | Path) -> subprocess.CompletedProcess[str]:
    return helm("template", "drls", CHART, *options)


def chart(*options: str | Path) -> list[Thing]:
    """The chart's manifests, with these options of `helm template`. Raises AssertionError where it does not render."""
    done = _template(*options)
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def refusal(*options: str) -> str:
    """Why the chart does not render with these options."""
    done = _template(*options)
    assert done.returncode != 0, "it renders"
    return done.stderr


def kustomized(folder: Path) -> list[Thing]:
    done = subprocess.run(
        [tools() / "kubectl", "kustomize", folder], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def named(things: list[Thing], kind: str, name: str) -> Thing:
    (found,) = (one for one in things if (one["kind"], one["metadata"]["name"]) == (kind, name))
    return found


def pods(things: list[Thing]) -> Iterator[tuple[str, Thing]]:
    """Every pod's specification, by the name of what makes it."""
    for one in things:
        if one["kind"] == "Pod":
            yield one["metadata"]["name"], one["spec"]
        elif "template" in one.get("spec", {}):
            yield one["metadata"]["name"], one["spec"]["template"]["spec"]


def containers(pod: Thing) -> list[Thing]:
    return [*pod.get("initContainers", []), *pod["containers"]]
