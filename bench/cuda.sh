#!/bin/sh
# Builds set-native on a machine with a GPU, checks it there and measures it: see bench/cuda/run.py, which does the work.
#
#   sh bench/cuda.sh [--out FILE] [--build FOLDER] [--quick]
#
# Needs nvcc, cmake, a C++17 compiler and python3; PyTorch for the baselines. No Node.
set -eu
cd "$(dirname "$0")/.."
command -v python3 > /dev/null || { echo "bench/cuda.sh: python3 is not on the PATH" >&2; exit 1; }
exec python3 bench/cuda/run.py "$@"
