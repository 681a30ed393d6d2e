"""Peak memory of a run, with both frameworks in one process.

    python -m benchmarks.memory [options of `invariants verify`]

Runs `invariants verify` with the options given (none: the quick profile) in its own process and
prints the largest resident set that the operating system saw.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time


def main() -> None:
    command = [sys.executable, "-m", "invariants", "verify", *sys.argv[1:]]
    started = time.perf_counter()
    done = subprocess.run(command, check=False)
    taken = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024  # kilobytes on Linux
    print(f"{' '.join(command[2:])}: exit {done.returncode}, {taken:.1f} s, peak {peak:.0f} MiB")


if __name__ == "__main__":
    main()
