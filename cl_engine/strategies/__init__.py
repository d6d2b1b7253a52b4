"""Strategies: one method, one file.  The contract is in :mod:`cl_engine.strategies.strategy`."""

KINDS = {
    "finetune": "cl_engine.strategies.references.finetune:Finetune",
    "joint": "cl_engine.strategies.references.joint:Joint",
    "replay": "cl_engine.strategies.rehearsal.replay:Replay",
    "er-ace": "cl_engine.strategies.rehearsal.er_ace:ERACE",
    "dark-er": "cl_engine.strategies.rehearsal.dark_er:DarkER",
    "mir": "cl_engine.strategies.rehearsal.mir:MIR",
    "a-gem": "cl_engine.strategies.rehearsal.a_gem:AGEM",
    "gdumb": "cl_engine.strategies.rehearsal.gdumb:GDumb",
    "icarl": "cl_engine.strategies.rehearsal.icarl:ICaRL",
    "ewc": "cl_engine.strategies.regularisation.ewc:EWC",
    "si": "cl_engine.strategies.regularisation.si:SI",
    "mas": "cl_engine.strategies.regularisation.mas:MAS",
    "lwf": "cl_engine.strategies.distillation.lwf:LwF",
    "wa": "cl_engine.strategies.distillation.wa:WA",
    "bic": "cl_engine.strategies.distillation.bic:BiC",
    "der-expandable": "cl_engine.strategies.expansion.der_expandable:DERExpandable",
    "memo": "cl_engine.strategies.expansion.memo:MEMO",
    "prd": "cl_engine.strategies.prototypes.prd:PRD",
    "ncm": "cl_engine.strategies.prototypes.ncm:NCM",
    "g-acil": "cl_engine.strategies.closed_form.gacil:GACIL",
}
