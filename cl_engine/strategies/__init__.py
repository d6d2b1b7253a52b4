"""Strategies: one method, one file.  The contract is in :mod:`cl_engine.strategies.strategy`."""

KINDS = {
    "finetune": "cl_engine.strategies.references.finetune:Finetune",
    "joint": "cl_engine.strategies.references.joint:Joint",
    "replay": "cl_engine.strategies.rehearsal.replay:Replay",
    "icarl": "cl_engine.strategies.rehearsal.icarl:ICaRL",
    "ewc": "cl_engine.strategies.regularisation.ewc:EWC",
    "lwf": "cl_engine.strategies.distillation.lwf:LwF",
    "wa": "cl_engine.strategies.distillation.wa:WA",
    "bic": "cl_engine.strategies.distillation.bic:BiC",
    "der-expandable": "cl_engine.strategies.expansion.der_expandable:DERExpandable",
    "memo": "cl_engine.strategies.expansion.memo:MEMO",
    "prd": "cl_engine.strategies.prototypes.prd:PRD",
    "ncm": "cl_engine.strategies.prototypes.ncm:NCM",
    "g-acil": "cl_engine.strategies.closed_form.gacil:GACIL",
}
