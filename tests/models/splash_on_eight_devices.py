"""Run with 8 virtual CPU devices: splash attention cut over rows and heads gives what the reference gives."""

import jax
import numpy as np
from jax.sharding import Mesh

from flan_jax.models import blockwise, splash
from tests.models.test_splash import packed


def main():
    mesh = Mesh(np.array(jax.devices()).reshape(2, 2, 2), ("data", "fsdp", "tensor"))
    rows = jax.NamedSharding(mesh, jax.P(("data", "fsdp")))
    for kv_heads in (2, 1):  # one key/value head cannot be cut over two devices
        arrays, documents = packed(4, 2, kv_heads)

        def on_mesh(*arrays, documents=documents):
            with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
                return splash.attention(*arrays, documents, interpret=True)

        computed = jax.jit(on_mesh, in_shardings=rows)(*arrays)
        assert len(computed.sharding.device_set) == 8
        there = np.asarray(documents.segment_ids) > 0
        expected = np.asarray(blockwise.attention(*arrays, documents))
        np.testing.assert_allclose(np.asarray(computed)[there], expected[there], atol=2e-5)
    print("equal on 8 devices")


if __name__ == "__main__":
    main()
