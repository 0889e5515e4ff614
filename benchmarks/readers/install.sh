#!/bin/sh
# Makes an environment for each trainer whose loader `benchmarks/readers.py` runs.
#
#     benchmarks/readers/install.sh FOLDER [PYTHON]
#
# LLaMA-Factory and OpenRLHF come without their dependencies; what their data loading imports is
# installed beside them. torch is pinned and first, so that nothing else chooses its build.
# torchaudio on the package index is a CUDA build; LLaMA-Factory imports it for audio files only, and
# it imports without its two libraries.
set -eu
folder=$1
python=${2:-python3}
mkdir -p "$folder"

"$python" -m venv "$folder/llama-factory"
pip="$folder/llama-factory/bin/pip install --quiet"
$pip torch==2.13.0
$pip numpy==2.4.6 transformers==5.6.0 datasets==4.0.0 accelerate==1.11.0 peft==0.18.1 \
    trl==0.24.0 omegaconf==2.4.0
$pip --no-deps llamafactory==0.9.5 torchaudio==2.11.0
rm -f "$folder"/llama-factory/lib/python3*/site-packages/torchaudio/lib/*.so

"$python" -m venv "$folder/openrlhf"
pip="$folder/openrlhf/bin/pip install --quiet"
$pip torch==2.13.0
$pip transformers==5.15.0 datasets==5.2.0 pylatexenc==2.11
$pip --no-deps openrlhf==0.11.2
