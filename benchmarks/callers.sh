#!/bin/sh
# Puts verl, OpenRLHF and what their callers of reward functions import into a folder.
#
#     benchmarks/callers.sh FOLDER [PYTHON]
#
# PYTHON is the one that `benchmarks/callers.py` runs with, which has torch and transformers; nothing
# of it is replaced, the folder comes after it. So both run against their own pins, hence --no-deps:
# verl 0.9.1 asks for transformers below 5.11 and tensordict up to 0.10.0, OpenRLHF 0.11.2 for
# transformers 5.15.0, while flr needs 5.17 or later (5.23.0 in results/2026-11-28-callers.json).
set -eu
folder=$1
python=${2:-python3}
pip="$python -m pip install --quiet --target $folder"
$pip --no-deps verl==0.9.1 openrlhf==0.11.2
$pip --no-deps ray==2.60.0 tensordict==0.15.3 omegaconf==2.4.0 antlr4-python3-runtime==4.9.3 \
    codetiming==1.4.0 protobuf==7.36.2 msgpack==1.2.4 orjson==3.13.0 cloudpickle==3.1.3 \
    pyvers==0.2.3 click==8.5.1 importlib-metadata==10.2.0 zipp==4.1.2 jsonschema==4.26.0 \
    jsonschema-specifications==2025.9.1 referencing==0.37.0 rpds-py==2026.9.1
$pip aiohttp==3.14.5
