#!/usr/bin/env python3
"""Builds the CUDA back end, checks it on this machine's GPU, times it and PyTorch beside it, and writes one JSON.

Every part runs in a process of its own with a time limit and is reported by name: `ok`, `failed`, `timed out`, or
`not run` with the reason. What a part writes to stdout and stderr stays in the report, shortened from the front. All
limits together stay below eight minutes. The exit status is 0 when no part failed.

Started by bench/cuda.sh.
"""

import argparse
import datetime
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
HERE = Path(__file__).resolve().parent
TOTAL_SECONDS = 475
TAIL = 6000  # characters of a part's output that are kept
NETWORK = "784-3000-3000-3000-10"
# Tests whose names have all of a line's words: short, because the sanitizer slows kernels ten to a hundred times.
SANITIZED = {"training": ["gpu training", "every"], "evolution": ["gpu evolution", "in a row"]}


class Report:
    def __init__(self, options):
        self.start = time.monotonic()
        self.parts = []
        self.facts = {
            "schemaVersion": 1,
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "command": " ".join(["bench/cuda.sh", *sys.argv[1:]]),
            "commit": output_of(["git", "-C", str(ROOT), "rev-parse", "HEAD"]),
            "machine": {
                "platform": platform.platform(),
                "cores": os.cpu_count(),
                "nvcc": last_line(output_of(["nvcc", "--version"])),
                "gpu": output_of(
                    ["nvidia-smi", "--query-gpu=name,driver_version,memory.total,clocks.max.sm", "--format=csv,noheader"]
                ),
            },
        }
        self.out = options.out

    def left(self):
        return TOTAL_SECONDS - (time.monotonic() - self.start)

    def run(self, name, command, limit, needs=None, environment=None):
        """Runs a part unless `needs` is a reason not to; whether it ended well."""
        part = {"name": name, "command": " ".join(map(str, command)), "limitSeconds": limit}
        self.parts.append(part)
        limit = min(limit, self.left())
        if needs is None and limit < 1:
            needs = "the time for all parts is used up"
        if needs is not None:
            part.update(status="not run", reason=needs)
            self.tell(part)
            return False
        begin = time.monotonic()
        # In a session of its own, so that what the part started ends with it.
        process = subprocess.Popen(
            list(map(str, command)),
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            text, _ = process.communicate(timeout=limit)
            status = process.returncode
            part["status"] = "ok" if status == 0 else "failed"
            if status != 0:
                part["reason"] = f"ended by signal {-status}" if status < 0 else f"exit status {status}"
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            text, _ = process.communicate()
            part.update(status="timed out", reason=f"took longer than {limit:.0f} s")
        part["seconds"] = round(time.monotonic() - begin, 1)
        part["output"] = text[-TAIL:]
        self.tell(part)
        return part["status"] == "ok"

    def tell(self, part):
        reason = f": {part['reason']}" if "reason" in part else ""
        print(f"{part['name']:20} {part['status']}{reason} ({part.get('seconds', 0)} s)", flush=True)
        if part["status"] not in ("ok", "not run"):
            print("\n".join("    " + line for line in part["output"].splitlines()[-8:]), flush=True)

    def write(self, results):
        problems = [f"{part['name']} {part['status']}: {part['reason']}" for part in self.parts if part["status"] != "ok"]
        document = {
            **self.facts,
            "seconds": round(time.monotonic() - self.start, 1),
            "complete": not problems,
            "problems": problems,
            "parts": self.parts,
            **results,
        }
        self.out.write_text(json.dumps(document, indent=1) + "\n")
        print(f"{self.out}: {len(self.parts) - len(problems)} of {len(self.parts)} parts ok", flush=True)
        return any(part["status"] in ("failed", "timed out") for part in self.parts)


def output_of(command):
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def last_line(text):
    return text.splitlines()[-1] if text else None


def read_json(file):
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError):
        return None


