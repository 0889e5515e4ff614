"""Scores a file: rows in, rows with rewards out, resumable by block, on one process or several.

    read and check every row -> blocks of rows -> measure what the store lacks -> assemble OUTPUT

Nothing is written to OUTPUT before all blocks are finished. The store keeps log-likelihoods, not
rewards: another variant made of the same log-likelihoods, or other weights, computes nothing anew.
"""

import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, fields
from itertools import batched
from pathlib import Path
from typing import Any, final

import numpy as np
import torch

from flr import followups, io, runs
from flr.engines.base import Tally
from flr.errors import FlrError, InputError, OptionError, Problem, RenderError
from flr.loading import Parts, ScorerOptions, make_scorer, prepare
from flr.rows import Row
from flr.runs import BLOCK_ROWS, Store
from flr.scoring import Measured, Score, Scorer, Skipped, merged_weights, skippable, value
from flr.stats import Summary, summarize
from flr.types import Conversation
