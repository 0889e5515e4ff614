#!/bin/sh
#SBATCH --array=1-8
#SBATCH --gres=gpu:1
# flr score in 8 shards. When the whole array JOB has ended well, from the same folder:
#     sbatch --dependency=afterok:JOB --wrap "flr merge scored.jsonl"
set -eu
flr score pairs.jsonl -o scored.jsonl --model "$MODEL" --shard "$SLURM_ARRAY_TASK_ID/8"
