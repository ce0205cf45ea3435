#!/usr/bin/env python3
"""Times set-native and its peers on the same work, on this machine, in turns.

Every peer is a process of its own that is asked for one piece of work at a time. Each must first match a plain
float64 reference; one that does not is reported as failed and not timed. Then they take turns, round after round, so
that a busy machine slows all alike. What is not installed is skipped by name.

  python3 bench/peers/run.py                               both networks at epsilon 13
  python3 bench/peers/run.py --epsilon 1,5,13,21,31 --network reference
  python3 bench/peers/run.py --markdown docs/benchmarks.md --json peers.json
"""

import argparse
import atexit
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
try:
    import numpy as np
except ImportError:
    sys.exit("run.py: NumPy is not installed for this Python: install it (Debian: python3-numpy python3-scipy)")

from common import Hyper, Layer, every_cell, pruned_links, read_network, reference_training

HERE = Path(__file__).resolve().parent
BASELINE = "set-native"
PEERS = {
    BASELINE: ["node", "set_native.mjs"],
    "torch-csr": [sys.executable, "torch_peer.py", "csr"],
    "torch-masked": [sys.executable, "torch_peer.py", "masked"],
    "torch-dense": [sys.executable, "torch_peer.py", "dense"],
    "scipy-csr": [sys.executable, "scipy_peer.py"],
}
NETWORKS = {
    "reference": {"sizes": [784, 3000, 3000, 3000, 10], "samples": 5000, "batch": 40, "rate": 0.05},
    "lung": {"sizes": [3312, 3000, 3000, 3000, 5], "samples": 134, "batch": 2, "rate": 0.01},
}
MEASURES = {
    "train": "epoch of training",
    "evolve": "evolution",
    "predict1": "predict 1 sample",
    "predict1000": "predict 1000 samples",
}
PREDICTED = 1000  # samples
ZETA = 0.3
PARK_SECONDS = 0.2  # between turns, for the threads of the last peer to stop spinning


class Failed(Exception):
    pass


