"""Strategies: one method, one file.  The contract is in :mod:`cl_engine.strategies.strategy`."""

KINDS = {
    "finetune": "cl_engine.strategies.finetune:Finetune",
    "joint": "cl_engine.strategies.joint:Joint",
    "replay": "cl_engine.strategies.replay:Replay",
    "ncm": "cl_engine.strategies.ncm:NCM",
    "g-acil": "cl_engine.strategies.gacil:GACIL",
}
