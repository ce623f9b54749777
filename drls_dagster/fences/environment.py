"""The environment variables that pipeline code gets: a list of those allowed, never what DRLS itself was given."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from drls_dagster.settings import Settings

_NAMES = {
    *("PATH", "LANG", "LANGUAGE", "TZ", "TERM", "SHELL", "USER", "LOGNAME", "COLUMNS", "JAVA_HOME", "LD_LIBRARY_PATH"),
    *("PYTHONHASHSEED", "PYTHONUNBUFFERED", "PYTHONUTF8", "PYTHONIOENCODING", "PYTHONPATH", "PYTHONWARNINGS"),
    *("PYTHONFAULTHANDLER", "VIRTUAL_ENV", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("RAYON_NUM_THREADS", "NUMEXPR_MAX_THREADS", "TOKENIZERS_PARALLELISM", "ROCR_VISIBLE_DEVICES"),
    *("HIP_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES"),
}
_PREFIXES = ("LC_", "CUDA_", "OMP_", "MKL_", "OPENBLAS_", "ARROW_", "POLARS_")


def code_environment(settings: Settings, tmp: Path | str, **more: str) -> dict[str, str]:
    """The variables for a process of pipeline code whose private folder is `tmp`; `more` are put on top.

    `fence.environment` names further ones.
    """
    allowed = {*_NAMES, *settings.fence.environment}
    found = {name: value for name, value in os.environ.items() if name in allowed or name.startswith(_PREFIXES)}
    own = {"TMPDIR": str(tmp), "HOME": str(tmp), "PYTHONDONTWRITEBYTECODE": "1", "PYSPARK_PYTHON": sys.executable}
    if settings.fence.network == "listed":
        own["RES_OPTIONS"] = "use-vc"  # names are looked up over TCP, the only way out that can be limited
    return {**found, **own, **more}
