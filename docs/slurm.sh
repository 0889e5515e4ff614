#!/bin/sh
#SBATCH --array=1-8
#SBATCH --gres=gpu:1          # name its type where there are several: gpu:h100:1
#SBATCH --cpus-per-task=8
# flr score in 8 shards. When the whole array JOB has ended well, from the same folder:
#     sbatch --dependency=afterok:JOB --wrap "flr merge scored.jsonl"
set -eu
flr score pairs.jsonl -o scored.jsonl --model "$MODEL" --threads 8 --shard "$SLURM_ARRAY_TASK_ID/8"