class Process:
    """One peer: a request and an answer, each a line of JSON."""

    def __init__(self, name, threads):
        variables = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(variables, str(threads)), "PYTHONDONTWRITEBYTECODE": "1"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        try:  # in a session of its own, so that Ctrl-C reaches run.py alone
            self.process = subprocess.Popen(PEERS[name], cwd=HERE, env=environment, start_new_session=True, **pipes)
        except FileNotFoundError:
            raise Failed(f"{PEERS[name][0]} is not on the PATH")
        atexit.register(self.process.kill)

    def ask(self, op, **request):
        try:
            self.process.stdin.write(json.dumps({"op": op, **request}) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # the missing answer tells
        line = self.process.stdout.readline()
        if not line:
            raise Failed(f"its process ended in '{op}' with status {self.process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise Failed(f"{op}: {answer['error']}")
        return answer

    def end(self):
        self.process.kill()
        self.process.wait()


def write_case(folder, sizes, samples, epsilon, seed, threads):
    """Samples around a centre per class. At least as many as are predicted; training uses the first ones."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    count = max(samples, PREDICTED)
    labels = rng.integers(0, sizes[-1], count)
    x = rng.normal(0, 0.02, (sizes[-1], sizes[0]))[labels] + rng.normal(0, 0.3, (count, sizes[0]))
    x.astype("<f4").tofile(folder / "x.f32")
    labels.astype("<u4").tofile(folder / "labels.u32")
    case = {"sizes": sizes, "samples": samples, "epsilon": epsilon, "seed": seed, "threads": threads}
    (folder / "case.json").write_text(json.dumps(case))
    return x.astype("<f4"), labels


def require_close(what, actual, expected, tolerance=1e-4):
    error = np.max(np.abs(actual - expected) / (np.abs(expected) + 0.01))
    if not error <= tolerance:  # also when it is not a number
        raise Failed(f"check: {what} are wrong by {error:.1e} (relative), allowed {tolerance:.0e}")


class Check:
    """A small network, trained, evolved and trained again, against the reference at every stage."""

    SAMPLES = 30
    HYPER = Hyper(batch=12, rate=0.05, momentum=0.9, decay=0.0002)  # three batches, the last one of 6
    AFTERWARDS = Hyper(batch=12, rate=0.05, momentum=0.0, decay=0.0002)  # the reference knows no momentum from before
    STILL = Hyper(batch=12, rate=1e-30, momentum=0.0, decay=0.0)  # trains without moving a weight

    def __init__(self, folder, baseline, threads):
        sizes = [60, 200, 150, 4]  # at epsilon 13 the last layer is dense, as in the networks timed
        self.folder = folder
        x, labels = write_case(folder, sizes, self.SAMPLES, 13, 1, threads)
        self.x, self.labels = x[: self.SAMPLES], labels[: self.SAMPLES]
        baseline.ask("load", folder=str(folder))  # draws the network
        self.layers = read_network(folder / "network")
        if [layer.dense for layer in self.layers] != [False, False, True]:
            raise Failed("check: the network for the check must be sparse, sparse, dense")

    def run(self, name, process):
        layers = self.layers
        if name == "torch-dense":  # the same weights, but every cell is trained
            layers = [
                Layer(layer.inputs, layer.outputs, True, every_cell(layer), layer.matrix().ravel(), layer.bias)
                for layer in layers
            ]
        process.ask("load", folder=str(self.folder))
        trained = self.train(process, layers, self.HYPER, f"{name}-trained")
        if process.ask("evolve", zeta=ZETA, hyper=vars(self.STILL))["ms"] is None:
            return
        evolved = self.saved(process, f"{name}-evolved")
        self.check_evolution(trained, evolved)
        self.train(process, evolved, self.AFTERWARDS, f"{name}-trained-again")

    def train(self, process, layers, hyper, name):
        loss, weights, biases = reference_training(layers, self.x, self.labels, hyper)
        answer = process.ask("train", steps=3, shuffle=False, hyper=vars(hyper))
        require_close("losses", answer["loss"], loss)
        trained = self.saved(process, name)
        for before, after, weight, bias in zip(layers, trained, weights, biases):
            if not np.array_equal(before.cells, after.cells):
                raise Failed("check: the links changed in training")
            require_close("weights", after.matrix(), weight)
            require_close("biases", after.bias, bias)
        y = np.concatenate([self.x, self.x[:1]]).astype(np.float64)  # all together, then the first one alone
        for weight, bias in zip(weights, biases):
            z = y @ weight + bias
            y = np.maximum(z, 0)
        y = np.exp(z - z.max(axis=1, keepdims=True))
        y /= y.sum(axis=1, keepdims=True)
        require_close("outputs", np.fromfile(self.folder / name / "outputs.f32", "<f4").reshape(y.shape), y)
        return trained

    def saved(self, process, name):
        process.ask("save", folder=str(self.folder / name))
        return read_network(self.folder / name)

    @staticmethod
    def check_evolution(before, after):
        for index, (old, new) in enumerate(zip(before, after)):
            if index == len(before) - 1 or old.dense:
                if not np.array_equal(old.weights, new.weights):
                    raise Failed("check: evolution touched a layer that never evolves")
                continue
            kept = ~pruned_links(old.weights, ZETA)
            if len(new.cells) != len(old.cells) or np.any(np.diff(new.cells) <= 0):
                raise Failed("check: evolution must keep the number of links, and no cell twice")
            now = new.matrix().ravel()[old.cells]
            if not np.array_equal(now == old.weights, kept):
                raise Failed("check: evolution must keep the weights of all but the share nearest zero of each sign")


def machine(threads, versions):
    native = versions[BASELINE]
    return {
        "cpu": native["cpu"],
        "cores": os.cpu_count(),
        "isa": native["isa"],
        "platform": platform.platform(),
        "threads": threads,
        "load": os.getloadavg(),
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "versions": versions,
    }


def measure(peers, lost, name, epsilon, options, folder):
    """All rounds of one network; returns what is known of it, times in ms. Peers that fail move to `lost`."""
    network = NETWORKS[name]
    rate = network["rate"] if options.rate is None else options.rate
    hyper = {"batch": network["batch"], "rate": rate, "momentum": 0.9, "decay": 0.0002}
    write_case(folder, network["sizes"], network["samples"], epsilon, options.seed, options.threads)
    epoch_steps = -(-network["samples"] // network["batch"])
    steps, times, first_loss = {}, {}, {}

    def turn(peer, work):
        try:
            return work(peers[peer])
        except Failed as reason:
            lost[peer] = f"failed at {name}, epsilon {epsilon:g}: {reason}"
            peers.pop(peer).end()
            times.pop(peer, None)
            if peer == BASELINE:
                sys.exit(f"run.py: {BASELINE} {lost[peer]}")
        finally:
            time.sleep(PARK_SECONDS)

    def train(process, count):
        answer = process.ask("train", steps=count, shuffle=True, hyper=hyper)
        if not np.isfinite(answer["loss"]):
            raise Failed("the loss is no longer a finite number: lower --rate")
        return answer["ms"]

    def prepare(process, peer):
        process.ask("load", folder=str(folder))
        first_loss[peer] = process.ask("train", steps=1, shuffle=False, hyper=hyper)["loss"]
        require_close("losses of the first batch", first_loss[peer], first_loss[BASELINE])
        few = min(4, epoch_steps)
        fitting = options.turn_seconds * 1e3 * few / min(train(process, few) for _ in range(3))
        steps[peer] = int(min(epoch_steps, max(few, fitting)))
        process.ask("predict", count=PREDICTED, repeat=1)
        times[peer] = {key: [] for key in MEASURES}

    def take_turn(process, peer):
        mine = times[peer]
        mine["train"].append(train(process, steps[peer]) * epoch_steps / steps[peer])
        evolution = process.ask("evolve", zeta=ZETA, hyper=hyper)["ms"]
        mine["evolve"] += [] if evolution is None else [evolution]
        mine["predict1"] += process.ask("predict", count=1, repeat=100)["ms"]
        mine["predict1000"] += process.ask("predict", count=PREDICTED, repeat=3)["ms"]

    for peer in list(peers):
        turn(peer, lambda process: prepare(process, peer))
    links = sum(len(layer.cells) for layer in read_network(folder / "network"))
    for number in range(options.rounds):
        order = list(peers)
        for peer in order[number % len(order) :] + order[: number % len(order)]:
            turn(peer, lambda process: take_turn(process, peer))
        print(f"{name}, epsilon {epsilon:g}: round {number + 1} of {options.rounds}", file=sys.stderr)
    return {
        "network": name,
        **network,
        **hyper,
        "epsilon": epsilon,
        "links": links,
        "epochSteps": epoch_steps,
        "peers": {peer: {"stepsTimed": steps[peer], "ms": times[peer]} for peer in times},
    }


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}"


def table(result):
    """Markdown: medians, and in brackets how many times the baseline's."""
    rows = [["", *(f"{text}, ms" for text in MEASURES.values())]]
    for peer, measured in result["peers"].items():
        cells = []
        for key in MEASURES:
            samples, base = measured["ms"][key], result["peers"][BASELINE]["ms"][key]
            if not samples or not base:
                cells.append("-")
                continue
            scaled = "\\*" if key == "train" and measured["stepsTimed"] < result["epochSteps"] else ""
            ratio = "" if peer == BASELINE else f" ({number(np.median(samples) / np.median(base))}x)"
            cells.append(number(np.median(samples)) + scaled + ratio)
        rows.append([peer, *cells])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    rows.insert(1, ["---", *["---:"] * len(MEASURES)])
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
    sizes = "-".join(map(str, result["sizes"]))
    title = f"**{sizes}, epsilon {result['epsilon']:g}**: {result['links']:,} links, batch {result['batch']}, "
    lines = [title + f"{result['samples']:,} samples", "", *lines]
    scaled = [
        f"{peer} {measured['stepsTimed']}"
        for peer, measured in result["peers"].items()
        if measured["stepsTimed"] < result["epochSteps"]
    ]
    if scaled:
        lines += ["", f"\\* scaled to the {result['epochSteps']} steps of an epoch from fewer: {', '.join(scaled)}."]
    return "\n".join(lines)


def command(options):
    """What repeats this run: every option, but for the files written."""

    def text(value):
        if isinstance(value, list):
            return ",".join(map(text, value))
        return f"{value:g}" if isinstance(value, float) else str(value)

    words = ["python3 bench/peers/run.py"]
    for name, value in vars(options).items():
        if value is not None and not isinstance(value, Path):
            words.append(f"--{name.replace('_', '-')} {text(value)}")
    return " ".join(words)


def describe(report):
    host = report["machine"]
    stacks = {}
    for peer, versions in host["versions"].items():
        stacks.update({key: value for key, value in versions.items() if key not in ("cpu", "isa", "platform")})
    versions = ", ".join(
        f"{name} {'yes' if value is True else 'no' if value is False else value}" for name, value in stacks.items()
    )
    lines = [
        f"`{report['command']}`",
        "",
        f"{host['cpu']}, {host['cores']} cores, {host['isa']}; threads: {host['threads']}; {host['date']}; "
        f"load average at the start {host['load'][0]:.1f}; medians of {report['rounds']} rounds. {versions}.",
    ]
    for result in report["results"]:
        lines += ["", table(result)]
    lines += ["", *(f"Not timed: {peer}: {reason}." for peer, reason in report["lost"].items())]
    return "\n".join(lines).rstrip() + "\n"


def write_markdown(file, text):
    """Replaces what stands between the two marks, where the file has them."""
    first, last = "<!-- peers: begin -->\n", "<!-- peers: end -->\n"
    old = file.read_text() if file.exists() else ""
    if first in old and last in old:
        text = old[: old.index(first)] + first + "\n" + text + "\n" + old[old.index(last) :]
    file.write_text(text)


def parse_arguments():
    def listing(kind, known=None):
        def parse(text):
            try:
                values = [kind(part) for part in text.split(",")]
            except ValueError:
                raise argparse.ArgumentTypeError(f"expected numbers separated by commas, got '{text}'")
            unknown = [value for value in values if known and value not in known]
            if unknown:
                raise argparse.ArgumentTypeError(f"expected some of {', '.join(known)}, got '{unknown[0]}'")
            return list(dict.fromkeys(values))

        return parse

    def above_zero(kind):
        def parse(text):
            try:
                value = kind(text)
            except ValueError:
                value = 0
            if not 0 < value < float("inf"):
                raise argparse.ArgumentTypeError(f"expected a number above 0, got '{text}'")
            return value

        return parse

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--network", type=listing(str, list(NETWORKS)), default=list(NETWORKS), help="reference, lung (both)")
    add("--epsilon", type=listing(above_zero(float)), default=[13.0], help="densities, separated by commas (13)")
    add("--peers", type=listing(str, list(PEERS)), default=list(PEERS), help=f"of {', '.join(PEERS)} (all)")
    add("--threads", type=above_zero(int), default=2, help="for every peer (2)")
    add("--rounds", type=above_zero(int), default=7, help="turns of each peer (7)")
    add("--turn-seconds", type=above_zero(float), default=2.0, help="slower epochs are scaled from fewer steps (2)")
    add("--rate", type=above_zero(float), help="learning rate (0.05, lung 0.01)")
    add("--seed", type=above_zero(int), default=1, help="of samples, links and weights (1)")
    add("--json", type=Path, metavar="FILE", help="write everything, every sample included")
    add("--markdown", type=Path, metavar="FILE", help="write the tables; between the marks where FILE has them")
    return parser.parse_args()


def main():
    options = parse_arguments()
    for file in (options.json, options.markdown):
        if file and not file.parent.is_dir():
            sys.exit(f"run.py: {file}: its folder does not exist")
    names = [BASELINE, *(name for name in options.peers if name != BASELINE)]
    peers, lost, versions = {}, {}, {}
    with tempfile.TemporaryDirectory(prefix="set-native-peers-") as temporary:
        temporary = Path(temporary)
        check = None
        for name in names:
            try:
                process = Process(name, options.threads)
                answer = process.ask("versions")
                if "skip" in answer:
                    lost[name] = f"skipped: {answer['skip']}"
                    process.end()
                    continue
                check = check or Check(temporary / "check", process, options.threads)
                check.run(name, process)
                peers[name], versions[name] = process, answer
            except Failed as reason:
                if name == BASELINE:
                    sys.exit(f"run.py: {name}: {reason}")
                lost[name] = f"failed: {reason}"
            print(f"{name}: {lost.get(name, 'checked')}", file=sys.stderr)
        report = {
            "schemaVersion": 1,
            "command": command(options),
            "machine": machine(options.threads, versions),
            "rounds": options.rounds,
            "results": [],
            "lost": lost,
        }
        for name in options.network:
            for epsilon in options.epsilon:
                folder = temporary / f"{name}-{epsilon:g}"
                report["results"].append(measure(peers, lost, name, epsilon, options, folder))
        for process in peers.values():
            process.end()
    text = describe(report)
    print(text, end="")
    if options.json:
        options.json.write_text(json.dumps(report) + "\n")
    if options.markdown:
        write_markdown(options.markdown, text)
    sys.exit(1 if any(reason.startswith("failed") for reason in lost.values()) else 0)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("run.py: interrupted")
