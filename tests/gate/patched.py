"""Environments that have the frameworks of this one, and a patch that runs when Python starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def environment(folder: Path, patch: str = "") -> Path:
    """The Python of a new one."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    installed = [path for path in sys.path if path.endswith("site-packages")]
    (site / "installed.pth").write_text("\n".join(installed) + "\n")
    # Not sitecustomize: a distribution's Python has one of its own, which goes first.
    (site / "patched_framework.py").write_text(patch)
    (site / "then_patched.pth").write_text("import patched_framework\n")
    return folder / "bin" / "python"
