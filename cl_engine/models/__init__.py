"""Backbones, heads, and the network that joins them.

A backbone kind is an ``nn.Module`` class ``Backbone(shape, /, *, options...)`` with an attribute ``features``, the
width of its output ``[B, features]``.  It gets float input and is built on the meta device, then initialised from
a named generator.
"""

KINDS = {
    "mlp": "cl_engine.models.mlp:MLP",
    "identity": "cl_engine.models.identity:Identity",
    "convnet2": "cl_engine.models.convnet2:ConvNet2",
}
