#!/bin/sh
# flr score on a Ray cluster, from a machine that reaches its dashboard: 8 workers of 4 CPUs (with GPUs
# leave both numbers out). The run store lies on the head node, in /data, where the job goes on if it
# is submitted again.
set -eu
ray job submit --address "http://$HEAD:8265" -- \
    sh -c "cd /data && flr score pairs.jsonl -o scored.jsonl --model $MODEL --ray auto --workers 8 --threads 4"
