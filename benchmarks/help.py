"""How long `cl-engine --help` takes against importing torch.

python benchmarks/help.py
"""

import subprocess
import sys
import time


def seconds(*command):
    begun = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begun


def main():
    ratios = []
    for _ in range(6):
        ours = seconds(sys.executable, "-m", "cl_engine", "--help")
        ratios.append(ours / seconds(sys.executable, "-c", "import torch"))
    print(
        f"cl-engine --help / import torch: {sorted(ratios[1:])[2]:.2f} (median of 5 pairs; at most 0.25 is wanted)"
    )


if __name__ == "__main__":
    main()
