"""Kill runs at random moments and resume them: ``PYTHONPATH=. python tests/running/kills.py KILLS FOLDER [SCENARIOS.json]``.

Every run is a forked child with one thread.  Of each configuration one run goes through undisturbed; others are
killed, with all the children of their own, after a random moment, and followed by one that resumes, until it ends.
What it ends with must be the same to the bit.
"""

import json
import os
import random
import shutil
import signal
import subprocess
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


def in_the_middle(out):
    """Return whether a run that was killed had finished some experiences, but not the last."""
    lines = [*Path(out).glob("*/experiences.jsonl")]
    return any(line.stat().st_size for line in lines) and not [*Path(out).glob("*/result.json")]


def kill(scenario, kills, draw, base, inside):
    """Kill runs of one configuration until so many died, and so many of them in the middle of their stream.

    Returns how many were resumed to their end, how many died, and how many of them in the middle.
    """
    begun = time.perf_counter()
    assert os.waitpid(start(scenario, base / "whole"), 0)[1] == 0
    span, expected = 1.1 * (time.perf_counter() - begun), outcome(base / "whole")
    killed = middle = rounds = 0
    while (more := killed < kills or middle < inside) or rounds == 0:
        out = base / f"killed-{rounds}"
        pid = start(scenario, out)
        if more:
            time.sleep(draw.uniform(0, span))
            os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
        if os.WIFSIGNALED(status):
            killed += 1
            middle += in_the_middle(out)
            continue
        assert status == 0, scenario
        assert outcome(out) == expected, scenario
        shutil.rmtree(out)
        rounds += 1
    while (out := base / f"killed-{rounds}").exists():  # the last one killed is brought to its end
        assert os.waitpid(start(scenario, out), 0)[1] == 0
        assert outcome(out) == expected, scenario
        rounds += 1
    return rounds, killed, middle


def main(kills, folder, scenarios, inside):
    """Spread ``kills`` over all configurations, ``inside`` of each at least; print a line for each and the total."""
    torch.set_num_threads(1)
    for scenario in scenarios:
        cl_engine.Scenario.load(scenario)  # imports what its kinds need, once for all runs
    draw, total, ended = random.Random(0), 0, 0
    for number, scenario in enumerate(scenarios):
        share = kills // len(scenarios) + (number < kills % len(scenarios))
        base = Path(folder) / str(number)
        base.mkdir(parents=True)
        rounds, killed, middle = kill(scenario, share, draw, base, inside)
        shutil.rmtree(base)
        total, ended = total + killed, ended + rounds
        counts = f"{killed} kills, {middle} in the middle of a stream, {rounds} runs equal"
        print(scenario["name"], json.dumps(scenario["strategy"]), counts, flush=True)
    print(f"{total} kills, {ended} runs resumed to the same bits, {len(scenarios)} configurations", flush=True)


def in_a_process(kills, folder, scenarios=None):
    """Run this file, which forks and so wants no threads beside it; return the lines that it prints."""
    command = [sys.executable, "-W", "ignore", __file__, str(kills), str(folder)]
    if scenarios:
        (folder / "scenarios.json").write_text(json.dumps(scenarios))
        command.append(str(folder / "scenarios.json"))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(cl_engine.__file__).parent.parent)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


if __name__ == "__main__":
    own = [json.loads(Path(file).read_text()) for file in sys.argv[3:]]
    main(int(sys.argv[1]), sys.argv[2], own[0] if own else configurations(), inside=len(own))
