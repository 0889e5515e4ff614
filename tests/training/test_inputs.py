"""What a training is made of: the size of its policy."""

from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter

from flr import sources
from flr.training import inputs


def test_weights_that_are_packed_count_as_the_model_that_they_make(
    tmp_path: Path, tiny_model: Path
):
    writer = GGUFWriter(tmp_path / "m.gguf", "llama")
    writer.add_tensor("one", np.zeros((4, 32), np.float32))
    writer.add_tensor("two", np.zeros((3, 18), np.uint8), raw_dtype=GGMLQuantizationType.Q4_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    packed = sources.locate(str(tmp_path / "m.gguf"))
    assert inputs.weight_bytes(packed, "cuda") == 2 * (
        4 * 32 + 3 * 32
    )  # Q4_0: 32 weights in 18 bytes
    plain = sources.locate(str(tiny_model))
    assert inputs.weight_bytes(plain, "cuda") == (tiny_model / "model.safetensors").stat().st_size
    assert inputs.weight_bytes(packed, "cpu") == 0
