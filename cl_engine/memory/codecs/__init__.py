"""Codecs: how an exemplar is written to memory, and what it is when it is read again.

A codec kind is a class ``Codec(*, options...)``; the contract is in :mod:`cl_engine.memory.codecs.codec`.
"""

KINDS = {
    "raw": "cl_engine.memory.codecs.raw:Raw",
    "jpeg": "cl_engine.memory.codecs.jpeg:Jpeg",
    "downsample": "cl_engine.memory.codecs.downsample:Downsample",
    "features": "cl_engine.memory.codecs.features:Features",
}
