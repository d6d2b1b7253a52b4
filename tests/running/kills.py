"""Kill runs at random moments and resume them: ``python -m tests.running.kills KILLS FOLDER``.

Every run is a forked child with one thread.  Of each configuration one run goes through undisturbed; others are
killed, with all the children of their own, after a random moment, and followed by one that resumes, until it ends.
What it ends with must be the same to the bit.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import torch
import torch._dynamo

import cl_engine
import cl_engine.engine

OFFLINE = {"kind": "class-incremental", "step": 2}
ONLINE = {"kind": "class-incremental", "step": 5, "delivery": "online", "micro_batch": 50}
BLURRY = {"kind": "si-blurry", "experiences": 3, "delivery": "online", "micro_batch": 50}
LITTLE = {"epochs": 1, "updates_per_sample": 0.1}


def configurations():
    """Return 20 scenarios: strategies x deliveries x codecs x audits x what the model is held as."""
    plain = [
        (kind, stream, {})
        for kind in ("finetune", "replay", "icarl", "ewc", "memo", "prd")
        for stream in (OFFLINE, ONLINE)
    ]
    others = [
        ("joint", BLURRY, {}),
        ("ncm", BLURRY, {}),
        ("g-acil", OFFLINE, {}),
        ({"kind": "replay", "codec": "jpeg", "total": 40}, OFFLINE, {}),
        ({"kind": "replay", "codec": "downsample", "selection": "herding"}, BLURRY, {}),
        ("replay", OFFLINE, {"model_dtype": "int8", "budget": "60 KiB"}),
        ("replay", OFFLINE, {"audit": "process"}),
        ("ncm", ONLINE, {"audit": "process"}),
    ]
    return [
        {
            "name": f"kill-{n}",
            "data": "digits",
            "strategy": s,
            "stream": stream,
            "memory": memory,
            "training": LITTLE,
        }
        for n, (s, stream, memory) in enumerate([*plain, *others])
    ]


def start(scenario, out):
    """Run a scenario in a child of its own; return its process id."""
    pid = os.fork()
    if pid == 0:
        os.setsid()
        cl_engine.run(scenario, out=out, resume=True)
        os._exit(0)
    return pid


def outcome(out):
    """Return what a run ends with, times aside."""
    (directory,) = (d for d in Path(out).iterdir() if d.is_dir())
    result = json.loads((directory / "result.json").read_text())
    left = [name for name in os.listdir(directory) if name.endswith(".new") or name == ".work"]
    return (directory / "checkpoint.safetensors").read_bytes(), result["metrics"], result["memory"]["entries"], left


def kill(scenario, kills, draw, base):
    """Kill runs of one configuration; return how many runs were resumed to their end."""
    begun = time.perf_counter()
    assert os.waitpid(start(scenario, base / "whole"), 0)[1] == 0
    span, expected = 1.1 * (time.perf_counter() - begun), outcome(base / "whole")
    killed = rounds = 0
    while killed < kills or rounds == 0:
        out = base / f"killed-{rounds}"
        pid = start(scenario, out)
        if killed < kills:
            time.sleep(draw.uniform(0, span))
            os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
        if os.WIFSIGNALED(status):
            killed += 1
            continue
        assert status == 0, scenario
        assert outcome(out) == expected, scenario
        shutil.rmtree(out)
        rounds += 1
    while (out := base / f"killed-{rounds}").exists():  # the last one killed is brought to its end
        assert os.waitpid(start(scenario, out), 0)[1] == 0
        assert outcome(out) == expected, scenario
        rounds += 1
    return rounds


def main(kills, folder):
    """Spread ``kills`` over all configurations; print a line for each and the total."""
    torch.set_num_threads(1)
    draw, total, ended = random.Random(0), 0, 0
    scenarios = configurations()
    for number, scenario in enumerate(scenarios):
        share = kills // len(scenarios) + (number < kills % len(scenarios))
        base = Path(folder) / str(number)
        base.mkdir(parents=True)
        rounds = kill(scenario, share, draw, base)
        shutil.rmtree(base)
        total, ended = total + share, ended + rounds
        print(scenario["name"], json.dumps(scenario["strategy"]), share, "kills", rounds, "runs equal", flush=True)
    print(f"{total} kills, {ended} runs resumed to the same bits, {len(scenarios)} configurations", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