def summary(native, torch):
    """The targets' figures, each beside what it is compared with; null where it was not measured."""
    times = {case["name"]: case["medianMs"] for case in (native or {}).get("cases", []) if "medianMs" in case}
    peers = {name: peer.get("epochMs") for name, peer in (torch or {}).get("peers", {}).items()}

    def named(start):
        return next((ms for name, ms in times.items() if name.startswith(start)), None)

    epoch = named(f"train {NETWORK} epsilon=13 batch=40 motif=1 ")
    many = [ms for name, ms in times.items() if name.startswith("64-trials ")]
    one = named(f"64-trials {NETWORK} epsilon=13 batch=40 motif=1 samples=5000 threads=1")
    masked = peers.get("masked-graph")
    return {
        "epochMs": epoch,
        "epochOfPairsMs": named(f"train {NETWORK} epsilon=13 batch=40 motif=2 "),
        "evaluate5000Ms": named(f"evaluate {NETWORK} epsilon=13 "),
        "evolveMs": named(f"evolve {NETWORK} epsilon=13 motif=1 "),
        "torchMaskedGraphEpochMs": masked,
        "timesFasterThanTorchMaskedGraph": masked / epoch if masked and epoch else None,
        "sweepThroughputGain": one / min(many) if one and many else None,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "cuda.json", help="the report (default: cuda.json)")
    parser.add_argument("--build", type=Path, help="build folder (default: a new one, removed at the end)")
    parser.add_argument("--quick", action="store_true", help="build and tests only")
    options = parser.parse_args()
    options.out = options.out.resolve()
    report = Report(options)
    with tempfile.TemporaryDirectory(prefix="set-native-cuda-") as scratch:
        folder = (options.build or Path(scratch) / "build").resolve()
        native_json, torch_json = Path(scratch) / "native.json", Path(scratch) / "torch.json"
        run_parts(report, options, folder, native_json, torch_json)
        native, torch = read_json(native_json), read_json(torch_json)
    failed = report.write({"summary": summary(native, torch), "native": native, "torch": torch})
    sys.exit(1 if failed else 0)


def run_parts(report, options, folder, native_json, torch_json):
    jobs = str(os.cpu_count() or 1)
    missing = next((f"{tool} is not on the PATH" for tool in ("cmake", "nvcc") if shutil.which(tool) is None), None)
    configured = report.run(
        "configure", ["cmake", "--preset", "cuda", "-B", folder], 30, missing
    )
    targets = ["set_native_cuda", "set_native_test", "set_native_bench"]
    built = report.run(
        "build",
        ["cmake", "--build", folder, "--parallel", jobs, "--target", *targets],
        150,
        missing or (None if configured else "it could not be configured"),
    )
    test = folder / "set_native_test"
    no_build = None if built else "there is no build"
    no_gpu = no_build
    if built:
        asked = [folder / "set_native_bench", "--backend", "cuda", "--filter", "no such case"]
        reason = subprocess.run(asked, capture_output=True, text=True).stderr.strip()
        no_gpu = reason if "not available" in reason else None
    on_gpu = {"SET_NATIVE_TEST_DEVICE": "cuda"}
    nothing_special = {"SET_NATIVE_CUDA_LIBRARY": "", "SET_FAKE_CUDA": ""}
    report.run("loader", [test, "cuda"], 15, no_build, nothing_special)
    report.run("parity", [test, "gpu"], 30, no_gpu, on_gpu)
    report.run("hardware", [test, "hardware"], 45, no_gpu, on_gpu)
    sanitizer = None if shutil.which("compute-sanitizer") else "compute-sanitizer is not on the PATH"
    for tool in ("memcheck", "racecheck"):
        for kernels, words in SANITIZED.items():
            command = ["compute-sanitizer", "--tool", tool, "--error-exitcode", "9", test, *words]
            report.run(f"{tool}-{kernels}", command, 15, no_gpu or sanitizer, on_gpu)
    if options.quick:
        return
    bench = [folder / "set_native_bench", "--backend", "cuda", "--json", native_json]
    report.run("bench", bench, 90, no_gpu)
    torch = None
    if subprocess.run([sys.executable, "-c", "import torch"], capture_output=True).returncode != 0:
        torch = "PyTorch is not installed for this python3"
    report.run("torch", [sys.executable, HERE / "torch_gpu.py", torch_json], 40, no_gpu or torch)


if __name__ == "__main__":
    main()
